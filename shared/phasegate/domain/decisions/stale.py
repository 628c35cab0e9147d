"""A table is stale on a date where the content of something that it was made from is another one since.

Fences only rise, in every run. So an input that carries a higher fence than the table was written later, and *may* hold
something else than the table was made from: it is a candidate. What the table was made from stands in a record, where
there is one of the table's present fence; then the content decides. Without a record the fence does. What carries no
fence says nothing of its age. The calendar has none: what a table read of it stands in the record, or nobody knows.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.checks.fingerprint import NOTHING, Content
from phasegate.domain.checks.proof import Found
from phasegate.domain.plan import PlanIndex, SameDateEdge, TaskSpec, WorkLetter
from phasegate.domain.spec.dispatch import Observed
from phasegate.domain.spec.pipeline import TableOutput

Held = Mapping[str, Mapping[date, Found]]
"""By ref and date: how much a table holds, and under which fences. What could not be asked is absent."""

Fingerprints = Mapping[str, Mapping[date, str]]
"""By ref and date: the content of a table; a date that is absent has no rows."""


class MadeFrom(NamedTuple):
    """One table that another one was made from, over a window of dates, as it was."""

    fingerprint: str
    """The hash over the window's dates and their contents."""
    dates: int
    """Dates of the window that held rows."""


@dataclass(frozen=True, slots=True)
class MadeRecord:
    """The record of what a table was made from on a date. It belongs to no run."""

    fence: int
    """The fence under which it was made: the record is about rows with this one, and about no others."""

    content: str
    """The fingerprint of what was made; ``NOTHING``: no rows."""

    inputs: Mapping[str, MadeFrom]
    """What it was made from, by ``dataset.table``; under ``CALENDAR`` what it read of the calendar, if it did."""

    version: str = ""
    """The version of the worker that made it, as the pipeline file named it; empty: it named none."""

    made_with: str = ""
    """What the worker said that it made it with; empty: it did not say."""


CALENDAR = "calendar"
"""Among the inputs of a record: the calendar of the season up to the date. No table has a name without a dataset."""

NOBODY_SAYS: Mapping[str, str] = {}
"""No worker was asked what it would make its tables with."""

Records = Mapping[str, Mapping[date, MadeRecord]]
"""By ref and date: the newest record."""


class StaleInput(NamedTuple):
    """A stale input is what changed after the table that was made from it: the latest of several."""

    ref: str
    """``phase/processor`` of the input."""
    day: date
    """The date of the input."""
    why: str
    """How that is known, in words."""

    def __str__(self) -> str:
        return f"{self.ref} of {self.day} {self.why}"


class OtherCalendar(NamedTuple):
    """A table was made from the calendar of its season, which is another one since."""

    day: date
    """The date up to which the season counts."""
    before: int
    """How many dates the season had up to there when it was made."""
    now: int
    """How many it has now."""

    def __str__(self) -> str:
        had = f"{self.before} dates then, and has {self.now} now"
        return (
            f"made from another calendar: its season up to {self.day} had "
            f"{had if self.before != self.now else 'other numbers or keys then'}"
        )


Changed = StaleInput | OtherCalendar
"""What changed after the table that was made from it."""


class Outdated(NamedTuple):
    """An outdated table was made with something else than it would be made with now, as its worker says it or its
    SELECT reads; or, where the worker does not say, by another version of it than the pipeline file names now."""

    made_by: str
    """What made it: in the worker's own words, the hash of its SELECT, or the version that the pipeline file named."""
    present: str
    """What would make it now, in the same words."""
    is_said: bool = False
    """Whether these words are the worker's own, or the SELECT's hash."""

    def __str__(self) -> str:
        if self.is_said:
            return f"made with {self.made_by}, and would be made with {self.present} now"
        return f"made by version {self.made_by} of its worker, which is {self.present} now"


class Ages(NamedTuple):
    """The ages of tables are told by what they were made from."""

    stale: Mapping[str, Mapping[date, Changed]]
    """By ref and date: what is stale, and by what that changed."""
    unknown: Mapping[str, tuple[date, ...]]
    """By ref: the dates of rows of which nothing says whether they are stale."""
    outdated: Mapping[str, Mapping[date, Outdated]]
    """By ref and date: what another version of its worker made, as far as that is known."""


@dataclass(slots=True)
class Candidate:
    """A candidate has an input that was written after it, and a record of what it was made from."""

    ref: str
    """``phase/processor`` of the table."""
    day: date
    """Its date."""
    record: MadeRecord
    """What it was made from."""
    read: Mapping[str, Sequence[date]]
    """By ref of an input: the dates of it that hold rows."""
    later: Mapping[str, date]
    """By ref of an input that was written later: the latest such date."""


@dataclass(slots=True)
class Look:
    """A look at fences and records tells most; the rest is told by the contents of candidates."""

    candidates: list[Candidate] = field(default_factory=list)
    """The tables and dates whose inputs' contents decide."""
    stale: dict[str, dict[date, Changed]] = field(default_factory=dict)
    """By ref and date: what is stale without that."""
    unknown: dict[str, list[date]] = field(default_factory=dict)
    """By ref: the dates of which neither says anything."""
    outdated: dict[str, dict[date, Outdated]] = field(default_factory=dict)
    """By ref and date: what another version made."""

    @property
    def asked(self) -> dict[str, set[date]]:
        """Find whose content has to be asked for: ref -> dates."""
        asked: dict[str, set[date]] = {}
        for candidate in self.candidates:
            for ref in candidate.later:
                asked.setdefault(ref, set()).update(candidate.read[ref])
        return asked


def look(index: PlanIndex, held: Held, records: Records, made_with: Mapping[str, str] = NOBODY_SAYS) -> Look:
    """Look at fences and records, over the tasks and dates of an index.

    held: of tables in the plan and of those that it reads and does not make. made_with: by ref, what its worker says
    that it would make it with now. What was built on what is stale is not named by that alone.
    """
    found = Look()
    for task in index.tasks:
        if not isinstance(task.spec.output, TableOutput) or (own := held.get(task.ref)) is None:
            continue
        recorded = records.get(task.ref, {})
        version, word = version_of(index, task), made_with.get(task.ref, "")
        for day, record in recorded.items():
            if (outdated := _outdated(record, version, word)) and _is_about(record, own.get(day)):
                found.outdated.setdefault(task.ref, {})[day] = outdated
        for day, reads in reads_of(index, task):
            there, made = own.get(day), recorded.get(day)
            other = _other_calendar(index, task, day, made) if made is not None and _is_about(made, there) else None
            if other is None:
                _look_at(found, index, task.ref, day, there, made, reads, _with_rows(held, reads))
            elif there is not None or index.expectation(task.ref, day) != ExpectationLetter.EMPTY:
                found.stale.setdefault(task.ref, {})[day] = other
    return found


def judge_ages(seen: Look, index: PlanIndex, contents: Fingerprints) -> Ages:
    """Judge the candidates by what their inputs hold now.

    contents: of what ``Look.asked`` names. A table that is absent could not be asked: its fences decide.
    """
    stale = {ref: dict(days) for ref, days in seen.stale.items()}
    for candidate in seen.candidates:
        changed = [
            StaleInput(ref, day, "holds something else since")
            if ref in contents
            else StaleInput(ref, day, "was written since, and its content could not be asked")
            for ref, day in candidate.later.items()
            if ref not in contents
            or made_from(candidate.read[ref], contents[ref]) != candidate.record.inputs.get(_table(index, ref))
        ]
        if changed:
            latest = max(changed, key=lambda each: each.day)
            stale.setdefault(candidate.ref, {})[candidate.day] = latest
    return Ages(stale, {ref: tuple(days) for ref, days in seen.unknown.items()}, seen.outdated)


def _outdated(record: MadeRecord, version: str, word: str) -> Outdated | None:
    """Whether something else made it than would now; None: the same, or nobody knows.

    The worker knows best: what it says decides where it has said something both times, whatever its version is.
    """
    if record.made_with and word:
        return None if record.made_with == word else Outdated(record.made_with, word, is_said=True)
    return Outdated(record.version, version) if record.version and version not in ("", record.version) else None


def _is_about(record: MadeRecord, own: Found | None) -> bool:
    """Whether a record is about what a table holds: its very rows, or none."""
    if own is None or not own.rows:
        return record.content == NOTHING
    return _holds_under(own, record.fence)


def calendar_read(index: PlanIndex, task: TaskSpec, day: date) -> MadeFrom | None:
    """Tell what a task reads of the calendar on a date. None: of no other date, or the schedule does not have it."""
    read = index.season_to_date.get(day) if task.spec.reads_calendar else None
    return None if read is None else MadeFrom(*read)


def _other_calendar(index: PlanIndex, task: TaskSpec, day: date, record: MadeRecord) -> OtherCalendar | None:
    """What a table was made from of the calendar, where that is another one now. None: it is the same, or nobody knows.

    No fence tells of it, so none is asked for.
    """
    known, now = record.inputs.get(CALENDAR), calendar_read(index, task, day)
    return None if known is None or now is None or known == now else OtherCalendar(day, known.dates, now.dates)


def version_of(index: PlanIndex, task: TaskSpec) -> str:
    """Return the version of a task's worker that the pipeline file names; empty: none, or nobody is called."""
    if isinstance(task.dispatch, Observed) or task.spec.sql is not None:
        return ""
    return index.plan.pipeline.workers[task.dispatch.worker].version or ""


def made_from_the_same(
    index: PlanIndex,
    wanted: Mapping[str, Collection[date]],
    records: Records,
    contents: Mapping[str, Mapping[date, Content]],
) -> dict[str, frozenset[date]]:
    """Find the tables that would be made from what they were made from: ref -> dates.

    wanted: by ref, the dates in question. contents: of these, and of all tables that they are made from
    (``dates_read``); one that is absent could not be asked. Where nothing is recorded of the very rows that are there,
    nobody knows.
    """
    found: dict[str, frozenset[date]] = {}
    prints = {ref: {day: each.fingerprint for day, each in of_ref.items()} for ref, of_ref in contents.items()}
    for task in index.tasks:
        if task.ref not in wanted or task.ref not in contents:
            continue
        same: set[date] = set()
        for day, reads in reads_of(index, task):
            own, record = contents[task.ref].get(day), records.get(task.ref, {}).get(day)
            if day not in wanted[task.ref] or own is None or record is None or own.fingerprint != record.content:
                continue
            if (own.lowest_fence, own.highest_fence) != (record.fence, record.fence):
                continue
            tables = [ref for ref in reads if isinstance(index.processor(ref).output, TableOutput)]
            if _other_calendar(index, task, day, record) is None and all(
                ref in prints and made_from(reads[ref], prints[ref]) == record.inputs.get(_table(index, ref))
                for ref in tables
            ):
                same.add(day)
        found[task.ref] = frozenset(same)
    return found


def waits_for_its_inputs(index: PlanIndex, task: TaskSpec, position: int, left: Collection[int]) -> bool:
    """Tell whether all that a task is made from on a date has come to its end when it is released, in tables.

    left: numbers of tasks that are left alone there, and so are as they were.
    """
    edges = (edge for edge in index.groups[task.group].edges if isinstance(edge, SameDateEdge))
    waited = {ref for edge in edges for ref in edge.refs}
    for ref in index.inputs[task.number].same_date:
        other = index.by_ref.get(ref)
        if other is None or other.number in left or other.work[position] != WorkLetter.RUN:
            continue
        if ref not in waited or not isinstance(other.spec.output, TableOutput):
            return False
    return True


class Made(NamedTuple):
    """What was made on a date, and can be said to have been made from what its inputs hold now."""

    ref: str
    """``phase/processor``."""
    day: date
    """The date."""
    read: Mapping[str, Sequence[date]]
    """By ref of an input: the dates of it that hold rows."""


def made_from_what_is_there(index: PlanIndex, made: Mapping[str, Mapping[date, int]], held: Held) -> Iterator[Made]:
    """Choose, of what was made, that whose inputs still hold what it was made from: nothing of them was written since.

    made: by ref and date, the fence. held: as for ``look``. An input without a fence, or one that could not be asked,
    leaves it open.
    """
    for task in index.tasks:
        if (fences := made.get(task.ref)) is None:
            continue
        for day, reads in reads_of(index, task):
            if (fence := fences.get(day)) is None or not _holds_under(held[task.ref].get(day), fence):
                continue
            tables = {ref for ref in reads if isinstance(index.processor(ref).output, TableOutput)}
            read = _with_rows(held, reads)
            if tables <= held.keys() and all(
                there.highest_fence is not None and there.highest_fence < fence
                for of_ref in read.values()
                for _, there in of_ref
            ):
                yield Made(task.ref, day, {ref: [when for when, _ in read[ref]] for ref in sorted(tables)})


def made_from(days: Iterable[date], contents: Mapping[date, str]) -> MadeFrom:
    """Hash the contents of one table over a window. Dates without rows do not count."""
    pairs = [(day, content) for day in sorted(days) if (content := contents.get(day, NOTHING)) != NOTHING]
    text = "".join(f"{day} {content}\n" for day, content in pairs)
    return MadeFrom(hashlib.sha256(text.encode()).hexdigest()[:32], len(pairs))


def reads_of(index: PlanIndex, task: TaskSpec) -> Iterator[tuple[date, dict[str, list[date]]]]:
    """Tell, for each date of an index, which dates of which outputs a task is made from there: ref -> dates."""
    same_date, windows = index.inputs[task.number]
    for position, day in enumerate(index.days):
        reads = {ref: [day] for ref in same_date}
        for ref, edge in windows:
            reads[ref] = [*dict.fromkeys((*reads.get(ref, ()), *edge.whole[position]))]
        yield day, reads


def dates_read(index: PlanIndex, days_by_ref: Mapping[str, Collection[date]]) -> dict[str, set[date]]:
    """Find what has to be known to tell the age of tables on some dates: theirs, and those of the tables that they are
    made from; ref -> dates."""
    found: dict[str, set[date]] = {ref: set(days) for ref, days in days_by_ref.items()}
    for task in index.tasks:
        if wanted := days_by_ref.get(task.ref):
            for day, reads in reads_of(index, task):
                for ref, days in reads.items() if day in wanted else ():
                    if isinstance(index.processor(ref).output, TableOutput):
                        found.setdefault(ref, set()).update(days)
    return found


def inputs_outside(index: PlanIndex) -> dict[str, frozenset[date]]:
    """Find what the tasks of an index are made from and the index does not make: ref -> dates."""
    found: dict[str, set[date]] = {}
    for task in index.tasks:
        same_date, windows = index.inputs[task.number]
        for ref in same_date:
            if ref not in index.by_ref:
                found.setdefault(ref, set()).update(index.days)
        for ref, edge in windows:
            beyond = {day for window in edge.whole for day in window}
            if ref in index.by_ref:
                beyond.difference_update(index.days)
            found.setdefault(ref, set()).update(beyond)
    return {ref: frozenset(days) for ref, days in found.items() if days}


def _with_rows(held: Held, reads: Mapping[str, Sequence[date]]) -> dict[str, list[tuple[date, Found]]]:
    """What the tables that could be asked hold of what is read."""
    return {
        ref: [(day, there) for day in days if (there := of_ref.get(day)) is not None and there.rows]
        for ref, days in reads.items()
        if (of_ref := held.get(ref)) is not None
    }


def _holds_under(own: Found | None, fence: int) -> bool:
    """Whether a table holds nothing, or nothing but what was written under a fence."""
    return own is None or not own.rows or (own.lowest_fence, own.highest_fence) == (fence, fence)


def _look_at(
    found: Look,
    index: PlanIndex,
    ref: str,
    day: date,
    own: Found | None,
    record: MadeRecord | None,
    reads: Mapping[str, Sequence[date]],
    read: Mapping[str, Sequence[tuple[date, Found]]],
) -> None:
    """Look at one table on one date, and note what is found."""
    if own is not None and own.rows:
        made_under = own.lowest_fence
        if record is not None and not _holds_under(own, record.fence):
            record = None
    elif record is not None and record.content == NOTHING:
        made_under = record.fence
    else:
        return
    if made_under is None:
        if any(read.values()):
            found.unknown.setdefault(ref, []).append(day)
        return
    if record is not None:
        for name, there in read.items():
            known = record.inputs.get(_table(index, name))
            if known is not None and len(there) < known.dates:
                # Rows that are due and not there are missing: they are made again, and then their content decides.
                gone = set(reads[name]).difference(when for when, _ in there)
                rightly = [when for when in gone if index.expectation(name, when) != ExpectationLetter.EXPECTED]
                if known.dates > len(there) + len(gone) - len(rightly):
                    found.stale.setdefault(ref, {})[day] = StaleInput(name, max(rightly), "holds nothing any more")
                    return
    later = {name: last for name, there in read.items() if (last := _latest(there, made_under)) is not None}
    if later and record is None:
        fence, name, when = max((there.highest_fence or 0, name, when) for name, (when, there) in later.items())
        why = f"was written later (fence {fence}, and {made_under} here)"
        found.stale.setdefault(ref, {})[day] = StaleInput(name, when, why)
    elif later and record is not None:
        days_of = {name: [when for when, _ in there] for name, there in read.items()}
        found.candidates.append(Candidate(ref, day, record, days_of, {name: when for name, (when, _) in later.items()}))
    elif record is None and any(there.lowest_fence is None for of_ref in read.values() for _, there in of_ref):
        found.unknown.setdefault(ref, []).append(day)


def _latest(there: Iterable[tuple[date, Found]], made_under: int) -> tuple[date, Found] | None:
    """Of what was written after something that was made under a fence: that with the highest one."""
    later = [each for each in there if each[1].highest_fence is not None and each[1].highest_fence > made_under]
    return max(later, key=lambda each: (each[1].highest_fence or 0, each[0]), default=None)


def _table(index: PlanIndex, ref: str) -> str:
    output = index.processor(ref).output
    return output.table if isinstance(output, TableOutput) else ref
