"""The planner makes the frozen plan: which dates, which phases, and what of it is already there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from phasegate.domain.calendar.canary import choose
from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.decisions.built_on import spread
from phasegate.domain.decisions.standing import standing
from phasegate.domain.decisions.waiving import blocks, waived
from phasegate.domain.errors import InputError, PhasegateError, TransientError
from phasegate.domain.messages.run_request import Reprocess
from phasegate.domain.plan import Plan, PlanIndex, TaskSpec, WorkLetter, compile_plan
from phasegate.domain.plan.blank import blank_plan, seasons_around
from phasegate.domain.spec.pipeline import ObjectOutput, Pipeline, TableOutput
from phasegate.domain.state.facts import UNKNOWN
from phasegate.domain.state.run import Waiver
from phasegate.ports import RunReader
from phasegate.services.reading.earlier_runs import finished_in, made_from_another_source
from phasegate.services.reading.prover import Prover
from phasegate.services.starting.scope import RunScope, choose_phases

Finished = Callable[[Sequence[date]], Mapping[date, frozenset[str]]]
"""Earlier runs' word: for each date that some run covered, the refs that the newest one brought to a good end."""


@dataclass(frozen=True, slots=True)
class PlanMade:
    """A plan was made, and not written."""

    plan: Plan
    """What would run."""

    remade: tuple[date, ...] = ()
    """Dates whose rows were made from another source folder: they are made again."""


def plan_scope(scope: RunScope, prover: Prover | None, state: RunReader | None, now: datetime) -> PlanMade:
    """Plan a request's scope, judged by the tables and by what earlier runs left behind.

    prover, state: None where there are no tables, or no earlier run, yet. now: UTC; what is known to be wrong may have
    ended by then. Raises InputError as ``make_plan`` does.
    """
    request, pipeline = scope.request, scope.pipeline
    remade: frozenset[date] = frozenset()

    def finished(days: Sequence[date]) -> dict[date, frozenset[str]]:
        return finished_in(state, pipeline.pipeline, days) if state else {}

    def foreign(days: Sequence[date]) -> frozenset[date]:
        nonlocal remade
        if state is not None and request.source is not None:
            remade = made_from_another_source(state, pipeline.pipeline, request.source, days)
        return remade

    plan = make_plan(
        pipeline,
        scope.calendar,
        request.selection,
        phases=request.phases,
        profile=request.profile,
        reprocess=request.reprocess,
        prover=prover,
        finished=finished,
        foreign=foreign,
        known=standing(pipeline, now),
    )
    return PlanMade(plan, tuple(sorted(remade)))


def make_plan(
    pipeline: Pipeline,
    calendar: Calendar,
    selection: Selection,
    *,
    phases: str | None = None,
    profile: str | None = None,
    reprocess: Reprocess = "all",
    prover: Prover | None = None,
    finished: Finished = lambda _: {},
    foreign: Callable[[Sequence[date]], frozenset[date]] = lambda _: frozenset(),
    known: Sequence[Waiver] = (),
) -> Plan:
    """Make the plan for a selection: all of it, unless something is named.

    foreign: dates whose tables were made from another source: nothing of them is adopted. known: what may pass.
    prover: None for a warehouse that does not exist yet (everything is missing then).
    Raises InputError for an unknown profile or phase, an empty selection, or ``failed`` without an earlier run.
    """
    names, chosen = choose_phases(pipeline, phases, profile)
    days = selection.resolve(calendar)
    blank = blank_plan(
        pipeline,
        names,
        days,
        seasons_around(calendar, days),
        ramp=chosen.ramp if chosen else (),
        canary=tuple(choose(pipeline.calendar, calendar, days).reasons) if chosen and chosen.canary else (),
        reprocess=reprocess,
    )
    if reprocess == "all" or (reprocess == "missing" and prover is None):
        return blank
    index = compile_plan(blank)
    if reprocess == "failed":
        present = _present_by_state(index, finished(days))
    else:
        present = _present_by_tables(index, prover, known) if prover else [[False] * len(days) for _ in index.tasks]
    for day in foreign(days):
        for of_task in present:
            of_task[index.position[day]] = False
    return blank.with_work(_work(index, present))


def missing_outside(index: PlanIndex, prover: Prover | None, now: datetime) -> dict[str, dict[date, str]]:
    """Find what the run will read and not make, and is not sound in the tables: ref -> date -> why. now: UTC."""
    if prover is None:
        return {ref: dict.fromkeys(days, "the table does not exist yet") for ref, days in index.outside.items()}
    missing: dict[str, dict[date, str]] = {}
    for ref, wrong in prover.soundness(index, index.outside, standing(index.plan.pipeline, now)).items():
        if isinstance(wrong, TransientError):
            wrong = dict.fromkeys(index.outside[ref], f"could not be asked: {wrong}")
        if wrong:
            missing[ref] = wrong
    return missing


def require_earlier_run(days: Sequence[date], finished: Mapping[date, frozenset[str]]) -> None:
    """Require that some earlier run says something about each of the dates: raises InputError."""
    uncovered = [day for day in days if day not in finished]
    if uncovered:
        raise InputError(
            f"--reprocess failed: no earlier run covers {uncovered[0]}"
            f"{f' and {len(uncovered) - 1} more dates' if len(uncovered) > 1 else ''}; use --reprocess missing"
        )


def _present_by_state(index: PlanIndex, finished: Mapping[date, frozenset[str]]) -> list[list[bool]]:
    require_earlier_run(index.days, finished)
    return [[task.ref in finished[day] for day in index.days] for task in index.tasks]


def _present_by_tables(index: PlanIndex, prover: Prover, known: Sequence[Waiver]) -> list[list[bool]]:
    """For each task and date: would the table pass as it is? Judged by the checks, not by any state.

    A table that may be empty and is tells nothing by itself; it counts as present when every table of its cell that
    must hold rows does. What writes no table is present when everything that needs it is; an object that is due has to
    be there as well.
    """
    present = [[False] * len(index.days) for _ in index.tasks]
    open_question: list[tuple[TaskSpec, int]] = []
    tables = [task for task in index.tasks if isinstance(task.spec.output, TableOutput)]
    outputs = {task.ref: (task.spec.output, index.days) for task in index.tasks if task.spec.output.kind != "none"}
    counted = {
        ref: counts or {} for ref, counts in prover.count(outputs).items() if not isinstance(counts, PhasegateError)
    }
    expected = {task.ref: dict(zip(index.days, task.expects, strict=True)) for task in tables}
    judged = prover.judge(index, {ref: (expected[ref], counted[ref]) for ref in expected if ref in counted})
    for task in tables:
        if task.ref not in counted:
            continue
        expects, counts = expected[task.ref], counted[task.ref]
        unsound = {
            day
            for day, verdict in judged[task.ref]
            if verdict.outcome == UNKNOWN or any(map(blocks, waived([verdict], day, task.phase, known)))
        }
        for position, day in enumerate(index.days):
            rows = counts[day].rows if day in counts else 0
            if expects[day] == ExpectationLetter.OPTIONAL and not rows:
                open_question.append((task, position))
            else:
                is_right = not rows if expects[day] == ExpectationLetter.EMPTY else rows > 0
                present[task.number][position] = is_right and day not in unsound
    for task, position in open_question:
        cell = [t for t in index.tasks if t.phase == task.phase and t.expects[position] == ExpectationLetter.EXPECTED]
        present[task.number][position] = bool(cell) and all(
            present[t.number][position] for t in cell if isinstance(t.spec.output, TableOutput)
        )
    for task in reversed(index.tasks):
        if not isinstance(task.spec.output, TableOutput) and index.dependants[task.number]:
            is_object = isinstance(task.spec.output, ObjectOutput)
            for position, day in enumerate(index.days):
                is_there = (
                    not is_object
                    or task.expects[position] != ExpectationLetter.EXPECTED
                    or day in counted.get(task.ref, {})
                )
                needed = index.dependants[task.number]
                present[task.number][position] = is_there and all(present[n][position] for n in needed)
    return present


def _work(index: PlanIndex, present: list[list[bool]]) -> dict[str, str]:
    """Letters: what is not there runs, and so does everything that was or will be built on it."""
    runs = spread(index, [[not is_there for is_there in of_task] for of_task in present])
    return {
        task.ref: "".join(WorkLetter.RUN if r else WorkLetter.ADOPT for r in runs[task.number]) for task in index.tasks
    }
