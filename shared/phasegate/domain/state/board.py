"""The board: the observed state of a run, one letter a date for each release group. An index; the dates hold the
truth."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from phasegate.domain.plan import PlanIndex
from phasegate.domain.state.run import Run, RunStatus

BOARD_VERSION = 1

PENDING, RELEASED, PASSED, SKIPPED, BLOCKED, FAILED, UNJUDGED = ".", "r", "p", "k", "b", "f", "u"
"""Not released; released; every task proved and sound; the same, and rightly empty; a check blocks; a task ended badly;
a check could not be asked (asked again with backoff)."""

UPSTREAM = "n"
"""In ``Board.bad``: not run, because something it needs ended badly."""

GOOD = PASSED + SKIPPED
ENDED = GOOD + BLOCKED + FAILED


ASK_AGAIN = timedelta(seconds=2)
"""First wait after a table could not be asked; doubles to at most 5 minutes."""

_MAX_ASK_AGAIN = timedelta(minutes=5)


class Unasked(NamedTuple):
    """A question to the tables that got no answer: how often it was put, when it is put again, why it failed."""

    tries: int
    at: datetime
    why: str

    @classmethod
    def again(cls, before: "Unasked | None", why: str, now: datetime) -> "Unasked":
        """It failed once more: ask again, later each time."""
        tries = before.tries if before else 0
        return cls(tries + 1, now + min(_MAX_ASK_AGAIN, ASK_AGAIN * 2 ** min(tries, 16)), why)


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """Why a processor is started no more.

    signature: what its failures have in common. dates: on how many distinct dates, when it was pulled. first: the
    earliest of them.
    """

    signature: str
    dates: int
    first: date
    at: datetime

    def __str__(self) -> str:
        return f"the circuit breaker is open since {self.dates} dates failed alike ({self.signature})"


@dataclass(slots=True)
class Board:
    """Observed state of one run.

    cursor: how far the conductor has read the dates' changes. groups: name -> one letter a date.
    bad: date -> ref -> why the processor is not sound: (BLOCKED, FAILED or UPSTREAM, a sentence).
    outside: ref -> date -> why, for what the run reads and does not make; None before it was judged.
    outside_unasked: that it could not be judged yet. unjudged: the dates that could not be.
    applied: ids of the retries, waivers and approvals that were acted on. waivers: ids of those in force, as the
    release groups were judged. approved: the phases that a person let go.
    breakers: ref -> why the processor is started no more.
    """

    run_id: str
    status: RunStatus
    started_at: datetime
    finished_at: datetime | None = None
    cursor: str = ""
    groups: dict[str, bytearray] = field(default_factory=dict)
    bad: dict[date, dict[str, tuple[str, str]]] = field(default_factory=dict)
    outside: dict[str, dict[date, str]] | None = None
    outside_unasked: Unasked | None = None
    unjudged: dict[date, Unasked] = field(default_factory=dict)
    applied: tuple[str, ...] = ()
    waivers: tuple[str, ...] = ()
    approved: tuple[str, ...] = ()
    halted_because: str = ""
    breakers: dict[str, CircuitBreaker] = field(default_factory=dict)

    @classmethod
    def blank(cls, run_id: str, index: PlanIndex, now: datetime) -> "Board":
        """The board of a run that has not begun."""
        groups = {group.name: bytearray(PENDING * len(index.days), "ascii") for group in index.groups}
        return cls(run_id, RunStatus.RUNNING, now, groups=groups)

    def letter(self, group: str, position: int) -> str:
        """The letter of a release group at a date."""
        return chr(self.groups[group][position])

    def set_letter(self, group: str, position: int, letter: str) -> None:
        """Write one letter."""
        self.groups[group][position] = ord(letter)

    def next_question(self) -> datetime | None:
        """When something that could not be asked is asked again; None when there is nothing."""
        unasked = [*self.unjudged.values(), *([self.outside_unasked] if self.outside_unasked else [])]
        return min((each.at for each in unasked), default=None)

    def open_days(self, index: PlanIndex) -> list[date]:
        """Dates with a release group that was released and has not come to rest."""
        going = (ord(RELEASED), ord(UNJUDGED))
        return [day for p, day in enumerate(index.days) if any(strip[p] in going for strip in self.groups.values())]

    def forget(self, day: date, refs: Iterable[str]) -> None:
        """Drop what is known against these processors on a date."""
        there = self.bad.get(day)
        if there is not None:
            for ref in refs:
                there.pop(ref, None)
            if not there:
                del self.bad[day]

    def copy(self) -> "Board":
        """A board that can be changed without changing this one."""
        return replace(
            self,
            groups={name: bytearray(strip) for name, strip in self.groups.items()},
            bad={day: dict(why) for day, why in self.bad.items()},
            unjudged=dict(self.unjudged),
            breakers=dict(self.breakers),
        )

    def is_over(self, run: Run) -> bool:
        """The run came to its end, and nothing that people asked for since is still to be done."""
        return self.status.is_final and all(run_request in self.applied for run_request in run.intents)

    def is_at_rest(self, run: Run) -> bool:
        """The run is over, or goes on only when a person acts, and nobody has acted since."""
        is_waiting = self.status is RunStatus.WAITING and run.admits and all(w in self.applied for w in run.intents)
        return is_waiting or self.is_over(run)

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values; strips as text."""
        return {
            "schema_version": BOARD_VERSION,
            "run_id": self.run_id,
            "status": self.status.value,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at and self.finished_at.isoformat(),
            "cursor": self.cursor,
            "lanes": {name: strip.decode("ascii") for name, strip in self.groups.items()},
            "bad": {day.isoformat(): {r: list(w) for r, w in why.items()} for day, why in self.bad.items()},
            "outside": None
            if self.outside is None
            else {ref: {d.isoformat(): why for d, why in days.items()} for ref, days in self.outside.items()},
            "outside_unasked": self.outside_unasked and _unasked_to_document(self.outside_unasked),
            "unjudged": {day.isoformat(): _unasked_to_document(each) for day, each in self.unjudged.items()},
            "applied": list(self.applied),
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
        """The board of a document made by ``to_document``."""
        outside = doc["outside"]
        return cls(
            run_id=doc["run_id"],
            status=RunStatus(doc["status"]),
            started_at=datetime.fromisoformat(doc["started_at"]),
            finished_at=datetime.fromisoformat(doc["finished_at"]) if doc["finished_at"] else None,
            cursor=doc["cursor"],
            groups={name: bytearray(strip, "ascii") for name, strip in doc["lanes"].items()},
            bad={date.fromisoformat(d): {r: (w[0], w[1]) for r, w in why.items()} for d, why in doc["bad"].items()},
            outside=None
            if outside is None
            else {r: {date.fromisoformat(d): why for d, why in days.items()} for r, days in outside.items()},
            outside_unasked=_unasked_of(doc["outside_unasked"]) if doc.get("outside_unasked") else None,
            unjudged={date.fromisoformat(day): _unasked_of(each) for day, each in doc["unjudged"].items()},
            applied=tuple(doc["applied"]),
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


def _unasked_to_document(unasked: Unasked) -> list[Any]:
    return [unasked.tries, unasked.at.isoformat(), unasked.why]


def _unasked_of(doc: list[Any]) -> Unasked:
    tries, at, why = doc
    return Unasked(tries, datetime.fromisoformat(at), why)
