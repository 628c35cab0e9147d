"""What a run has to make is decided once: from what stands in the tables, over all that is built on what does not.

A table stands by itself. An object is needed only by readers that will run: with none of them nobody looks for it, and
nothing is said of it. With one it is there, and adopted, or is made. It is made anew, be it there or not, where what
reads it does not stand itself: nobody knows which of the two is at fault.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.decisions.built_on import Marks, marks, spread
from phasegate.domain.plan import PlanIndex, TaskSpec, WorkLetter
from phasegate.domain.spec.pipeline import ObjectOutput, TableOutput


class Why(StrEnum):
    """Why a task runs on a date. What does not stand has a reason of its own; the rest follows from others."""

    ASKED = "all"
    """Everything was asked for again."""
    FAILED = "not_finished"
    """No earlier run brought it to a good end."""
    SOURCE = "another_source"
    """What is there was made from another source folder."""
    MISSING = "missing"
    """Its output is not there."""
    UNSOUND = "unsound"
    """Its table holds what does not pass its checks, or rows where none are right."""
    STALE = "stale"
    """Something that it was made from holds something else since; or was written since, and no record says what it was
    made from."""
    OUTDATED = "outdated"
    """Another version of its worker made it."""
    UNASKED = "not_asked"
    """Its table, or a check, could not be asked."""
    NEVER_RAN = "never_ran"
    """Its table may be empty, and is; nothing proves that it was ever run."""
    NO_OUTPUT = "no_output"
    """It leaves nothing that could be looked at, and nothing reads it."""
    READ = "read"
    """What reads it runs: there it is not, or its reader does not stand, or it leaves nothing to look at."""
    BUILT_ON = "built_on"
    """What it is made from runs."""


WHYS: Mapping[Why, str] = {
    Why.ASKED: "everything is made again",
    Why.FAILED: "no earlier run finished it",
    Why.SOURCE: "made from another source folder",
    Why.MISSING: "its output is not there",
    Why.UNSOUND: "what is there does not pass",
    Why.STALE: "what it was made from has changed",
    Why.OUTDATED: "another version of its worker made it",
    Why.UNASKED: "its table could not be asked",
    Why.NEVER_RAN: "empty, and nothing proves that it ever ran",
    Why.NO_OUTPUT: "it leaves nothing that could be looked at",
    Why.READ: "what reads it runs",
    Why.BUILT_ON: "made from what runs",
}
"""In words for people."""

Lacking = Sequence[Sequence[Why | None]]
"""For each task, in the order of the index, by date: why its output does not stand; None: it does. Nothing is asked of
what writes no table and is read by others: these decide."""


@dataclass(frozen=True, slots=True)
class Needed:
    """What is needed is decided for each task of an index."""

    letters: dict[str, str]
    """By ``phase/processor``: one ``WorkLetter`` per date."""

    why: dict[str, list[Why | None]]
    """By ``phase/processor``: why it runs on each date; None: it does not."""

    not_right: dict[str, list[date]]
    """By ``phase/processor``: the dates on which rows are known to stand where none are right, and nobody is called."""


def needed(
    index: PlanIndex, lacking: Lacking, held: Mapping[str, frozenset[date]], empty: Mapping[str, frozenset[date]]
) -> Needed:
    """Decide what runs: what does not stand, what that is read from, and all that was or will be built on it.

    Where nothing is expected of a task nobody is called, whatever is there.

    held: by ref, the dates whose objects are there. empty: by ref, the dates on which nothing is there and that stands:
    a table that may be empty, or an output whose source is known to be gone.
    """
    seeds = [
        [why if task.is_called(position) else None for position, why in enumerate(lacking[task.number])]
        for task in index.tasks
    ]
    read = [task for task in reversed(index.tasks) if index.readers[task.number]]
    for task in read:
        for position in range(len(index.days)):
            if task.is_called(position):
                why = _as_read([seeds[n][position] for n in index.readers[task.number]])
                is_gone = why is Why.READ and index.days[position] in empty.get(task.ref, ())
                seeds[task.number][position] = None if is_gone else why
    runs = spread(index, seeds)
    while _call_for(
        index, read, {**held, **{ref: held.get(ref, frozenset()) | empty[ref] for ref in empty}}, seeds, runs
    ):
        runs = spread(index, seeds)
    return Needed(
        {task.ref: "".join(_letters(index, task, runs, empty)) for task in index.tasks},
        {
            task.ref: [
                (why or Why.BUILT_ON) if is_run else None
                for why, is_run in zip(seeds[task.number], runs[task.number], strict=True)
            ]
            for task in index.tasks
        },
        {task.ref: days for task in index.tasks if (days := _not_right(index, task, lacking[task.number]))},
    )


def _not_right(index: PlanIndex, task: TaskSpec, lacking: Sequence[Why | None]) -> list[date]:
    return [
        day
        for position, day in enumerate(index.days)
        if lacking[position] is Why.UNSOUND and not task.is_called(position)
    ]


def _as_read(readers: Sequence[Why | None]) -> Why | None:
    """Why an object is made whose readers do not stand for these reasons; None: they do."""
    # What is stale has other inputs at fault than what it reads on the way.
    lacking = [why for why in readers if why not in (None, Why.STALE, Why.OUTDATED)]
    whole = next((why for why in lacking if why in (Why.ASKED, Why.SOURCE)), None)
    return whole or (Why.READ if lacking else None)


def _call_for(
    index: PlanIndex,
    read: Sequence[TaskSpec],
    held: Mapping[str, frozenset[date]],
    seeds: list[list[Why | None]],
    runs: list[list[bool]],
) -> bool:
    """Have made what is read by what runs, and is not there; whether there was any."""
    is_more = False
    for task in read:
        there = held.get(task.ref, frozenset())
        for position, day in enumerate(index.days):
            if runs[task.number][position] or day in there or not task.is_called(position):
                continue
            if any(runs[n][position] for n in index.readers[task.number]):
                seeds[task.number][position] = Why.READ
                runs[task.number][position] = is_more = True
    return is_more


def _letters(
    index: PlanIndex,
    task: TaskSpec,
    runs: Sequence[Sequence[bool]],
    empty: Mapping[str, frozenset[date]],
) -> list[str]:
    letters: list[str] = []
    is_table, readers = isinstance(task.spec.output, TableOutput), index.readers[task.number]
    found_empty = empty.get(task.ref, frozenset())
    for position, day in enumerate(index.days):
        if not task.is_called(position):
            letters.append(WorkLetter.NOTHING_DUE)
        elif runs[task.number][position]:
            letters.append(WorkLetter.RUN)
        elif not is_table and readers and not any(runs[n][position] for n in readers):
            letters.append(WorkLetter.NOT_NEEDED)
        else:
            letters.append(WorkLetter.ADOPT_EMPTY if day in found_empty else WorkLetter.ADOPT)
    return letters


def unwanted(index: PlanIndex, stands: Mapping[str, frozenset[date]]) -> dict[str, frozenset[date]]:
    """Find the objects that nobody needs: whatever reads them stands. ref -> dates.

    stands: by ref, the dates on which an output is whole.
    """
    found: dict[str, frozenset[date]] = {}
    good: dict[int, frozenset[date]] = {
        task.number: stands.get(task.ref, frozenset()) for task in index.tasks if index.readers[task.number] == ()
    }
    for task in reversed(index.tasks):
        if readers := index.readers[task.number]:
            unread = frozenset.intersection(*(good[n] for n in readers))
            good[task.number] = stands.get(task.ref, frozenset()) | unread
            if isinstance(task.spec.output, ObjectOutput):
                found[task.ref] = unread
    return found


def unseen(index: PlanIndex, gone: Mapping[str, Collection[date]]) -> tuple[str, ...]:
    """Find those of the outputs that are gone which a plan of what is missing does not make again, on some date.

    An object is made for readers that run, and a table that may be empty is judged by the others of its phase: where
    these are still there, nothing is missing.
    """
    taken = marks(index, gone)
    lacking: list[list[Why | None]] = []
    for task in index.tasks:
        is_decided = isinstance(task.spec.output, TableOutput) or not index.readers[task.number]
        missed = (
            is_gone and is_decided and _is_missed(index, task, p, taken) for p, is_gone in enumerate(taken[task.number])
        )
        lacking.append([Why.MISSING if is_missed else None for is_missed in missed])
    held = {task.ref: frozenset(index.days).difference(gone.get(task.ref, ())) for task in index.tasks}
    again = needed(index, lacking, held, {}).letters
    return tuple(
        task.ref
        for task in index.tasks
        if any(
            is_gone and again[task.ref][p] not in (WorkLetter.RUN, WorkLetter.NOTHING_DUE)
            for p, is_gone in enumerate(taken[task.number])
        )
    )


def _is_missed(index: PlanIndex, task: TaskSpec, position: int, taken: Marks) -> bool:
    if task.expects[position] != ExpectationLetter.OPTIONAL:
        return True
    mates = index.mates(task.ref, index.days[position])
    return not mates or any(taken[index.by_ref[mate].number][position] for mate in mates)
