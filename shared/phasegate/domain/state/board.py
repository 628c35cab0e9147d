"""The board is the observed state of a run: one letter per date for each release group. An index; the dates hold the
truth."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.state.alike import is_of_block
from phasegate.domain.state.run import Run, RunStatus
from phasegate.domain.state.unsound import Blocked, Failure, NotRun, Unsound

if TYPE_CHECKING:
    from phasegate.domain.plan import PlanIndex

BOARD_VERSION = 1


class BoardLetter(StrEnum):
    """A letter says how a release group stands on a date; in ``Board.bad``, how a processor ended that is not sound."""

    PENDING = "."
    """Not released."""
    RELEASED = "r"
    """Released, and not at rest."""
    PASSED = "p"
    """Every task proved and sound."""
    SKIPPED = "k"
    """The same, and rightly empty."""
    BLOCKED = "b"
    """A check blocks."""
    FAILED = "f"
    """A task ended badly."""
    UNJUDGED = "u"
    """A check could not be asked, and is asked again with backoff."""
    UPSTREAM = "n"
    """Only in ``Board.bad``: not run, because something that it needs ended badly."""


def bytes_of(letters: Iterable[BoardLetter]) -> bytes:
    """Write letters as a strip holds them, for the methods of ``bytes`` that take many dates at a time."""
    return "".join(letters).encode("ascii")


GOOD = frozenset({BoardLetter.PASSED, BoardLetter.SKIPPED})
BADLY_ENDED = frozenset({BoardLetter.BLOCKED, BoardLetter.FAILED})
ENDED = GOOD | BADLY_ENDED
OPEN = frozenset({BoardLetter.RELEASED, BoardLetter.UNJUDGED})
"""Released, and not judged."""

# A strip holds bytes: looked up once here, as release decisions look at every date.
_PENDING = ord(BoardLetter.PENDING)
_OPEN = bytes_of(OPEN)
_BY_BYTE = {ord(letter): letter for letter in BoardLetter if letter is not BoardLetter.UPSTREAM}
_ON_STRIPS = bytes(_BY_BYTE)

ASK_AGAIN = timedelta(seconds=2)
"""First wait after a table could not be asked; doubles to at most 5 minutes."""

_MAX_ASK_AGAIN = timedelta(minutes=5)


class Unasked(NamedTuple):
    """A question to the tables got no answer."""

    tries: int
    """How often it was put."""
    at: datetime
    """When it is put again."""
    why: str
    """Why it failed."""

    @classmethod
    def again(cls, before: "Unasked | None", why: str, now: datetime) -> "Unasked":
        """Note that it failed once more: it is asked again, later each time."""
        tries = before.tries if before else 0
        return cls(tries + 1, now + min(_MAX_ASK_AGAIN, ASK_AGAIN * 2 ** min(tries, 16)), why)


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """An open circuit breaker says why a processor is started no more."""

    signature: str
    """What its failures, or the blocks of one of its checks, have in common; empty: nothing but the processor."""
    dates: int
    """On how many distinct dates they stood, when the breaker opened."""
    first: date
    """The earliest of them."""
    at: datetime
    """When it opened."""

    @property
    def is_of_a_check(self) -> bool:
        """Tell whether the dates did not fail, but are blocked."""
        return is_of_block(self.signature)

    def __str__(self) -> str:
        if not self.signature:
            return f"the circuit breaker is open since {self.dates} dates failed in one way or another"
        how = "are blocked" if self.is_of_a_check else "failed"
        return f"the circuit breaker is open since {self.dates} dates {how} alike ({self.signature})"


class Retrying(NamedTuple):
    """A retry, or a refresh, is being entered, a page of dates after the other; the letters follow with the last
    page."""

    intent: str
    """The id of the retry or refresh."""
    through: date
    """The last date whose cells are written."""


@dataclass(slots=True)
class Board:
    """A board holds the observed state of one run."""

    run_id: str
    """The run."""
    status: RunStatus
    """The status, as the conductor last found it."""
    started_at: datetime
    """When the run was begun."""
    finished_at: datetime | None = None
    """When it came to its end; None: it has not, or was opened again."""
    resting_since: datetime | None = None
    """When it came to rest: at its end, held, or waiting for a person; None: it goes on by itself."""
    rested_seconds: float = 0.0
    """Seconds of earlier rests: the night between an end and a retry is no time of the run."""
    cursor: str = ""
    """How far the conductor has read the dates' changes."""
    plan: str = ""
    """Names the generation of the plan by which the letters stand; empty: the first."""
    groups: dict[str, bytearray] = field(default_factory=dict)
    """Name of a release group -> its strip: one letter per date."""
    bad: dict[date, dict[str, Unsound]] = field(default_factory=dict)
    """Date -> ``phase/processor`` -> why the processor is not sound."""
    outside: dict[str, dict[date, str]] | None = None
    """``phase/processor`` -> date -> why, for what the run reads and does not make; None before it was judged."""
    outside_unasked: Unasked | None = None
    """That it could not be judged yet."""
    unjudged: dict[date, Unasked] = field(default_factory=dict)
    """The dates of which a table or a check could not be asked."""
    applied: tuple[str, ...] = ()
    """Ids of the refreshes, retries, waivers and approvals that were acted on."""
    retrying: Retrying | None = None
    """The retry or refresh that is half entered; None: there is none. Until its end the rest of the board stands
    still."""
    waivers: tuple[str, ...] = ()
    """Ids of the waivers in force, as the release groups were judged."""
    approved: tuple[str, ...] = ()
    """The phases that a person let go."""
    halted_because: str = ""
    """Why nothing more is released; empty: it is."""
    breakers: dict[str, CircuitBreaker] = field(default_factory=dict)
    """``phase/processor`` -> why the processor is started no more."""

    @classmethod
    def blank(cls, run_id: str, index: "PlanIndex", now: datetime) -> "Board":
        """Make the board of a run that has not begun."""
        groups = {group.name: bytearray(BoardLetter.PENDING * len(index.days), "ascii") for group in index.groups}
        return cls(run_id, RunStatus.RUNNING, now, groups=groups)

    def letter(self, group: str, position: int) -> BoardLetter:
        """Return the letter of a release group at a date."""
        return _BY_BYTE[self.groups[group][position]]

    def is_pending(self, group: str, position: int) -> bool:
        """Tell whether a release group was not released at a date."""
        return self.groups[group][position] == _PENDING

    def set_letter(self, group: str, position: int, letter: BoardLetter) -> None:
        """Write one letter."""
        self.groups[group][position] = ord(letter)

    def next_question(self) -> datetime | None:
        """Return when something that could not be asked is asked again; None when there is nothing."""
        unasked = [*self.unjudged.values(), *([self.outside_unasked] if self.outside_unasked else [])]
        return min((each.at for each in unasked), default=None)

    def open_days(self, index: "PlanIndex") -> list[date]:
        """Return the dates with a release group that was released and is not judged."""
        return [day for p, day in enumerate(index.days) if any(strip[p] in _OPEN for strip in self.groups.values())]

    def forget(self, day: date, refs: Iterable[str]) -> None:
        """Drop what is known against these processors on a date."""
        there = self.bad.get(day)
        if there is not None:
            for ref in refs:
                there.pop(ref, None)
            if not there:
                del self.bad[day]

    def copy(self) -> "Board":
        """Make a board that can be changed without changing this one."""
        return replace(
            self,
            groups={name: bytearray(strip) for name, strip in self.groups.items()},
            bad={day: dict(why) for day, why in self.bad.items()},
            unjudged=dict(self.unjudged),
            breakers=dict(self.breakers),
        )

    def come_to(self, status: RunStatus, now: datetime) -> None:
        """Enter the status that was found, with the run's end and its rests."""
        if status is RunStatus.RUNNING:
            # A board of an earlier version knows of no rest but its end.
            if (since := self.resting_since or self.finished_at) is not None:
                self.rested_seconds += max((now - since).total_seconds(), 0.0)
            self.resting_since = None
        elif self.resting_since is None:
            self.resting_since = self.finished_at or now
        if not status.is_final:
            self.finished_at = None
        elif not self.status.is_final:
            self.finished_at = now
        self.status = status

    def note_rest(self, since: datetime, until: datetime) -> None:
        """Note that nobody drove the run in between, although it should have gone on."""
        if self.status is RunStatus.RUNNING:
            self.rested_seconds += max((until - max(since, self.started_at)).total_seconds(), 0.0)

    def seconds_at_work(self, now: datetime) -> float:
        """Return for how many seconds it went on by itself, until now or its last rest."""
        until = self.resting_since or self.finished_at or now
        return max((until - self.started_at).total_seconds() - self.rested_seconds, 0.0)

    def is_over(self, run: Run) -> bool:
        """Tell whether the run came to its end, and nothing that people asked for since is still to be done."""
        return self.status.is_final and self._has_acted_on_all(run)

    def is_at_rest(self, run: Run) -> bool:
        """Tell whether the run is over, or goes on only when a person acts, and nobody has acted since."""
        is_waiting = self.status is RunStatus.WAITING and run.admits and self._has_acted_on_all(run)
        return is_waiting or self.is_over(run)

    def _has_acted_on_all(self, run: Run) -> bool:
        """Whether everything that people asked for was acted on."""
        return all(intent in self.applied for intent in run.intents)

    def to_document(self) -> dict[str, Any]:
        """Write the board as plain JSON values; strips are text."""
        return {
            "schema_version": BOARD_VERSION,
            "run_id": self.run_id,
            "status": self.status.value,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at and self.finished_at.isoformat(),
            "resting_since": self.resting_since and self.resting_since.isoformat(),
            "rested_seconds": self.rested_seconds,
            "cursor": self.cursor,
            **({"plan": self.plan} if self.plan else {}),
            "lanes": {name: strip.decode("ascii") for name, strip in self.groups.items()},
            "bad": {
                day.isoformat(): {ref: _unsound_to_document(why) for ref, why in bad.items()}
                for day, bad in self.bad.items()
            },
            "outside": None
            if self.outside is None
            else {ref: {d.isoformat(): why for d, why in days.items()} for ref, days in self.outside.items()},
            "outside_unasked": self.outside_unasked and _unasked_to_document(self.outside_unasked),
            "unjudged": {day.isoformat(): _unasked_to_document(each) for day, each in self.unjudged.items()},
            "applied": list(self.applied),
            "retrying": self.retrying and [self.retrying.intent, self.retrying.through.isoformat()],
            "waivers": list(self.waivers),
            "approved": list(self.approved),
            "halted_because": self.halted_because,
            "brakes": {
                ref: {"signature": b.signature, "dates": b.dates, "first": b.first.isoformat(), "at": b.at.isoformat()}
                for ref, b in self.breakers.items()
            },
        }

    @classmethod
    def from_document(cls, doc: dict[str, Any]) -> "Board":
        """Read the board of a document made by ``to_document``. Raises ValueError for a letter that is none."""
        outside = doc["outside"]
        return cls(
            run_id=doc["run_id"],
            status=RunStatus(doc["status"]),
            started_at=datetime.fromisoformat(doc["started_at"]),
            finished_at=datetime.fromisoformat(doc["finished_at"]) if doc["finished_at"] else None,
            resting_since=datetime.fromisoformat(doc["resting_since"]) if doc.get("resting_since") else None,
            rested_seconds=doc.get("rested_seconds", 0.0),
            cursor=doc["cursor"],
            plan=doc.get("plan", ""),
            groups={name: _strip_of(name, text) for name, text in doc["lanes"].items()},
            bad={
                date.fromisoformat(d): {r: _unsound_of(why) for r, why in bad.items()} for d, bad in doc["bad"].items()
            },
            outside=None
            if outside is None
            else {r: {date.fromisoformat(d): why for d, why in days.items()} for r, days in outside.items()},
            outside_unasked=_unasked_of(doc["outside_unasked"]) if doc.get("outside_unasked") else None,
            unjudged={date.fromisoformat(day): _unasked_of(each) for day, each in doc["unjudged"].items()},
            applied=tuple(doc["applied"]),
            retrying=_retrying_of(doc["retrying"]) if doc.get("retrying") else None,
            waivers=tuple(doc.get("waivers", ())),
            approved=tuple(doc.get("approved", ())),
            halted_because=doc["halted_because"],
            breakers={
                ref: CircuitBreaker(
                    b["signature"], b["dates"], date.fromisoformat(b["first"]), datetime.fromisoformat(b["at"])
                )
                for ref, b in doc.get("brakes", {}).items()
            },
        )


def _strip_of(group: str, text: str) -> bytearray:
    strip = bytearray(text, "ascii")
    if unknown := strip.translate(None, _ON_STRIPS):
        raise ValueError(f"'{chr(unknown[0])}' is no letter of release group {group}")
    return strip


_UNSOUND: dict[type[Unsound], BoardLetter] = {
    Failure: BoardLetter.FAILED,
    Blocked: BoardLetter.BLOCKED,
    NotRun: BoardLetter.UPSTREAM,
}


def _unsound_to_document(why: Unsound) -> list[str]:
    return [_UNSOUND[type(why)].value, str(why), *(why.checks if isinstance(why, Blocked) else ())]


def _unsound_of(doc: list[str]) -> Unsound:
    letter, (sentence, *checks) = BoardLetter(doc[0]), doc[1:]
    if letter is BoardLetter.FAILED:
        error_class, _, message = sentence.partition(": ")
        return Failure(ErrorClass(error_class), message)
    return Blocked(sentence, tuple(checks)) if letter is BoardLetter.BLOCKED else NotRun(sentence)


def _retrying_of(doc: list[str]) -> Retrying:
    intent, through = doc
    return Retrying(intent, date.fromisoformat(through))


def _unasked_to_document(unasked: Unasked) -> list[Any]:
    return [unasked.tries, unasked.at.isoformat(), unasked.why]


def _unasked_of(doc: list[Any]) -> Unasked:
    tries, at, why = doc
    return Unasked(tries, datetime.fromisoformat(at), why)
