"""A plan, as a person or a program is shown it."""

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from phasegate.domain.calendar.canary import choose
from phasegate.domain.calendar.expectation import ExpectationLetter, expectation
from phasegate.domain.decisions.needed import WHYS, Why
from phasegate.domain.decisions.stale import Changed, Outdated
from phasegate.domain.foreign_text import escaped_lines
from phasegate.domain.plan import (
    ApprovalEdge,
    BarrierEdge,
    PlanIndex,
    SameDateEdge,
    TaskSpec,
    WindowEdge,
    WorkLetter,
    compile_plan,
)
from phasegate.domain.spec.dispatch import LONGEST_ANSWER_SECONDS, Dispatch

if TYPE_CHECKING:
    from phasegate.services.starting.planner import PlanMade

Reasons = Mapping[str, Sequence[Why | None]]
"""By ``phase/processor``: why it runs on each date; None: it does not. Empty: it is not known."""

Stale = Mapping[str, Mapping[date, Changed]]
"""By ``phase/processor`` and date: what was made from something that has changed since, and what that is."""

AnotherVersion = Mapping[str, Mapping[date, Outdated]]
"""By ``phase/processor`` and date: what another version of its worker made."""

STALE_SHOWN = 20
"""Stale tables that the text names by date; JSON has all of them."""

Lacking = Mapping[str, Mapping[date, str]]
"""By ``phase/processor`` and date: what a plan reads, does not make, and is not sound in the tables, and why."""


def plan_document(made: "PlanMade", lacking: Lacking) -> dict[str, Any]:
    """The document gives the plan in numbers, with what was found when it was made."""
    plan, why = made.plan, made.why
    index = compile_plan(plan)
    return {
        "pipeline": plan.pipeline.pipeline,
        "plan_hash": plan.hash,
        "reprocess": plan.reprocess,
        "dates": len(plan.days),
        "first": plan.days[0].isoformat(),
        "last": plan.days[-1].isoformat(),
        "tasks": {
            "expected": len(index.tasks) * len(plan.days),
            **_counts(index.tasks, ("run", "adopted", "not_needed", "nothing_due")),
        },
        "why": _why(index.tasks, why),
        "canary": _canary(index),
        "stops_at_bad_date": plan.stops_at_bad_date,
        "smaller_batches": smaller_batches(index),
        "phases": {phase: _phase(index, phase, why) for phase in plan.phases},
        "missing_outside": {
            ref: {day.isoformat(): why for day, why in sorted(days.items())} for ref, days in lacking.items()
        },
        "rows_where_none_are_right": {ref: [day.isoformat() for day in days] for ref, days in made.not_right.items()},
        "stale": stale_document(made.stale),
        "outdated": stale_document(made.outdated),
        "warnings": [str(line) for line in made.known],
    }


def stale_document(stale: Mapping[str, Mapping[date, object]]) -> dict[str, dict[str, str]]:
    """The document names what is stale, by processor and date, with the reason."""
    return {ref: {day.isoformat(): str(by) for day, by in sorted(days.items())} for ref, days in stale.items()}


def stale_lines(stale: Stale) -> list[str]:
    """The lines name what is stale in the order of the dates, the first of them with the reason."""
    found = sorted((day, ref, by) for ref, days in stale.items() for day, by in days.items())
    more = len(found) - STALE_SHOWN
    lines = [f"  {day} {ref}: {by}" for day, ref, by in found[:STALE_SHOWN]]
    return [*lines, f"  and {more} more, which --json names"] if more > 0 else lines


def outdated_lines(outdated: AnotherVersion) -> list[str]:
    """The lines name what is outdated, by processor and reason."""
    lines: list[str] = []
    for ref, days in outdated.items():
        by_reason: dict[str, list[date]] = {}
        for day, by in days.items():
            by_reason.setdefault(str(by), []).append(day)
        lines += [f"  {ref}: {len(on)} dates, {min(on)} to {max(on)}: {by}" for by, on in by_reason.items()]
    return lines


def smaller_batches(index: PlanIndex) -> dict[str, str]:
    """Say of each processor of which fewer dates travel together than the pipeline file asks for how many do, and
    why."""
    return {
        task.ref: f"{task.dates_at_once} of {task.dispatch.batch.dates} dates a call: {_why_fewer(task, task.dispatch)}"
        for task in index.tasks
        if isinstance(task.dispatch, Dispatch) and task.dates_at_once < task.dispatch.batch.dates
    }


def _why_fewer(task: TaskSpec, dispatch: Dispatch) -> str:
    if task.batches == "none":
        return f"worker '{dispatch.worker}' takes no batches"
    seconds = dispatch.timeout_seconds
    return f"a call may take {LONGEST_ANSWER_SECONDS:,} s, and each date {seconds:,} s (timeout_seconds)"


def _counts(tasks: Iterable[TaskSpec], names: tuple[str, str, str, str]) -> dict[str, int]:
    """How many tasks are run, adopted, not needed, and have nothing due, under these names."""
    letters = Counter(letter for task in tasks for letter in task.work)
    kinds = (
        letters[WorkLetter.RUN],
        letters[WorkLetter.ADOPT] + letters[WorkLetter.ADOPT_EMPTY],
        letters[WorkLetter.NOT_NEEDED],
        letters[WorkLetter.NOTHING_DUE],
    )
    return dict(zip(names, kinds, strict=True))


def _why(tasks: Iterable[TaskSpec], why: Reasons) -> dict[str, int]:
    """How many tasks run for which reason, in the order in which reasons are known."""
    counts = Counter(reason for task in tasks for reason in why.get(task.ref, ()) if reason is not None)
    return {reason.value: counts[reason] for reason in Why if counts[reason]}


def _canary(index: PlanIndex) -> dict[str, Any] | None:
    """What goes first: the dates and why, how many dates they are with their windows, and the tasks of these."""
    plan = index.plan
    if not plan.canary:
        return None
    canary = choose(plan.pipeline.calendar, index.calendar, plan.days)
    return {
        "dates": {day.isoformat(): why for day, why in canary.reasons.items()},
        "lacking": list(canary.lacking),
        "dates_with_windows": sum(any(at) for at in zip(*index.canary.values(), strict=True)),
        "tasks_to_run": sum(
            index.tasks[n].work[p] == WorkLetter.RUN
            for group, strip in index.canary.items()
            for n in index.groups[group].tasks
            for p, is_in in enumerate(strip)
            if is_in
        ),
    }


def _phase(index: PlanIndex, phase: str, why: Reasons) -> dict[str, Any]:
    plan = index.plan
    tasks = [task for task in index.tasks if task.phase == phase]
    empty: Counter[str] = Counter()
    maybe: Counter[str] = Counter()
    for task in tasks:
        for letter, day in zip(task.expects, plan.days, strict=True):
            if letter in (ExpectationLetter.EMPTY, ExpectationLetter.OPTIONAL):
                reason = expectation(plan.pipeline, index.calendar, phase, task.spec, day)[1]
                (empty if letter == ExpectationLetter.EMPTY else maybe)[reason] += 1
    return {
        "processors": len(tasks),
        "dates_to_run": sum(any(t.work[p] == WorkLetter.RUN for t in tasks) for p in range(len(plan.days))),
        **_counts(tasks, ("tasks_to_run", "tasks_adopted", "tasks_not_needed", "tasks_with_nothing_due")),
        "why": _why(tasks, why),
        "rightly_empty": dict(empty),
        "may_be_empty": dict(maybe),
        "waits_for": _edges(index, phase),
    }


def _edges(index: PlanIndex, phase: str) -> list[str]:
    lines: dict[str, None] = {}
    for group in (index.groups[n] for n in index.groups_of(phase)):
        members = [index.tasks[t].processor for t in group.tasks]
        who = phase if len(index.groups_of(phase)) == 1 else ", ".join(members)
        if group.released_with:
            lines[f"{who}: released with {index.groups[group.released_with[0]].phase}"] = None
        for edge in group.edges:
            match edge:
                case SameDateEdge():
                    lines[f"{who}: {edge.phase} of the same date"] = None
                case WindowEdge():
                    longest = max((len(w) for w in edge.whole), default=0)
                    names = ", ".join(ref.partition("/")[2] for ref, _ in edge.refs)
                    lines[f"{who}: {names} on up to {longest} dates before"] = None
                case BarrierEdge():
                    lines[f"{who}: all dates of {edge.phase}"] = None
                case ApprovalEdge():
                    lines[f"{who}: a person's approval of {edge.phase}"] = None
    return list(lines)


def plan_text(made: "PlanMade", lacking: Lacking, inputs: Sequence[str] = ()) -> str:
    """The text gives the plan in numbers, as ``plan_document`` has them.

    inputs: the options that name pipeline file and source, for the commands that are printed.
    """
    document = plan_document(made, lacking)
    tasks = document["tasks"]
    lines = [
        f"Plan {document['plan_hash']} of pipeline {document['pipeline']}: {document['dates']} dates "
        f"from {document['first']} to {document['last']}",
        f"{tasks['expected']:,} tasks: {tasks['run']:,} to run, {tasks['adopted']:,} adopted"
        f"{_left(tasks['not_needed'], tasks['nothing_due'])} (reprocess {document['reprocess']})",
        "",
    ]
    if canary := document["canary"]:
        dates = ", ".join(f"{day} ({why})" for day, why in canary["dates"].items())
        lines += [
            f"Canary: {dates}, before all others",
            f"  with the dates of their windows: {canary['dates_with_windows']} dates, "
            f"{canary['tasks_to_run']:,} tasks to run",
            *(f"  {lacking}" for lacking in canary["lacking"]),
            "",
        ]
    if document["stops_at_bad_date"]:
        lines += ["The dates enter in order, and one that ends badly lets no later date in until somebody frees it", ""]
    for name, phase in document["phases"].items():
        left = _left(phase["tasks_not_needed"], phase["tasks_with_nothing_due"])
        lines.append(
            f"{name}: {phase['processors']} processors, {phase['dates_to_run']} dates and {phase['tasks_to_run']:,} "
            f"tasks to run, {phase['tasks_adopted']:,} adopted{left}"
        )
        lines.extend(f"  to run       {n:,} tasks: {WHYS[Why(reason)]}" for reason, n in phase["why"].items())
        lines.extend(f"  waits for    {line}" for line in phase["waits_for"])
        lines.extend(f"  right empty  {n:,} tasks: {why}" for why, n in phase["rightly_empty"].items())
        lines.extend(f"  may be empty {n:,} tasks: {why}" for why, n in phase["may_be_empty"].items())
    if smaller := document["smaller_batches"]:
        lines += ["", "Fewer dates travel together than the pipeline file asks for:"]
        lines += [f"  {ref}: {why}" for ref, why in smaller.items()]
    if lacking:
        lines += ["", "Read by this run, not made by it, and missing in the tables (what needs it will be blocked):"]
        for ref, days in lacking.items():
            first, last = min(days), max(days)
            lines.append(f"  {ref}: {len(days)} dates, {first} to {last} ({days[first]})")
    if made.stale:
        lines += ["", "Made from what has changed since:", *stale_lines(made.stale)]
    if made.outdated:
        lines += ["", "Made by another version of its worker (--reprocess stale makes them again):"]
        lines += outdated_lines(made.outdated)
    if made.not_right:
        lines += ["", "Rows where none are right (their dates will be blocked), and what deletes them:"]
        for ref, filled in made.not_right.items():
            phase, _, processor = ref.partition("/")
            about = ["--phase", phase, "--processor", processor, "--dates", ",".join(map(str, filled)), "--yes"]
            lines.append(f"  {ref}: {len(filled)} dates, {filled[0]} to {filled[-1]}")
            lines.append(f"    {shlex.join(['phasegate', 'rollback', *inputs, *about])}")
    if made.known:
        lines += ["", "What else is to be known (a FAIL keeps a run from starting):"]
        lines += [f"  {line}" for line in made.known]
    return escaped_lines(lines)


def _left(unneeded: int, without: int) -> str:
    """The tasks that are neither run nor adopted."""
    said = f", {unneeded:,} not needed" if unneeded else ""
    return f"{said}, {without:,} with nothing due" if without else said
