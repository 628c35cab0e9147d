"""The planner makes the frozen plan: which dates, which phases, and what of it is already there."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial

from phasegate.domain.calendar.canary import choose
from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.expectation import ExpectationLetter, contradiction
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.decisions.built_on import spread
from phasegate.domain.decisions.needed import Why, needed
from phasegate.domain.decisions.stale import Changed, Outdated
from phasegate.domain.decisions.standing import standing
from phasegate.domain.errors import InputError, NothingStale, TransientError
from phasegate.domain.messages.run_request import Reprocess
from phasegate.domain.operations.preflight import PreflightLine
from phasegate.domain.plan import Plan, PlanIndex, compile_plan
from phasegate.domain.plan.blank import blank_plan, seasons_around
from phasegate.domain.plan.document import UNLESS_SAME
from phasegate.domain.spec.pipeline import Pipeline, TableOutput
from phasegate.domain.state.run import Waiver
from phasegate.ports import RunReader
from phasegate.services.reading.earlier_runs import finished_in, made_from_another_source, ran_empty
from phasegate.services.reading.made_with import AskWorkers, ask_nobody, asked_once
from phasegate.services.reading.prover import Prover, RanEmpty
from phasegate.services.starting.scope import RunScope, choose_phases
from phasegate.services.starting.stock import Stock, find_objects, take_stock
from phasegate.services.starting.stopped import kept_waivers

Finished = Callable[[Sequence[date]], Mapping[date, frozenset[str]]]
"""Earlier runs' word: for each date that some run covered, the refs that the newest one brought to a good end."""


@dataclass(frozen=True, slots=True)
class PlanMade:
    """A plan was made, and not written."""

    plan: Plan
    """What would run."""

    why: Mapping[str, Sequence[Why | None]]
    """By ``phase/processor``: why it runs on each selected date; None: it does not."""

    not_right: Mapping[str, Sequence[date]]
    """By ``phase/processor``: the dates that hold rows where none are right, as far as a plan looks; they will be
    blocked."""

    stale: Mapping[str, Mapping[date, Changed]] = field(default_factory=dict)
    """By ``phase/processor`` and date: what is stale, and by what that changed; as far as tables were looked at."""

    outdated: Mapping[str, Mapping[date, Outdated]] = field(default_factory=dict)
    """By ``phase/processor`` and date: what another version of its worker made; as far as that is known."""

    remade: tuple[date, ...] = ()
    """Dates whose rows were made from another source folder: they are made again."""

    known: tuple[PreflightLine, ...] = ()
    """What is wrong with the known exceptions of the pipeline file, and which of its statements are not bound yet."""

    kept: tuple[Waiver, ...] = ()
    """What people let pass in the run before, and that passes in this one too (``kept_waivers``)."""


def plan_scope(
    scope: RunScope,
    prover: Prover | None,
    state: RunReader | None,
    now: datetime,
    ask_workers: AskWorkers = ask_nobody,
) -> PlanMade:
    """Plan a request's scope, judged by the tables and by what earlier runs left behind.

    prover, state: None where there are no tables, or no earlier run, yet. now: UTC; what is known to be wrong may have
    ended by then. ask_workers: who says what tables would be made with now. Raises InputError as ``make_plan`` does.
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

    kept = kept_waivers(state, request, pipeline, scope.days, now)
    made = make_plan(
        pipeline,
        scope.calendar,
        request.selection,
        phases=request.phases,
        profile=request.profile,
        reprocess=request.reprocess,
        prover=prover,
        finished=finished,
        foreign=foreign,
        ran_empty=records_of(state, pipeline),
        known=(*standing(pipeline, now), *kept),
        ask_workers=ask_workers,
    )
    return replace(made, remade=tuple(sorted(remade)), kept=kept)


def records_of(state: RunReader | None, pipeline: Pipeline) -> RanEmpty:
    """Return what earlier runs of a pipeline prove to be empty. state: None where there is no run yet."""
    return partial(ran_empty, state, pipeline.pipeline) if state else no_records


def no_records(_: Mapping[str, Collection[date]]) -> Mapping[str, Collection[date]]:
    """Prove nothing to be empty."""
    return {}


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
    ran_empty: RanEmpty = no_records,
    known: Sequence[Waiver] = (),
    ask_workers: AskWorkers = ask_nobody,
) -> PlanMade:
    """Make the plan for a selection: all of it, unless something is named.

    foreign: dates whose tables were made from another source: nothing of them is adopted.
    prover: None for a warehouse that does not exist yet: its tables are empty, and no object is there. ran_empty: what
    earlier runs prove to be empty. known: what may pass. ask_workers: who says what tables would be made with now.
    Raises InputError for an unknown profile or phase, an empty selection, or ``failed`` without an earlier run;
    NothingStale for ``stale`` where nothing is.
    """
    names, chosen = choose_phases(pipeline, phases, profile)
    days = selection.resolve(calendar)
    around = seasons_around(calendar, days)
    ask_workers = asked_once(ask_workers)
    if reprocess == "stale":
        whole = compile_plan(blank_plan(pipeline, names, days, around))
        found_stale = take_stock(whole, prover, ran_empty, known, by_version=True, ask_workers=ask_workers)
        days = _stale_days(whole, found_stale)
    blank = blank_plan(
        pipeline,
        names,
        days,
        around,
        ramp=chosen.ramp if chosen else (),
        canary=tuple(choose(pipeline.calendar, calendar, days).reasons) if chosen and chosen.canary else (),
        stops_at_bad_date=chosen is not None and chosen.stops_at_bad_date,
        reprocess=reprocess,
        selection=selection,
    )
    index = compile_plan(blank)
    _require_possible_numbers(index)
    if reprocess == "all":
        stock = Stock([[None if index.readers[task.number] else Why.ASKED] * len(days) for task in index.tasks])
    elif reprocess == "failed":
        stock = _by_state(index, finished(days), prover)
    else:
        by_version = reprocess == "stale"
        stock = take_stock(index, prover, ran_empty, known, by_version=by_version, ask_workers=ask_workers)
    if reprocess != "all":
        for day in foreign(days):
            for task in index.tasks:
                if not index.readers[task.number]:
                    stock.lacking[task.number][index.position[day]] = Why.SOURCE
    found = needed(index, stock.lacking, stock.held, stock.empty)
    marks_by_ref = _unless_same(index, found.why, stock) if reprocess in ("missing", "stale") else {}
    plan = blank.with_letters(found.letters, marks_by_ref)
    return PlanMade(plan, found.why, found.not_right, stock.stale, stock.outdated)


def _unless_same(index: PlanIndex, why: Mapping[str, Sequence[Why | None]], stock: Stock) -> dict[str, str]:
    """Mark the tables that stand, and run only because something that they are made from does."""
    return {
        task.ref: "".join(
            UNLESS_SAME
            if reason is Why.BUILT_ON and lacking is None and day not in stock.empty.get(task.ref, ())
            else "."
            for day, reason, lacking in zip(index.days, why[task.ref], stock.lacking[task.number], strict=True)
        )
        for task in index.tasks
        if isinstance(task.spec.output, TableOutput) and task.number not in index.observed
    }


def _stale_days(index: PlanIndex, stock: Stock) -> tuple[date, ...]:
    """Choose the dates on which something is stale, or holds what does not pass, or is built on such.

    What does not pass is stale in its way: its source, or the calendar, holds something else since; and so is what
    another version of its worker made. Raises NothingStale.
    """
    seeds = [[why in (Why.STALE, Why.UNSOUND, Why.OUTDATED) for why in of_task] for of_task in stock.lacking]
    reached = spread(index, seeds)
    days = tuple(day for position, day in enumerate(index.days) if any(of_task[position] for of_task in reached))
    if not days:
        raise NothingStale(
            "--reprocess stale: nothing on these dates was made from what has changed since, or by another version of "
            "its worker, or holds what does not pass; what is missing is made by --reprocess missing"
        )
    return days


def _require_possible_numbers(index: PlanIndex) -> None:
    """Refuse row checks that no number of rows can meet on a date of the plan. Raises InputError."""
    for task in index.tasks:
        for day in index.days:
            if why := contradiction(index.plan.pipeline, index.calendar, task.phase, task.spec, day):
                raise InputError(f"{task.ref}: on {day} no number of rows passes its checks: {why}; correct them")


def missing_outside(
    index: PlanIndex, prover: Prover | None, state: RunReader | None, now: datetime
) -> dict[str, dict[date, str]]:
    """Find what the run will read and not make, and is not sound in the tables: ref -> date -> why.

    prover, state: None where there are no tables, or no earlier run, yet. now: UTC.
    """
    if prover is None:
        return {
            ref: lacking
            for ref, days in index.outside.items()
            if (lacking := {day: why for day in days if (why := _without_tables(index, ref, day))})
        }
    missing: dict[str, dict[date, str]] = {}
    for ref, wrong in prover.soundness(
        index, index.outside, records_of(state, index.plan.pipeline), standing(index.plan.pipeline, now)
    ).items():
        if isinstance(wrong, TransientError):
            wrong = dict.fromkeys(index.outside[ref], f"could not be asked: {wrong}")
        if wrong:
            missing[ref] = wrong
    return missing


def _without_tables(index: PlanIndex, ref: str, day: date) -> str:
    """What is wrong with an output on a date where there is no table at all; empty: nothing."""
    is_right = index.expectation(ref, day) == ExpectationLetter.EMPTY
    return "" if is_right else "the table does not exist yet"


def require_earlier_run(days: Sequence[date], finished: Mapping[date, frozenset[str]]) -> None:
    """Require that some earlier run says something about each of the dates: raises InputError."""
    uncovered = [day for day in days if day not in finished]
    if uncovered:
        raise InputError(
            f"--reprocess failed: no earlier run covers {uncovered[0]}"
            f"{f' and {len(uncovered) - 1} more dates' if len(uncovered) > 1 else ''}; use --reprocess missing"
        )


def _by_state(index: PlanIndex, finished: Mapping[date, frozenset[str]], prover: Prover | None) -> Stock:
    """What an earlier run's word says of tables, and of what nothing reads; objects that are read are looked for."""
    require_earlier_run(index.days, finished)
    lacking: list[list[Why | None]] = []
    for task in index.tasks:
        is_read = bool(index.readers[task.number])
        lacking.append([None if is_read or task.ref in finished[day] else Why.FAILED for day in index.days])
    return Stock(lacking, held=find_objects(index, prover))
