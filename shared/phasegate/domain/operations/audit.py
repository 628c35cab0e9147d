"""The audit of one task compares what a table holds with what the calendar demands and what a run says of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from phasegate.domain.calendar.cross_check import GapKind
from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.decisions.waiving import blocks
from phasegate.domain.spec.checks import UNRECOVERABLE
from phasegate.domain.state.facts import BLOCK, UNKNOWN, Verdict


class Discrepancy(StrEnum):
    """State, tables and calendar differ in these ways. Each is counted by itself."""

    MISSING = "missing"
    INCOMPLETE = "incomplete"
    PASSED_BUT_EMPTY = "passed_but_empty"
    PASSED_BUT_INCOMPLETE = "passed_but_incomplete"
    ROW_COUNT_DIFFERS = "row_count_differs"
    NEVER_RECORDED = "rows_never_recorded"
    FAILED_BUT_SOUND = "failed_but_sound"
    NOT_DONE = "not_done"
    NOT_RIGHT = "rows_where_none_are_right"
    OFF_THE_CALENDAR = "rows_off_the_calendar"
    DUPLICATES = "duplicate_keys"
    EARLIER_ATTEMPT = "rows_of_an_earlier_attempt"
    WITHOUT_FENCE = "rows_without_a_fence"
    WRITTEN_SINCE = "written_since_by_nobody_known"
    STALE = "older_than_its_inputs"
    NOT_ASKED = "could_not_be_asked"
    UNITS_OFF_THE_CALENDAR = GapKind.OFF_THE_CALENDAR.value
    ONLY_IN_THE_CALENDAR = GapKind.ONLY_IN_THE_CALENDAR.value
    UNDECIDED = GapKind.UNDECIDED.value
    DOUBLED_UNITS = GapKind.DOUBLED.value
    UNNAMED_UNITS = GapKind.UNNAMED.value
    RESCHEDULED = "changed_in_the_schedule"


BETWEEN_TABLES = "one table and another"
STATE_AND_TABLES, CALENDAR_AND_TABLES, PLAN_AND_STATE = "state and tables", "calendar and tables", "plan and state"
CALENDAR_AND_SOURCES = "calendar and sources"

MEANINGS: dict[Discrepancy, tuple[str, str]] = {
    Discrepancy.MISSING: (
        CALENDAR_AND_TABLES,
        "the calendar demands output, and there is none; no state says otherwise",
    ),
    Discrepancy.INCOMPLETE: (CALENDAR_AND_TABLES, "not the rows or keys that are due; no state says otherwise"),
    Discrepancy.PASSED_BUT_EMPTY: (STATE_AND_TABLES, "state says passed, there is no output"),
    Discrepancy.PASSED_BUT_INCOMPLETE: (STATE_AND_TABLES, "state says passed, not the rows or keys that are due"),
    Discrepancy.ROW_COUNT_DIFFERS: (STATE_AND_TABLES, "another number of rows than was proved"),
    Discrepancy.NEVER_RECORDED: (STATE_AND_TABLES, "rows there, never recorded"),
    Discrepancy.FAILED_BUT_SOUND: (STATE_AND_TABLES, "state says failed or blocked, the output is sound"),
    Discrepancy.NOT_DONE: (PLAN_AND_STATE, "state says not done, and no output is there that would have to be"),
    Discrepancy.NOT_RIGHT: (CALENDAR_AND_TABLES, "rows on a date that rightly has none"),
    Discrepancy.OFF_THE_CALENDAR: (
        CALENDAR_AND_TABLES,
        "rows on a date that the calendar does not have, or without a date",
    ),
    Discrepancy.DUPLICATES: (CALENDAR_AND_TABLES, "rows with equal keys"),
    Discrepancy.EARLIER_ATTEMPT: (STATE_AND_TABLES, "rows that an earlier attempt wrote"),
    Discrepancy.WITHOUT_FENCE: (STATE_AND_TABLES, "rows that no attempt wrote"),
    Discrepancy.WRITTEN_SINCE: (STATE_AND_TABLES, "rows under a later fence, and no later run has worked on the task"),
    Discrepancy.STALE: (BETWEEN_TABLES, "rows that were made from something else than what is there now"),
    Discrepancy.NOT_ASKED: (CALENDAR_AND_TABLES, "the output could not be asked: nothing is known of it"),
    Discrepancy.UNITS_OFF_THE_CALENDAR: (
        CALENDAR_AND_SOURCES,
        "a source or table holds units that the schedule does not have, or has as postponed or not counting",
    ),
    Discrepancy.ONLY_IN_THE_CALENDAR: (
        CALENDAR_AND_SOURCES,
        "the schedule has units of which a source or table has no rows",
    ),
    Discrepancy.UNDECIDED: (CALENDAR_AND_SOURCES, "past rows of the schedule that neither count nor plainly do not"),
    Discrepancy.DOUBLED_UNITS: (CALENDAR_AND_SOURCES, "units that count more than once in the schedule"),
    Discrepancy.UNNAMED_UNITS: (CALENDAR_AND_SOURCES, "rows of the schedule whose key is NULL"),
    Discrepancy.RESCHEDULED: (
        CALENDAR_AND_SOURCES,
        "the schedule says something else of the date than it did when the run was planned",
    ),
}
"""For each discrepancy: between which two it lies, and what it means."""


def between_state_and_tables(kinds: Mapping[str, int]) -> int:
    """Count the findings that contradict what a run says of its tasks. kinds: how many there are of each kind; one that
    an earlier version knew is no contradiction."""
    state = {kind.value for kind, (between, _) in MEANINGS.items() if between == STATE_AND_TABLES}
    return sum(n for kind, n in kinds.items() if kind in state)


class Own(Enum):
    """The verifier itself asks this of an output. No text, so that no check is taken for it, whatever its name."""

    ROWS = "rows"
    KEYS = "keys"
    FENCES = "fences"
    FIGURES = "figures"
    STATE = "state"


class Word(StrEnum):
    """A word is what a run says of a task. OPEN: it is still to come; NOTHING: it never came to an end; HELD: neither
    did the rest of its release group, as something else ended badly or the run was ended."""

    PASSED = "passed"
    BAD = "bad"
    NOTHING = "nothing"
    HELD = "held"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record is a run's word on a task."""

    word: Word
    """Whether the task passed, ended badly, is still to come, or never came to an end."""

    rows: int | None = None
    """Rows that were proved; None: no number was."""

    fence: int | None = None
    """The fence of the attempt that passed; None: none is known."""

    why: str = ""
    """What was said of a bad end; empty otherwise."""

    is_superseded: bool = False
    """Whether a later run has worked on the same task, and may have written since."""

    is_not_needed: bool = False
    """Whether the run left it alone, as nothing that reads its output ran."""

    @property
    def said(self) -> str:
        """Put a word other than PASSED into a sentence."""
        if self.word is Word.BAD:
            return f"state says: {self.why or 'failed'}"
        return "state says: still to come" if self.word is Word.OPEN else "state says: never done"


def needs_nothing(expects: str, recorded: Recorded) -> bool:
    """Tell whether it is right so far that a task has done nothing: nothing is expected of it, and it was held back."""
    return expects == ExpectationLetter.EMPTY and recorded.word in (Word.HELD, Word.OPEN)


@dataclass(frozen=True, slots=True)
class TableContent:
    """A table's content is what an output holds for a date, in numbers."""

    rows: int = 0
    """All rows of the date; 1 for an object that is there."""

    lowest_fence: int | None = None
    """The lowest fence among the rows; None: no row has one."""

    highest_fence: int | None = None
    """The highest fence among the rows; None: no row has one."""

    unfenced: int = 0
    """Rows without a fence, in a table that keeps it."""

    doubled: int = 0
    """Rows beyond the first of their keys."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference is one way in which a task's output is not as it should be."""

    kind: Discrepancy
    """The way in which it differs."""

    detail: str
    """What differs, in a sentence."""

    expected: int | None
    """Rows, keys or values that should be there; None: no number is known."""

    found: int | None
    """How many are there; None: it is not about a number."""

    shown_by: Own | str
    """Whose query shows it: one of the verifier's own, or that of the check of this name."""


ROWS, REPEATS = "rows", "repeats"
"""What a check looks at, where it is looked at here too: the number of rows; the output's keys that are there twice."""

NOTHING_HELD = TableContent()


def is_sound(expects: str, held: TableContent, verdicts: Sequence[Verdict]) -> bool:
    """Tell whether the calendar's demand is met: rows where they are due, none where none are right, no key twice.

    A check that blocks, could not be asked or passes by a waiver is not met.
    """
    if expects == ExpectationLetter.EMPTY:
        return not held.rows
    if held.doubled or (expects == ExpectationLetter.EXPECTED and not held.rows):
        return False
    return not any(verdict.outcome in (UNKNOWN, BLOCK) for verdict in verdicts)


def is_let_pass(expects: str, held: TableContent, verdicts: Sequence[Verdict], looks_at: Mapping[str, str]) -> bool:
    """Tell whether waivers are all that lets an output pass. Arguments as for ``differences``."""
    is_waived = any(verdict.waived_by for verdict in verdicts)
    return is_waived and not any(differences(expects, held, verdicts, looks_at, None))


def differences(
    expects: str,
    held: TableContent,
    verdicts: Sequence[Verdict],
    looks_at: Mapping[str, str],
    recorded: Recorded | None,
) -> Iterator[Difference]:
    """Find every difference of one task.

    verdicts: of the checks that apply, those that could be asked; and the one by which nothing need be there, as a
    person goes on without a source that is gone. looks_at: ROWS or REPEATS for the checks (by name) that do.
    recorded: None where no run is compared.
    """
    if held.doubled and not any(v.waived_by and looks_at.get(v.check) == REPEATS for v in verdicts):
        yield Difference(
            Discrepancy.DUPLICATES,
            f"{rows_in_words(held.doubled)} with the keys of another one",
            0,
            held.doubled,
            Own.KEYS,
        )
    if expects == ExpectationLetter.EMPTY and held.rows:
        yield Difference(
            Discrepancy.NOT_RIGHT, f"{rows_in_words(held.rows)} where none are right", 0, held.rows, Own.ROWS
        )
        return
    wrong = list(shortfalls(expects, held, verdicts, looks_at))
    if recorded is not None and recorded.word is Word.PASSED:
        yield from _against_a_pass(held, wrong, recorded)
        return
    if recorded is None:
        yield from wrong
        return
    for each in wrong:
        yield replace(each, detail=f"{each.detail}; {recorded.said}") if recorded.word is Word.BAD else each
    if not held.rows:
        if not wrong and not _is_gone(verdicts):
            yield Difference(Discrepancy.NOT_DONE, recorded.said, None, None, Own.STATE)
    elif recorded.word in (Word.NOTHING, Word.HELD):
        yield Difference(
            Discrepancy.NEVER_RECORDED,
            f"{rows_in_words(held.rows)} there, and the run never recorded any",
            0,
            held.rows,
            Own.ROWS,
        )
    elif recorded.word is Word.BAD and is_sound(expects, held, verdicts):
        yield Difference(
            Discrepancy.FAILED_BUT_SOUND,
            f"{rows_in_words(held.rows)}, sound, and {recorded.said}",
            None,
            held.rows,
            Own.ROWS,
        )


def shortfalls(
    expects: str, held: TableContent, verdicts: Sequence[Verdict], looks_at: Mapping[str, str]
) -> Iterator[Difference]:
    """Find what the calendar misses. Rows that are only doubled are no shortfall. Arguments as for ``differences``."""
    if expects == ExpectationLetter.EMPTY:
        return
    if expects == ExpectationLetter.EXPECTED and not held.rows:
        if not _is_gone(verdicts):
            yield Difference(Discrepancy.MISSING, "nothing there", None, 0, Own.ROWS)
        return
    for verdict in verdicts:
        about = looks_at.get(verdict.check)
        is_doubled = about == REPEATS or (about == ROWS and verdict.found - held.doubled == verdict.expected)
        if blocks(verdict) and not (held.doubled and is_doubled):
            yield Difference(Discrepancy.INCOMPLETE, verdict.detail, verdict.expected, verdict.found, verdict.check)


def _is_gone(verdicts: Sequence[Verdict]) -> bool:
    """Whether a person goes on without an output whose source is gone."""
    return any(verdict.check == UNRECOVERABLE and verdict.waived_by for verdict in verdicts)


def _against_a_pass(held: TableContent, wrong: Sequence[Difference], recorded: Recorded) -> Iterator[Difference]:
    """What a run that says "passed" did not leave behind so."""
    for each in wrong:
        if each.kind is Discrepancy.MISSING:
            yield Difference(
                Discrepancy.PASSED_BUT_EMPTY,
                "state says passed, nothing is there",
                recorded.rows,
                each.found,
                each.shown_by,
            )
        else:
            detail = f"state says passed, but: {each.detail}"
            yield Difference(Discrepancy.PASSED_BUT_INCOMPLETE, detail, each.expected, each.found, each.shown_by)
    if wrong:
        return
    fences = list(_fences(held, recorded)) if held.rows and recorded.fence is not None else []
    yield from fences
    is_another = recorded.rows is not None and recorded.rows not in (held.rows, held.rows - held.doubled)
    if is_another and not fences and not recorded.is_superseded:
        detail = f"{rows_in_words(held.rows)}, and {recorded.rows} were proved"
        yield Difference(Discrepancy.ROW_COUNT_DIFFERS, detail, recorded.rows, held.rows, Own.ROWS)


def _fences(held: TableContent, recorded: Recorded) -> Iterator[Difference]:
    fence = recorded.fence or 0
    if held.unfenced:
        detail = f"{held.unfenced} of {held.rows} rows carry no fence: no attempt wrote them"
        yield Difference(Discrepancy.WITHOUT_FENCE, detail, 0, held.unfenced, Own.FENCES)
    if held.lowest_fence is not None and held.lowest_fence < fence:
        detail = f"rows under fence {held.lowest_fence}, and the attempt that passed had {fence}"
        yield Difference(Discrepancy.EARLIER_ATTEMPT, detail, None, None, Own.FENCES)
    if held.highest_fence is not None and held.highest_fence > fence and not recorded.is_superseded:
        detail = f"rows under fence {held.highest_fence}, and the attempt that passed had {fence}"
        yield Difference(Discrepancy.WRITTEN_SINCE, detail, None, None, Own.FENCES)


def rows_in_words(n: int) -> str:
    """Write a number of rows in words."""
    return f"{n} row{'' if n == 1 else 's'}"
