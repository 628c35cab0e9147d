"""Stock is taken before a plan is made: which outputs stand as they are, judged by the checks, not by any state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.checks.proof import Found
from phasegate.domain.decisions.needed import Why
from phasegate.domain.decisions.stale import Ages, Changed, Outdated, inputs_outside
from phasegate.domain.decisions.standing import known_to_be_gone
from phasegate.domain.errors import PhasegateError
from phasegate.domain.plan import PlanIndex
from phasegate.domain.spec.pipeline import ObjectOutput, TableOutput
from phasegate.domain.state.run import Waiver
from phasegate.services.reading.ages import find_ages
from phasegate.services.reading.made_with import AskWorkers, ask_nobody
from phasegate.services.reading.prover import Counts, Prover, RanEmpty, is_unsound


@dataclass(frozen=True, slots=True)
class Stock:
    """What is there, and what of it does not stand, for the dates of an index."""

    lacking: list[list[Why | None]]
    """For each task, in the order of the index, by date: why its output does not stand; None: it does, or is an object
    that others read, of which they decide."""

    held: Mapping[str, frozenset[date]] = field(default_factory=dict)
    """By ref: the dates whose objects are there."""

    empty: Mapping[str, frozenset[date]] = field(default_factory=dict)
    """By ref: the dates on which nothing is there, and that stands: a table is rightly empty, or a source is gone."""

    stale: Mapping[str, Mapping[date, Changed]] = field(default_factory=dict)
    """By ref and date: what is stale, whatever else is wrong with it, and by what that changed."""

    outdated: Mapping[str, Mapping[date, Outdated]] = field(default_factory=dict)
    """By ref and date: what another version of its worker made."""


def find_objects(index: PlanIndex, prover: Prover | None) -> dict[str, frozenset[date]]:
    """Find the dates whose objects are there, by ref. prover: None: none is. What cannot be asked is not there."""
    outputs = {t.ref: (t.spec.output, index.days) for t in index.tasks if isinstance(t.spec.output, ObjectOutput)}
    counted = prover.count(outputs) if prover and outputs else {}
    return {ref: frozenset(there) for ref, there in counted.items() if there and not isinstance(there, PhasegateError)}


def take_stock(
    index: PlanIndex,
    prover: Prover | None,
    ran_empty: RanEmpty,
    known: Sequence[Waiver] = (),
    *,
    by_version: bool = False,
    ask_workers: AskWorkers = ask_nobody,
) -> Stock:
    """Take stock of everything that the tasks of an index leave behind, on its dates.

    A table that may be empty and is tells nothing by itself; it stands when every table of its cell that must hold rows
    does, or when a run proved it to be empty (``ran_empty``): what lies outside a run is judged alike
    (``Prover.soundness``). One whose inputs hold something else than it was made from does not stand (``find_ages``).

    prover: None for a warehouse that does not exist yet: its tables are empty. known: the waivers that stand, whichever
    run looks. by_version: what another version of its worker made does not stand either. ask_workers: who says what
    tables would be made with now.
    """
    lacking: list[list[Why | None]] = [[None] * len(index.days) for _ in index.tasks]
    held = find_objects(index, prover)
    empty = _without_source(index, known, held)
    spoiled = _spoiled_objects(index, prover, held, known)
    for task in index.tasks:
        if not isinstance(task.spec.output, TableOutput) and not index.readers[task.number]:
            is_object, there = isinstance(task.spec.output, ObjectOutput), held.get(task.ref, frozenset())
            for position, day in enumerate(index.days):
                if day not in there and day not in empty.get(task.ref, ()):
                    lacking[task.number][position] = Why.MISSING if is_object else Why.NO_OUTPUT
                elif day in spoiled.get(task.ref, ()):
                    lacking[task.number][position] = Why.UNSOUND
    unproved: dict[str, set[date]] = {}
    open_question, ages = _look(index, prover, lacking, empty, known, by_version, ask_workers)
    for number, position in open_question:
        task, day = index.tasks[number], index.days[position]
        mates = index.mates(task.ref, day)
        is_proved = mates and all(lacking[index.by_ref[mate].number][position] is None for mate in mates)
        (empty if is_proved else unproved).setdefault(task.ref, set()).add(day)
    proved = ran_empty(unproved) if prover and unproved else {}
    for ref, days in unproved.items():
        empty.setdefault(ref, set()).update(days.intersection(proved.get(ref, ())))
        for day in days.difference(empty[ref]):
            lacking[index.by_ref[ref].number][index.position[day]] = Why.NEVER_RAN
    return Stock(lacking, held, {ref: frozenset(days) for ref, days in empty.items()}, ages.stale, ages.outdated)


def _spoiled_objects(
    index: PlanIndex, prover: Prover | None, held: Mapping[str, frozenset[date]], known: Sequence[Waiver]
) -> dict[str, set[date]]:
    """Find the objects that are there and that a check of theirs holds back, by ref."""
    checked = {task.ref: task for task in index.tasks if task.ref in held and index.checks(task.ref)}
    if prover is None or not checked:
        return {}
    subjects = {
        ref: (dict(zip(index.days, task.expects, strict=True)), dict.fromkeys(held[ref], Found(1)))
        for ref, task in checked.items()
    }
    there = {
        ref: ({d: x for d, x in expects.items() if d in found}, found) for ref, (expects, found) in subjects.items()
    }
    return {
        ref: {day for day, verdict in judged if verdict.is_asked_again or is_unsound(ref, day, verdict, known)}
        for ref, judged in prover.judge(index, there).items()
    }


def _without_source(
    index: PlanIndex, known: Sequence[Waiver], held: Mapping[str, frozenset[date]]
) -> dict[str, set[date]]:
    """Find what need not be there, as its source is known to be gone, and of objects is not; by ref."""
    empty: dict[str, set[date]] = {}
    for day, ref in known_to_be_gone(index.plan.pipeline, known):
        if day in index.position and ref in index.by_ref and day not in held.get(ref, ()):
            empty.setdefault(ref, set()).add(day)
    return empty


def _look(
    index: PlanIndex,
    prover: Prover | None,
    lacking: list[list[Why | None]],
    empty: dict[str, set[date]],
    known: Sequence[Waiver],
    by_version: bool,
    ask_workers: AskWorkers,
) -> tuple[list[tuple[int, int]], Ages]:
    """Note which tables do not stand, and which are rightly empty; returns what is open, and how old they are.

    Open are those that may be empty, and are; each as (number of the task, position of the date). empty: what need not
    be there; tables that hold rows all the same are taken out.
    """
    tables = [task for task in index.tasks if isinstance(task.spec.output, TableOutput)]
    expected = {task.ref: dict(zip(index.days, task.expects, strict=True)) for task in tables}
    counted: dict[str, Counts] = {ref: {} for ref in expected}
    unsound: dict[str, set[date]] = {}
    ages = Ages({}, {}, {})
    if prover is not None:
        asked = {task.ref: {*index.days} for task in tables}
        for ref, days in inputs_outside(index).items():
            asked.setdefault(ref, set()).update(days)
        outputs = {ref: (index.processor(ref).output, sorted(days)) for ref, days in asked.items()}
        answers = prover.count({ref: of for ref, of in outputs.items() if isinstance(of[0], TableOutput)})
        held_by_ref = {ref: held or {} for ref, held in answers.items() if not isinstance(held, PhasegateError)}
        ages = find_ages(index, held_by_ref, prover.warehouse, ask_workers)
        counted = {
            ref: {day: found for day, found in held.items() if day in index.position}
            for ref, held in held_by_ref.items()
            if ref in expected
        }
        # A date without rows is missing or rightly empty, whatever a check says of it.
        with_rows = {ref: {d: x for d, x in expected[ref].items() if d in held} for ref, held in counted.items()}
        judged = prover.judge(index, {ref: (with_rows[ref], held) for ref, held in counted.items()})
        unsound = {
            ref: {day for day, v in of_ref if v.is_asked_again or is_unsound(ref, day, v, known)}
            for ref, of_ref in judged.items()
        }
    open_question: list[tuple[int, int]] = []
    for task in tables:
        if task.ref not in counted:
            lacking[task.number] = [Why.UNASKED] * len(index.days)
            continue
        for position, (day, expects) in enumerate(expected[task.ref].items()):
            has_rows = day in counted[task.ref]
            is_stale = day in ages.stale.get(task.ref, ())
            is_outdated = by_version and day in ages.outdated.get(task.ref, ())
            may_be_called = expects == ExpectationLetter.OPTIONAL or (
                expects == ExpectationLetter.EMPTY and task.spec.run_when_empty
            )
            if day in empty.get(task.ref, ()):
                if not has_rows:
                    continue
                empty[task.ref].discard(day)
            if not has_rows and may_be_called and not is_stale and not is_outdated:
                open_question.append((task.number, position))
            elif not has_rows and expects == ExpectationLetter.EMPTY:
                empty.setdefault(task.ref, set()).add(day)
            elif not has_rows and expects == ExpectationLetter.EXPECTED:
                lacking[task.number][position] = Why.MISSING
            elif day in unsound.get(task.ref, ()) or expects == ExpectationLetter.EMPTY:
                lacking[task.number][position] = Why.UNSOUND
            elif is_stale:
                lacking[task.number][position] = Why.STALE
            elif is_outdated:
                lacking[task.number][position] = Why.OUTDATED
    return open_question, ages
