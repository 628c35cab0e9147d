"""A release group at rest is judged by its tasks, its checks and the waivers in force.

The same function judges again when a waiver came or ended: from what was found once, no table is asked for that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.decisions.advance import GroupOutcome
from phasegate.domain.decisions.reconcile import BAD, TaskStatus, TaskView, derive
from phasegate.domain.decisions.standing import known_to_be_gone
from phasegate.domain.decisions.waiving import blocks, waived
from phasegate.domain.plan import PlanIndex, ReleaseGroup
from phasegate.domain.spec.checks import UNRECOVERABLE
from phasegate.domain.state.board import BoardLetter
from phasegate.domain.state.facts import BLOCK, DateFacts, GroupState, Verdict
from phasegate.domain.state.run import Waiver
from phasegate.domain.state.unsound import Blocked, NotRun, Unsound


def judge_group(
    index: PlanIndex,
    group: ReleaseGroup,
    position: int,
    views: Mapping[int, TaskView],
    verdicts: Sequence[Verdict],
    waivers: Sequence[Waiver],
) -> GroupOutcome:
    """Judge a release group at a date. views: its tasks and, where one ended badly, all of the date; by number.

    verdicts: of the checks. waivers: those in force.
    """
    given = list(_marked(index, index.days[position], group.phase, verdicts, waivers))
    bad: dict[str, Unsound] = {}
    for number in group.tasks:
        task, view = index.tasks[number], views[number]
        if view.status not in BAD:
            continue
        if (let_pass := _let_pass(index, position, number, views, waivers)) is not None:
            given.append(let_pass)
        elif view.status is TaskStatus.UPSTREAM_FAILED or view.failure is None:
            bad[task.ref] = NotRun("not run: something it needs ended badly")
        else:
            bad[task.ref] = view.failure
    has_failed = bool(bad)
    blocking: dict[str, list[Verdict]] = {}
    for verdict in filter(blocks, given):
        blocking.setdefault(f"{group.phase}/{verdict.subject}", []).append(verdict)
    for ref, of_ref in blocking.items():
        # Two checks of one kind may share its name: a date is counted once for both.
        names = dict.fromkeys(verdict.check for verdict in of_ref)
        bad.setdefault(ref, Blocked(str(of_ref[0]), tuple(names)))
    if any(verdict.is_asked_again for verdict in given):
        letter = BoardLetter.UNJUDGED
    elif bad:
        letter = BoardLetter.FAILED if has_failed else BoardLetter.BLOCKED
    else:
        is_rightly_empty = all(
            index.tasks[number].expects[position] == ExpectationLetter.EMPTY for number in group.tasks
        )
        letter = BoardLetter.SKIPPED if is_rightly_empty else BoardLetter.PASSED
    return GroupOutcome(position, group.number, letter, bad, tuple(given))


def judge_again(
    index: PlanIndex, group: ReleaseGroup, state: GroupState, facts: DateFacts, waivers: Sequence[Waiver]
) -> GroupOutcome | None:
    """Judge a release group that had come to rest, under these waivers; None when it stays as it is.

    facts: of its date.
    """
    if state.concluded is None:
        return None
    views = dict(enumerate(derive(facts, index)))
    made_anew = {index.tasks[number].processor for number in group.tasks if views[number].status in BAD}
    kept = [v for v in state.verdicts if v.check != UNRECOVERABLE or v.subject not in made_anew]
    outcome = judge_group(index, group, index.position[facts.day], views, kept, waivers)
    return None if outcome.verdicts == state.verdicts else outcome


def passes_without(
    index: PlanIndex, facts: DateFacts, views: Sequence[TaskView], waivers: Sequence[Waiver]
) -> dict[str, Verdict]:
    """Find what passes on a date without an output under these waivers, by ``phase/processor``. facts: of the date;
    views: of all its tasks."""
    position, by_number = index.position[facts.day], dict(enumerate(views))
    passing: dict[str, Verdict] = {}
    for number, view in by_number.items():
        verdict = _let_pass(index, position, number, by_number, waivers) if view.status in BAD else None
        if verdict is not None:
            passing[index.tasks[number].ref] = verdict
    for phase, cell in facts.cells.items():
        adopted = [v for group in cell.groups.values() for v in group.verdicts if v.check == UNRECOVERABLE]
        for verdict in _marked(index, facts.day, phase, adopted, waivers):
            if verdict.waived_by and views[index.by_ref[ref := f"{phase}/{verdict.subject}"].number].status not in BAD:
                passing[ref] = verdict
    return passing


def adopted_without(processor: str) -> Verdict:
    """The verdict on an output that was never made and is adopted: it passes as long as something lets it."""
    detail = "nothing is there: adopted since its source was known to be gone when the run was planned"
    return Verdict(BLOCK, UNRECOVERABLE, processor, 0, 0, detail)


def _marked(
    index: PlanIndex, day: date, phase: str, verdicts: Sequence[Verdict], waivers: Sequence[Waiver]
) -> tuple[Verdict, ...]:
    """The verdicts, each that holds back with the waiver by which it passes: the one that covers it or, of what is not
    there, one about the source that is gone."""
    marked = waived(verdicts, day, phase, waivers)
    if all(verdict.check != UNRECOVERABLE or verdict.waived_by for verdict in marked):
        return marked
    gone = known_to_be_gone(index.plan.pipeline, waivers)

    def by_source(verdict: Verdict) -> Verdict:
        waiver = gone.get((day, f"{phase}/{verdict.subject}"))
        return verdict if waiver is None else replace(verdict, waived_by=waiver.id)

    return tuple(v if v.check != UNRECOVERABLE or v.waived_by else by_source(v) for v in marked)


def _let_pass(
    index: PlanIndex, position: int, number: int, views: Mapping[int, TaskView], waivers: Sequence[Waiver]
) -> Verdict | None:
    """The verdict by which a task without an output passes: its source is gone, or that of all that it needs, and a
    person goes on without it. None when nobody does.
    """
    day, task = index.days[position], index.tasks[number]
    signed: list[str] = []
    for root in dict.fromkeys(_roots(index, number, views)):
        of, view = index.tasks[root], views[root]
        covering = (w.id for w in waivers if w.covers(day, of.phase, of.processor, UNRECOVERABLE))
        waiver = next(covering, None) if view.status is TaskStatus.UNRECOVERABLE else None
        if waiver is None:
            return None
        signed.append(waiver)
        detail = view.message if root == number else f"not run: it needs {of.ref}, whose source is gone"
    return Verdict(BLOCK, UNRECOVERABLE, task.processor, 0, 0, detail, waived_by=signed[0])


def _roots(index: PlanIndex, number: int, views: Mapping[int, TaskView]) -> Iterator[int]:
    """The tasks that ended badly by themselves and for which this one has no output; itself, if it is one."""
    if views[number].status is not TaskStatus.UPSTREAM_FAILED:
        yield number
        return
    for need in index.tasks[number].needs:
        if views[need].status in BAD:
            yield from _roots(index, need, views)


def let_pass(facts: DateFacts) -> set[str]:
    """Find what has no output on a date and passes all the same, as ``phase/processor``."""
    return {
        f"{phase}/{verdict.subject}"
        for phase, cell in facts.cells.items()
        for group in cell.groups.values()
        for verdict in group.verdicts
        if verdict.check == UNRECOVERABLE and verdict.waived_by
    }
