"""The audit of one task: what a table holds against what the calendar demands and what a run says of it. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.facts import UNKNOWN, Verdict
from shared.domain.plan import EMPTY, EXPECTED
from shared.domain.waiving import blocks


class Kind(StrEnum):
    """Ways in which state, tables and calendar differ. Each is counted by itself."""

    MISSING = "missing"
    INCOMPLETE = "incomplete"
    PASSED_BUT_EMPTY = "passed_but_empty"
    PASSED_BUT_INCOMPLETE = "passed_but_incomplete"
    ROW_COUNT_DIFFERS = "row_count_differs"
    NEVER_RECORDED = "rows_never_recorded"
    FAILED_BUT_SOUND = "failed_but_sound"
    NOT_RIGHT = "rows_where_none_are_right"
    OFF_THE_CALENDAR = "rows_off_the_calendar"
    DUPLICATES = "duplicate_keys"
    EARLIER_ATTEMPT = "rows_of_an_earlier_attempt"
    WITHOUT_FENCE = "rows_without_a_fence"
    WRITTEN_SINCE = "written_since_by_nobody_known"
    NOT_ASKED = "could_not_be_asked"


STATE_AND_TABLES, CALENDAR_AND_TABLES = "state and tables", "calendar and tables"

MEANINGS: dict[Kind, tuple[str, str]] = {
    Kind.MISSING: (CALENDAR_AND_TABLES, "the calendar demands output, and there is none; no state says otherwise"),
    Kind.INCOMPLETE: (CALENDAR_AND_TABLES, "not the rows or keys that are due; no state says otherwise"),
    Kind.PASSED_BUT_EMPTY: (STATE_AND_TABLES, "state says passed, there is no output"),
    Kind.PASSED_BUT_INCOMPLETE: (STATE_AND_TABLES, "state says passed, not the rows or keys that are due"),
    Kind.ROW_COUNT_DIFFERS: (STATE_AND_TABLES, "another number of rows than was proved"),
    Kind.NEVER_RECORDED: (STATE_AND_TABLES, "rows there, never recorded"),
    Kind.FAILED_BUT_SOUND: (STATE_AND_TABLES, "state says failed or blocked, the output is sound"),
    Kind.NOT_RIGHT: (CALENDAR_AND_TABLES, "rows on a date that rightly has none"),
    Kind.OFF_THE_CALENDAR: (CALENDAR_AND_TABLES, "rows on a date that the calendar does not have"),
    Kind.DUPLICATES: (CALENDAR_AND_TABLES, "rows with equal keys"),
    Kind.EARLIER_ATTEMPT: (STATE_AND_TABLES, "rows that an earlier attempt wrote"),
    Kind.WITHOUT_FENCE: (STATE_AND_TABLES, "rows that no attempt wrote"),
    Kind.WRITTEN_SINCE: (STATE_AND_TABLES, "rows under a later fence, and no later run covers the date"),
    Kind.NOT_ASKED: (CALENDAR_AND_TABLES, "the output could not be asked: nothing is known of it"),
}
"""Between what a kind is, and what it means."""


class Word(StrEnum):
    """What a run says of a task. OPEN: it is still to come; NOTHING: it never came to an end."""

    PASSED = "passed"
    BAD = "bad"
    NOTHING = "nothing"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run's word on a task.

    rows, fence: what was proved, and under which fence; None where there is neither. why: of a bad end.
    is_superseded: a later run covers the same task, and may have written since.
    """

    word: Word
    rows: int | None = None
    fence: int | None = None
    why: str = ""
    is_superseded: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """What an output holds for a date; an object that is there counts as one row.

    lowest_fence, highest_fence: None where no row has one. unfenced: rows without. doubled: rows beyond the first of
    their keys.
    """

    rows: int = 0
    lowest_fence: int | None = None
    highest_fence: int | None = None
    unfenced: int = 0
    doubled: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a task's output is not as it should be. ``check``: whose query shows it."""

    kind: Kind
    detail: str
    expected: int | None
    found: int | None
    check: str


NOTHING_HELD = Held()


def is_sound(expects: str, held: Held, verdicts: Sequence[Verdict]) -> bool:
    """Whether the calendar's demand is met: rows where they are due, none where none are right, no check blocks."""
    if expects == EMPTY:
        return not held.rows
    if expects == EXPECTED and not held.rows:
        return False
    return not any(verdict.outcome == UNKNOWN or blocks(verdict) for verdict in verdicts)


def differences(
    expects: str, held: Held, verdicts: Sequence[Verdict], recorded: Recorded | None
) -> Iterator[Difference]:
    """Every difference of one task. verdicts: of the checks that apply; recorded: None where no run is compared."""
    if held.doubled:
        yield Difference(
            Kind.DUPLICATES, f"{held.doubled} rows repeat the keys of another one", 0, held.doubled, "keys"
        )
    if expects == EMPTY and held.rows:
        yield Difference(Kind.NOT_RIGHT, f"{held.rows} rows where none are right", 0, held.rows, "rows")
        return
    for verdict in verdicts:
        if verdict.outcome == UNKNOWN:
            yield Difference(Kind.NOT_ASKED, verdict.detail, None, None, verdict.check)
    wrong = list(_wrong(expects, held, verdicts))
    if recorded is None or recorded.word is Word.BAD or recorded.word is Word.OPEN:
        yield from wrong
    elif recorded.word is Word.NOTHING:
        if held.rows:
            yield Difference(
                Kind.NEVER_RECORDED, f"{held.rows} rows there, and the run never recorded any", 0, held.rows, "rows"
            )
        else:
            yield from wrong
    else:
        yield from _against_a_pass(held, wrong, recorded)
    if recorded is not None and recorded.word is Word.BAD and held.rows and is_sound(expects, held, verdicts):
        yield Difference(
            Kind.FAILED_BUT_SOUND, f"{held.rows} sound rows, and state says: {recorded.why}", None, held.rows, "rows"
        )


def _wrong(expects: str, held: Held, verdicts: Sequence[Verdict]) -> Iterator[Difference]:
    """What the calendar misses."""
    if expects == EXPECTED and not held.rows:
        yield Difference(Kind.MISSING, "nothing there", None, 0, "rows")
        return
    for verdict in verdicts:
        is_too_many = verdict.check == "rows" and verdict.found > verdict.expected
        if blocks(verdict) and not (is_too_many and held.doubled):
            yield Difference(Kind.INCOMPLETE, verdict.detail, verdict.expected, verdict.found, verdict.check)


def _against_a_pass(held: Held, wrong: Sequence[Difference], recorded: Recorded) -> Iterator[Difference]:
    """What a run that says "passed" did not leave behind so."""
    for each in wrong:
        if each.kind is Kind.MISSING:
            yield Difference(
                Kind.PASSED_BUT_EMPTY, "state says passed, nothing is there", recorded.rows, each.found, each.check
            )
        else:
            detail = f"state says passed, found are {each.detail}"
            yield Difference(Kind.PASSED_BUT_INCOMPLETE, detail, each.expected, each.found, each.check)
    if wrong:
        return
    fences = list(_fences(held, recorded)) if held.rows and recorded.fence is not None else []
    yield from fences
    if recorded.rows is not None and held.rows != recorded.rows and not fences and not held.doubled:
        if recorded.is_superseded:
            return
        detail = f"{held.rows} rows, and {recorded.rows} were proved"
        yield Difference(Kind.ROW_COUNT_DIFFERS, detail, recorded.rows, held.rows, "rows")


def _fences(held: Held, recorded: Recorded) -> Iterator[Difference]:
    fence = recorded.fence or 0
    if held.unfenced:
        detail = f"{held.unfenced} of {held.rows} rows carry no fence: no attempt wrote them"
        yield Difference(Kind.WITHOUT_FENCE, detail, 0, held.unfenced, "fences")
    if held.lowest_fence is not None and held.lowest_fence < fence:
        detail = f"rows under fence {held.lowest_fence}, and the attempt that passed had {fence}"
        yield Difference(Kind.EARLIER_ATTEMPT, detail, None, None, "fences")
    if held.highest_fence is not None and held.highest_fence > fence and not recorded.is_superseded:
        detail = f"rows under fence {held.highest_fence}, and the attempt that passed had {fence}"
        yield Difference(Kind.WRITTEN_SINCE, detail, None, None, "fences")
