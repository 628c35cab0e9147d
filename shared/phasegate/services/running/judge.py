"""The judge makes proofs and verdicts: what the tables say of the release groups that came to rest, for a whole batch
of dates at once."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.checks.proof import Found, judge_proof
from phasegate.domain.decisions.advance import GroupOutcome
from phasegate.domain.decisions.outcome import adopted_without, judge_group
from phasegate.domain.decisions.reconcile import (
    BAD,
    PROVED,
    UNLOCKING,
    Reconciliation,
    TaskStatus,
    TaskView,
    derive,
    reconcile,
)
from phasegate.domain.decisions.standing import known_to_be_gone, standing
from phasegate.domain.errors import PhasegateError, TransientError
from phasegate.domain.plan import PlanIndex, ReleaseGroup, TaskSpec
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.spec.checks import ADOPTED, NOTHING_DUE, PROOF
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.domain.state.facts import BLOCK, AttemptKey, DateFacts, Proved, Verdict
from phasegate.domain.state.run import Waiver
from phasegate.services.reading.prover import Counted, Counts, Prover

_EVER = datetime.min.replace(tzinfo=UTC)
"""Before the end of every known exception."""

_LOOKED_AT = UNLOCKING - {TaskStatus.NOT_NEEDED}


@dataclass(slots=True)
class Judgement:
    """A judgement is what was found of dates with release groups at rest; nothing of it is written yet."""

    facts: dict[date, DateFacts]
    """The dates, as the proofs leave them."""
    proofs: list[tuple[AttemptKey, Proved]]
    """What the tables say of attempts that were not proved before."""
    outcomes: list[GroupOutcome]
    """How release groups ended."""
    unasked: dict[date, str]
    """Dates of which a table could not be asked, and why."""


class Judge:
    """The judge proves what settled release groups reported, then judges the groups in which everything is final.

    A table that cannot be asked proves nothing and concludes no group: its dates are ``unasked``, for the
    conductor to ask again.
    """

    def __init__(self, prover: Prover) -> None:
        self._prover = prover

    def judge(
        self, index: PlanIndex, dates: Mapping[date, DateFacts], waivers: Sequence[Waiver], now: datetime
    ) -> Judgement:
        """Ask the tables about dates of a run: what their outputs hold, then the checks, each for all dates at once.

        waivers: those in force.
        """
        reconciliations = {day: reconcile(facts, index) for day, facts in dates.items()}
        settled = {day: each for day, each in reconciliations.items() if each.settled}
        facts = {day: dates[day] for day in settled}
        days_by_task = _ended_well(index, settled)
        counts = self._prover.count(
            {index.tasks[n].ref: (index.tasks[n].spec.output, days) for n, days in days_by_task.items()}
        )
        uncounted = tuple(n for n in days_by_task if isinstance(counts[index.tasks[n].ref], TransientError))
        unasked = _unasked(index, days_by_task, counts, uncounted)
        proofs = list(_proofs(index, settled, days_by_task, counts, now))
        of_day: dict[date, list[tuple[AttemptKey, Proved]]] = {}
        for key, proof in proofs:
            of_day.setdefault(key.day, []).append((key, proof))
        facts.update({day: facts[day].with_proofs(there) for day, there in of_day.items()})
        final = {day: reconcile(facts[day], index) if day in of_day else each for day, each in settled.items()}
        ended = [
            (day, number)
            for day, each in settled.items()
            # A release group that came to rest by these proofs was not counted: the next pass judges it.
            for number in each.settled
            if number in (after := final[day]).settled
            and not _owes_proof(index, index.groups[number], each, after, uncounted)
        ]
        # Also by an exception that has ended since: that is what the output is adopted by, and why it does not pass.
        gone = known_to_be_gone(index.plan.pipeline, (*waivers, *standing(index.plan.pipeline, _EVER)))
        verdicts = self._verdicts(index, final, ended, counts, gone)
        outcomes: list[GroupOutcome] = []
        for day, number in ended:
            group = index.groups[number]
            outcome = _outcome(index, group, facts[day], final[day], verdicts.get(day, {}), waivers)
            outcomes.append(outcome)
            for verdict in outcome.verdicts:
                if verdict.is_asked_again:
                    unasked.setdefault(day, str(verdict))
        return Judgement(facts, proofs, outcomes, unasked)

    def _verdicts(
        self,
        index: PlanIndex,
        reconciliations: Mapping[date, Reconciliation],
        ended: Iterable[tuple[date, int]],
        counts: Mapping[str, Counted],
        gone: Container[tuple[date, str]],
    ) -> dict[date, dict[int, list[Verdict]]]:
        """What the checks say of ended release groups, and what was sound before and is lost; by date and task.

        gone: (date, ref) of what is, or was, known not to be there, where the run adopts that.
        """
        proved: dict[int, list[date]] = {}
        verdicts: dict[date, dict[int, list[Verdict]]] = {}
        for day, group in ended:
            for number in index.groups[group].tasks:
                view, ref = reconciliations[day].views[number], index.tasks[number].ref
                held = counts[ref] if view.status in PROVED else None
                is_gone = not view.attempt and isinstance(held, dict) and day not in held and (day, ref) in gone
                if is_gone:
                    missed = adopted_without(index.tasks[number].processor)
                    verdicts.setdefault(day, {}).setdefault(number, []).append(missed)
                elif view.status in PROVED:
                    proved.setdefault(number, []).append(day)
        subjects: dict[str, tuple[dict[date, str], Counts]] = {}
        for number, days in proved.items():
            task = index.tasks[number]
            if not isinstance(held := counts[task.ref], PhasegateError) and index.checks(task.ref):
                subjects[task.ref] = ({day: task.expects[index.position[day]] for day in days}, held or {})
        for ref, judged in self._prover.judge(index, subjects).items():
            for day, verdict in judged:
                verdicts.setdefault(day, {}).setdefault(index.by_ref[ref].number, []).append(verdict)
        for number, days in proved.items():
            task = index.tasks[number]
            for day in days:
                lost = _lost(task, index.position[day], day, reconciliations[day].views[number], counts[task.ref])
                if lost is not None:
                    verdicts.setdefault(day, {}).setdefault(number, []).append(lost)
        return verdicts


def _ended_well(index: PlanIndex, reconciliations: Mapping[date, Reconciliation]) -> dict[int, list[date]]:
    """The tasks of settled release groups that have an output to look at, with their dates; not those that nobody
    needs."""
    days_by_task: dict[int, list[date]] = {}
    for day, each in reconciliations.items():
        for group in each.settled:
            for number in index.groups[group].tasks:
                if each.views[number].status in _LOOKED_AT:
                    days_by_task.setdefault(number, []).append(day)
    return days_by_task


def _unasked(
    index: PlanIndex,
    days_by_task: Mapping[int, Sequence[date]],
    counts: Mapping[str, Counted],
    uncounted: Sequence[int],
) -> dict[date, str]:
    """Dates of which an output could not be counted now, and why; tables that failed alike are named together."""
    reasons: dict[date, dict[str, list[str]]] = {}
    for number in uncounted:
        task = index.tasks[number]
        for day in days_by_task[number]:
            reasons.setdefault(day, {}).setdefault(str(counts[task.ref]), []).append(task.processor)
    return {
        day: "; ".join(f"{_named(names)} could not be asked: {error}" for error, names in alike.items())
        for day, alike in reasons.items()
    }


def _proofs(
    index: PlanIndex,
    reconciliations: Mapping[date, Reconciliation],
    days_by_task: Mapping[int, Sequence[date]],
    counts: Mapping[str, Counted],
    now: datetime,
) -> Iterator[tuple[AttemptKey, Proved]]:
    """What was counted, held against every report that is not proved yet. Outputs of so many rows that bear their
    reports out share a proof."""
    borne_out: dict[int | None, Proved] = {}
    for number, days in days_by_task.items():
        task, checks = index.tasks[number], index.checks(index.tasks[number].ref)
        found = counts[task.ref]
        if isinstance(found, TransientError):
            continue
        for day in days:
            view = reconciliations[day].views[number]
            if view.status is not TaskStatus.REPORTED or view.facts is None:
                continue
            if isinstance(found, PhasegateError):
                proof = Proved(False, None, f"the output cannot be asked: {found}", ErrorClass.BUG, now)
            else:
                expects = task.expects[index.position[day]]
                held = None if found is None else found.get(day, Found(0))
                proof = judge_proof(view.facts, task.spec.output, checks, expects, held, now)
                if proof.ok:
                    proof = borne_out.setdefault(proof.rows, proof)
            yield AttemptKey(day, task.phase, task.processor, view.attempt), proof


def _owes_proof(
    index: PlanIndex, group: ReleaseGroup, before: Reconciliation, each: Reconciliation, uncounted: Sequence[int]
) -> bool:
    """Whether a task of the release group, or one that it needs in another group, is reported and not yet proved; or
    whether an output of the group could not be counted.
    """
    views = each.views
    for number in group.tasks:
        if number in uncounted and before.views[number].status in _LOOKED_AT:
            return True
        for n in (number, *index.tasks[number].needs):
            if n in views and views[n].status is TaskStatus.REPORTED:
                return True
    return False


def _lost(task: TaskSpec, position: int, day: date, view: TaskView, held: Counted) -> Verdict | None:
    """What no attempt of the run answers for and is not as it has to be: an output that cannot be asked, whoever made
    it; an adopted one that is gone; rows where none are right. Attempts of the run itself are proved, and that stands.
    """
    if isinstance(held, PhasegateError):
        return Verdict(BLOCK, PROOF, task.processor, 0, 0, f"the output cannot be asked: {held}")
    if view.attempt or held is None:
        return None
    expects = task.expects[position]
    if expects == ExpectationLetter.EMPTY and day in held and isinstance(task.spec.output, TableOutput):
        rows = held[day].rows
        return Verdict(BLOCK, NOTHING_DUE, task.processor, 0, rows, f"0 rows are right here, the table holds {rows}")
    if day in held or expects != ExpectationLetter.EXPECTED:
        return None
    return Verdict(BLOCK, ADOPTED, task.processor, 1, 0, "adopted when planned, and not there any more")


def _outcome(
    index: PlanIndex,
    group: ReleaseGroup,
    facts: DateFacts,
    each: Reconciliation,
    verdicts: Mapping[int, Sequence[Verdict]],
    waivers: Sequence[Waiver],
) -> GroupOutcome:
    views: Mapping[int, TaskView] = each.views
    if any(views[n].status in BAD for n in group.tasks):
        views = dict(enumerate(derive(facts, index)))
    given = [verdict for n in group.tasks for verdict in verdicts.get(n, ())]
    return judge_group(index, group, index.position[facts.day], views, given, waivers)


def _named(names: Sequence[str]) -> str:
    """Some of many names."""
    return f"{', '.join(names[:3])} and {len(names) - 3} more" if len(names) > 3 else ", ".join(names)
