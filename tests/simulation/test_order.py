"""No task is claimed before its edges have passed, whatever the workers' times, failures, and the messages' fate.

The oracle is written from the small world's description (``tests.world``); it knows nothing of plans, release groups
or looks. It reads the sequence of claims and facts as they were written, and checks that SQLite holds the same.
"""

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest

from phasegate import bootstrap
from phasegate.adapters.embedded.events import SqliteEvents
from phasegate.adapters.embedded.state import SqliteState
from phasegate.adapters.embedded.tasks import SqliteTasks
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.messages.completion import taken_apart
from phasegate.domain.protocol.names import COMPLETIONS, CONDUCTOR_QUEUE, DISPATCH_QUEUE
from phasegate.domain.protocol.worker import ResultStatus
from phasegate.domain.state.facts import Abandoned, Healed, HealedAs, Reported
from phasegate.ports import QueueTask
from phasegate.ports.events import Message, text_of
from phasegate.services.running.calls import Call
from phasegate.services.running.sweeper import DISPATCH_GRACE
from tests.conftest import FULL
from tests.simulation.lives import LONGEST, ComparedWorld, Outcome
from tests.world import FIRST_DAY, START, World, write_source

pytestmark = pytest.mark.usefixtures("dates_at_once")

CHAINS = (("fetch/a", "raw/a"), ("fetch/b", "raw/b"), ("shape/left", "shape/right"), ("shape/ahead",), ("final/total",))
"""What is made from each other inside a date; in each chain of a date at most one member misbehaves."""

ALONE, TOGETHER = 4, 3
"""Dates that go alone where dates go in order, and how many go together after them."""

SHAPE = ("shape/left", "shape/right", "shape/ahead")
NEEDS = {"raw/a": "fetch/a", "raw/b": "fetch/b", "shape/right": "shape/left", "final/note": "final/total"}

Task = tuple[str, date]


@dataclass(frozen=True)
class Entry:
    """One line of the sequence: ``claimed``, ``reported`` (well), ``ended`` (in any way) or ``proved`` (sound)."""

    what: str
    task: Task
    attempt: int


@dataclass
class History:
    """Claims and facts in the order in which they were written."""

    entries: list[Entry] = field(default_factory=list)
    fences: list[int] = field(default_factory=list)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Listen at the port."""
        claim, record, commit = SqliteState.claim, SqliteState.record, SqliteState.commit

        def noting_claim(state: SqliteState, run_id: str, requests: Any, now: Any) -> Any:
            claims = claim(state, run_id, requests, now)
            for made in claims:
                if made is not None:
                    self._note("claimed", made.key)
                    self.fences.append(made.fence)
            return claims

        def noting_record(state: SqliteState, run_id: str, facts: Any) -> Any:
            for key, fact in facts:
                if isinstance(fact, Reported | Healed | Abandoned):
                    is_good = isinstance(fact, Reported) and fact.status is not ResultStatus.FAILED
                    is_found = isinstance(fact, Healed) and fact.outcome is HealedAs.SUCCESS
                    if is_good or is_found:
                        self._note("reported", key)
                    self._note("ended", key)
            return record(state, run_id, facts)

        def noting_commit(
            state: SqliteState, run_id: str, board: Any, version: int, cells: Any, proofs: Sequence[Any] = ()
        ) -> bool:
            is_written = commit(state, run_id, board, version, cells, proofs)
            for key, fact in proofs if is_written else ():
                if fact.ok:
                    self._note("proved", key)
            return is_written

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SqliteState, "claim", noting_claim)
            patch.setattr(SqliteState, "record", noting_record)
            patch.setattr(SqliteState, "commit", noting_commit)
            yield

    def _note(self, what: str, key: Any) -> None:
        self.entries.append(Entry(what, (f"{key.phase}/{key.processor}", key.day), key.attempt))

    def first(self, what: str, task: Task, attempt: int) -> int:
        """Where an entry stands first; behind everything when it is missing."""
        entry = Entry(what, task, attempt)
        return self.entries.index(entry) if entry in self.entries else len(self.entries)

    def claims(self) -> list[tuple[int, Entry]]:
        """The claims, each with its place."""
        return [(i, entry) for i, entry in enumerate(self.entries) if entry.what == "claimed"]


class Oracle:
    """What must have been before what, in the words of the small world."""

    def __init__(self, seasons: Sequence[Sequence[date]], *, barrier: bool = False) -> None:
        self._seasons, self._barrier = seasons, barrier

    def proved_before(self, task: Task) -> list[Task]:
        """What must be proved before a task may be claimed."""
        name, day = task
        season = next(s for s in self._seasons if day in s)
        at = season.index(day)
        found: list[Task] = []
        if name in SHAPE:
            found += [("raw/a", day), ("raw/b", day)]
        if name == "shape/ahead":
            found += [("shape/left", d) for d in season[max(0, at - 3) : at]]
        if name.startswith("final/"):
            found += [(each, day) for each in SHAPE]
            found += [("shape/left", d) for d in season[max(0, at - 2) : at]]
            if self._barrier:
                found += [(each, d) for s in self._seasons for d in s for each in SHAPE]
        return found

    def is_nothing_due(self, task: Task) -> bool:
        """Whether nobody is called for a task: the total of the first two days of a season."""
        season = next(s for s in self._seasons if task[1] in s)
        return task[0] == "final/total" and (task[1] - season[0]).days < 2

    def violations(self, sequence: History) -> list[str]:
        """Claims that came too early; claims on top of something that was made again afterwards."""
        last: dict[Task, tuple[int, int]] = {e.task: (e.attempt, i) for i, e in sequence.claims()}
        proved = {task: sequence.first("proved", task, attempt) for task, (attempt, _) in last.items()}
        wrong: list[str] = []
        for place, claim in sequence.claims():
            for before in self.proved_before(claim.task):
                if before not in last or last[before][1] > place:
                    wrong.append(f"{claim} although {before} was claimed (again) after it")
                elif proved[before] > place:
                    wrong.append(f"{claim} before {before} was proved")
            need = (NEEDS.get(claim.task[0], ""), claim.task[1])
            is_due = need[0] and not self.is_nothing_due(need)
            if is_due and not any(e.what == "reported" and e.task == need for e in sequence.entries[:place]):
                wrong.append(f"{claim} before {need} was reported")
            is_last = need in last and last[claim.task] == (claim.attempt, place)
            if is_last and sequence.first("reported", need, last[need][0]) > place:
                wrong.append(f"{claim}, the last one, was made before the last attempt of {need} was reported")
        return wrong


def most_open(sequence: History, phases: tuple[str, ...]) -> int:
    """The most calls of these phases that were under way at once."""
    open_, most = set[tuple[Task, int]](), 0
    for entry in sequence.entries:
        if entry.task[0].split("/")[0] in phases:
            (open_.add if entry.what == "claimed" else open_.discard)((entry.task, entry.attempt))
            most = max(most, len(open_))
    return most


def most_active_dates(sequence: History) -> int:
    """The most dates that had begun phases 1 and 2 and were not proved in them, at any claim of these."""
    refs = ("fetch/a", "fetch/b", "raw/a", "raw/b")
    last = {e.task: e.attempt for _, e in sequence.claims()}
    begun: dict[date, set[str]] = {}
    most = 0
    for entry in sequence.entries:
        name, day = entry.task
        if name in refs and entry.what == "claimed":
            begun.setdefault(day, set(refs))
        elif name in refs and entry.what == "proved" and entry.attempt == last[entry.task]:
            begun[day].discard(name)
        most = max(most, sum(bool(open_) for open_ in begun.values()))
    return most


def entered_in_turn(sequence: History) -> list[date]:
    """The dates in the order in which they were first claimed."""
    return list(dict.fromkeys(entry.task[1] for _, entry in sequence.claims()))


def not_alone(sequence: History) -> list[date]:
    """Those of the first dates in whose time a date behind them was claimed."""
    days = entered_in_turn(sequence)
    begins = {day: next(n for n, (_, e) in enumerate(sequence.claims()) if e.task[1] == day) for day in days}
    places = [place for place, _ in sequence.claims()]
    last = {entry.task[1]: place for place, entry in enumerate(sequence.entries)}
    return [day for day, after in pairwise(days[: ALONE + 1]) if places[begins[after]] < last[day]]


class OrderedWorld(ComparedWorld):
    """Two seasons of four dates each; limits, times and misbehaviour are drawn from a seed."""

    def __init__(
        self, folder: Path, seed: int, *, barrier: bool = False, unruly: bool = True, in_order: bool = False
    ) -> None:
        self.random, self.profile = random.Random(seed), "current" if in_order else None
        self.concurrent, self.active = self.random.randint(1, 6), self.random.randint(1, 4)
        days = [FIRST_DAY + timedelta(days=n) for n in range(8)]
        self.seasons = [days[:4], days[4:]]
        write_source(
            folder / "source",
            {day: self.random.randint(1, 3) for day in days},
            {day: name for name, season in zip(("2022-23", "2023-24"), self.seasons, strict=True) for day in season},
        )

        def change(document: dict[str, Any]) -> None:
            document["queues"]["work"]["max_concurrent"] = self.concurrent
            document["phases"][0]["limits"]["active_dates"] = self.active
            if barrier:
                document["phases"][3]["gates"].append({"check": "barrier", "phase": "shape"})
            ramp = [{"active_dates": 1, "until_finished": ALONE}, {"active_dates": TOGETHER}]
            document["profiles"] = {"current": {"phases": "fetch..final", "ramp": ramp, "stops_at_bad_date": True}}

        slowness = {f"{p}": self.random.choice((0.05, 0.5, 3.0)) for c in CHAINS for p in c}

        def duration(call: Call) -> timedelta:
            draw = random.Random(f"{seed} {call.claim.key}").random()
            return timedelta(seconds=0.002 + draw * slowness.get(call.claim.key.ref, 0.5))

        super().__init__(folder, dates=8, change=change, duration=duration, atomic_turns=self.random.random() < 0.5)
        self.oracle = Oracle(self.seasons, barrier=barrier)
        self.sequence = History()
        if unruly:
            self.misbehave(**dict(self._acts()))

    def _acts(self) -> Iterator[tuple[str, list[str]]]:
        for day in range(8):
            for chain in CHAINS:
                if self.random.random() < 0.3:
                    ref = self.random.choice(chain).replace("/", "__")
                    acts = self.random.choices(("fail:transient", "raise", "lie"), k=self.random.randint(0, 2))
                    acts += ["fail:throttle"] * self.random.randint(0, 2)
                    self.random.shuffle(acts)
                    yield f"{ref}__{day}", acts

    def drive(self, *, events: type[SqliteEvents] = SqliteEvents, within: timedelta = LONGEST) -> Outcome:
        """Begin the run and drive it, noting the sequence. within: virtual time after which it counts as stuck."""
        with self.sequence.noted(), self.open() as embedded:
            self.begin(embedded, selection=Selection(seasons=("2022-23", "2023-24")), profile=self.profile)
            embedded.events = events(embedded.database)
            embedded.drive("r", stop=lambda: self.clock.now() > START + within)
        return self.outcome()

    def stored_claims(self) -> list[tuple[int, str, str, int, str]]:
        """What SQLite holds: (fence, ref, date, attempt, when), by fence."""
        with closing(sqlite3.connect(self.home.state)) as state:
            return state.execute(
                "SELECT fence, phase || '/' || processor, day, attempt, claimed_at FROM claims ORDER BY fence"
            ).fetchall()

    def expected_tables(self) -> dict[str, list[tuple[str, str, int]]]:
        """Every table, computed here from the source."""
        data = self.data()
        tables: dict[str, list[tuple[str, str, int]]] = {}
        for name, table in (("a", "raw.a"), ("b", "raw.b")):
            tables[table] = [(day, r["k"], r["v"]) for day in sorted(data[name]) for r in data[name][day]]
        tables["shape.left_side"] = [(d, k, 2 * v) for d, k, v in tables["raw.a"]]
        b = {(d, k): v for d, k, v in tables["raw.b"]}
        tables["shape.right_side"] = [(d, k, v + b[d, k]) for d, k, v in tables["shape.left_side"]]
        left, right = (
            {str(d): sum(v for day, _, v in tables[t] if day == str(d)) for d in self.days}
            for t in ("shape.left_side", "shape.right_side")
        )
        ahead = {
            str(d): sum(left[str(e)] for e in season[max(0, i - 3) : i])
            for season in self.seasons
            for i, d in enumerate(season)
        }
        tables["shape.ahead"] = [(d, "all", v) for d, v in sorted(ahead.items())]
        tables["final.total"] = [
            (str(d), "all", sum(left[str(e)] for e in season[i - 2 : i]) + right[str(d)] + ahead[str(d)])
            for season in self.seasons
            for i, d in enumerate(season)
            if i >= 2
        ]
        return {table: sorted(rows) for table, rows in tables.items()}

    def complaints(self, found: Outcome) -> list[str]:
        """Everything that is wrong after a run that should have ended well."""
        wrong = self.oracle.violations(self.sequence) + self.disagreements()
        if found.status != "completed" or found.missing or found.quarantined:
            wrong.append(f"{found.status}, missing {found.missing}, {found.quarantined} events in quarantine")
        if found.tables != self.expected_tables():
            wrong.append("the tables do not hold what the source demands")
        noted = [(f, e.task[0], str(e.task[1]), e.attempt) for f, (_, e) in self._fenced()]
        if noted != [row[:4] for row in self.stored_claims()]:
            wrong.append("the stored claims are not those that were made")
        return wrong

    def _fenced(self) -> list[tuple[int, tuple[int, Entry]]]:
        return sorted(zip(self.sequence.fences, self.sequence.claims(), strict=True), key=lambda each: each[0])


@pytest.mark.parametrize("seed", range(40 if FULL else 20))
def test_with_random_times_and_failures_no_task_is_claimed_before_its_edges_have_passed(
    tmp_path: Path, seed: int, dates_at_once: int
) -> None:
    world = OrderedWorld(tmp_path, seed)
    assert world.complaints(world.drive()) == []
    assert most_open(world.sequence, ("raw", "shape", "final")) <= world.concurrent * dates_at_once
    assert most_active_dates(world.sequence) <= world.active


@pytest.mark.parametrize("seed", range(8 if FULL else 4))
def test_with_a_barrier_the_last_phase_waits_for_every_date(tmp_path: Path, seed: int) -> None:
    world = OrderedWorld(tmp_path, seed, barrier=True)
    assert world.complaints(world.drive()) == []


@pytest.mark.parametrize("seed", range(16 if FULL else 6))
def test_dates_that_go_in_order_enter_one_after_the_other_the_first_of_them_alone(tmp_path: Path, seed: int) -> None:
    world = OrderedWorld(tmp_path, seed, in_order=True)
    assert world.complaints(world.drive()) == []
    assert entered_in_turn(world.sequence) == world.days
    assert not_alone(world.sequence) == []


@pytest.mark.parametrize("seed", range(16 if FULL else 6))
def test_behind_a_date_that_ends_badly_none_enters_whatever_times_there_are(tmp_path: Path, seed: int) -> None:
    world = OrderedWorld(tmp_path, seed, unruly=False, in_order=True)
    bad = world.random.randrange(8)
    world.misbehave(**{f"{world.random.choice(SHAPE).replace('/', '__')}__{bad}": ["fail:bug"]})
    assert world.drive().status == "completed_with_failures"
    entered = entered_in_turn(world.sequence)
    assert entered == world.days[: len(entered)]
    assert bad + 1 <= len(entered) <= (bad + 1 if bad < ALONE else bad + TOGETHER)


def test_the_oracle_finds_dates_that_go_side_by_side(tmp_path: Path) -> None:
    world = OrderedWorld(tmp_path, 0, unruly=False)
    world.drive()
    assert not_alone(world.sequence) != []


def test_the_oracle_finds_a_claim_that_came_too_early(tmp_path: Path) -> None:
    world = OrderedWorld(tmp_path, 0, unruly=False)
    world.drive()
    entries = world.sequence.entries
    early = next(e for _, e in world.sequence.claims() if e.task[0] == "shape/ahead" and e.task[1] == world.days[3])
    entries.remove(early)
    left = Entry("proved", ("shape/left", world.days[1]), 1)
    entries.insert(entries.index(left), early)
    assert f"{early} before ('shape/left', {world.days[1]!r}) was proved" in world.oracle.violations(world.sequence)


class Mailbox(SqliteEvents):
    """Delivers every message twice, in any order, late; loses the first completion of every fifth task, with all that
    travel with it."""

    def __init__(self, database: Any) -> None:
        super().__init__(database)
        self._random = random.Random(7)
        self._held: list[Message] = []
        self.lost: set[tuple[str, ...]] = set()

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        for message in messages:
            events = [json.loads(each) for each in taken_apart(text_of(message))]
            if all(event["attempt"] == 1 for event in events) and self._random.random() < 0.2:
                self.lost.update((event["date"], event["phase"], event["processor"]) for event in events)
            else:
                self._held += [message, message]
        self._let_go()

    def waiting(self, limit: int) -> list[tuple[int, Message]]:
        self._let_go()
        return super().waiting(limit)

    def _let_go(self) -> None:
        if self._held and self._random.random() < 0.7:
            self._random.shuffle(self._held)
            some = self._random.randint(1, len(self._held))
            super().publish(COMPLETIONS, self._held[:some])
            del self._held[:some]


@pytest.mark.parametrize("seed", range(10 if FULL else 5))
def test_duplicated_shuffled_late_and_lost_completions_change_nothing_in_the_end(tmp_path: Path, seed: int) -> None:
    world = OrderedWorld(tmp_path, seed, unruly=False)
    found = world.drive(events=Mailbox)
    assert world.complaints(found) == []
    ends = [entry for entry in world.sequence.entries if entry.what == "ended"]
    assert len(ends) > len(world.sequence.claims()) and world.clock.now() - START > timedelta(seconds=90)


class Forgetful(SqliteTasks):
    """Loses most wake-ups of the conductor, half of the dispatch pages, and one in ten first dispatches."""

    random_ = random.Random(11)
    lost = 0

    def create(self, tasks: Sequence[QueueTask]) -> None:
        shares = {CONDUCTOR_QUEUE: 0.6, DISPATCH_QUEUE: 0.5}
        kept = [task for task in tasks if self.random_.random() >= shares.get(task.queue, 0.1)]
        Forgetful.lost += len(tasks) - len(kept)
        super().create(kept)


@pytest.mark.parametrize("seed", range(6 if FULL else 3))
def test_lost_wake_ups_and_dispatches_are_found_by_the_sweeper(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "SqliteTasks", Forgetful)
    Forgetful.random_ = random.Random(seed)
    Forgetful.lost = 0
    world = OrderedWorld(tmp_path, seed, unruly=False)
    assert world.complaints(world.drive()) == []
    assert Forgetful.lost > 10


class StandingStill(SqliteTasks):
    """A queue that somebody paused from outside, a second after the start, delivers nothing until it is resumed.

    created: how often each attempt was put on a queue.
    """

    paused, until = "", START
    created: ClassVar[Counter[tuple[str, ...]]] = Counter()

    def create(self, tasks: Sequence[QueueTask]) -> None:
        for payload in (json.loads(task.payload) for task in tasks):
            for each in [payload] if "attempt" in payload else payload.get("attempts", ()):
                task = {**payload, **each}
                self.created[tuple(str(task[key]) for key in ("date", "phase", "processor", "attempt"))] += 1
        super().create(tasks)

    def lease(self, queues: Iterable[str], limit: int) -> list[QueueTask]:
        return super().lease(self._going(queues), limit)

    def next_at(self, queues: Iterable[str]) -> datetime | None:
        return super().next_at(self._going(queues))

    def _going(self, queues: Iterable[str]) -> list[str]:
        is_paused = START + timedelta(seconds=1) < self._clock.now() < self.until
        return [queue for queue in queues if not (is_paused and queue == self.paused)]


@pytest.mark.parametrize("paused", ["fetches", "work", CONDUCTOR_QUEUE, DISPATCH_QUEUE])
def test_a_run_whose_queue_was_paused_over_a_weekend_ends_as_if_it_had_not(
    tmp_path: Path, paused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "SqliteTasks", StandingStill)
    monkeypatch.setattr("phasegate.adapters.embedded.engine.SWEEP_EVERY", timedelta(minutes=10))
    StandingStill.paused, StandingStill.until = paused, START + timedelta(days=3)
    StandingStill.created = Counter()
    world = OrderedWorld(tmp_path, 3, unruly=False)
    assert world.complaints(world.drive(within=timedelta(days=3, minutes=30))) == []
    assert paused == DISPATCH_QUEUE or world.clock.now() > StandingStill.until, "the sweeper dispatches as well"
    assert max(StandingStill.created.values(), default=0) <= 10, "the longer it waits, the more seldom it is queued"


def test_a_sweeper_that_stands_still_for_an_hour_while_messages_are_lost_mends_it_all_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, begins, ends = bootstrap.Services.sweep, START + timedelta(seconds=1), START + timedelta(hours=1)

    def sweeping(services: bootstrap.Services, run_id: str) -> None:
        if not begins < services.backend.clock.now() < ends:
            sweep(services, run_id)

    monkeypatch.setattr(bootstrap.Services, "sweep", sweeping)
    monkeypatch.setattr(bootstrap, "SqliteTasks", Forgetful)
    world = OrderedWorld(tmp_path, 2, unruly=False)
    assert world.complaints(world.drive(events=Mailbox)) == []
    assert timedelta(hours=1) < world.clock.now() - START < timedelta(hours=5), "a third time waits longest"


def test_a_lying_scraper_costs_its_raw_processor_no_attempts(tmp_path: Path) -> None:
    """When a proof fails, the task and those that needed it run again (design 3). A slow neighbour delays the proof."""
    slow = {"b": timedelta(seconds=30)}
    world = ComparedWorld(
        tmp_path, dates=1, duration=lambda call: slow.get(call.claim.key.processor, timedelta(milliseconds=10))
    )
    world.misbehave(fetch__a__0=["lie"])
    assert world.run().status.value == "completed"


def test_what_waits_in_a_slow_queue_is_not_queued_a_second_time(tmp_path: Path, dates_at_once: int) -> None:
    """Eight calls of four minutes, one after the other: the last wait more than twice the sweeper's grace."""

    def one_at_a_time(document: dict[str, Any]) -> None:
        document["queues"] = {name: {"max_concurrent": 1} for name in document["queues"]}
        for phase in document["phases"]:
            phase["dispatch"]["timeout_seconds"] = 600

    # A timeout of 600 s leaves time for three dates a call, and three are released at once.
    dates = 4 if dates_at_once == 1 else 12
    world = World(tmp_path, dates=dates, change=one_at_a_time, duration=lambda _: timedelta(minutes=4))
    with world.open() as embedded:
        world.begin(embedded, phases="fetch..fetch")
        board = embedded.drive("r", stop=lambda: world.clock.now() > START + LONGEST)
        assert board.status.value == "completed"
        assert world.clock.now() - START > 3 * DISPATCH_GRACE
        assert [heal.kind for heal in embedded.state.heals("r")] == []


def test_sweeps_that_take_long_leave_most_of_the_time_to_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps, sweep, takes = list[datetime](), bootstrap.Services.sweep, timedelta(seconds=30)
    world = World(tmp_path, dates=4, duration=lambda _: timedelta(minutes=4))

    def sweeping(services: bootstrap.Services, run_id: str) -> None:
        sweeps.append(world.clock.now())
        sweep(services, run_id)
        world.clock.move_to(world.clock.now() + takes)

    monkeypatch.setattr(bootstrap.Services, "sweep", sweeping)
    assert world.run().status.value == "completed"
    apart = [later - earlier for earlier, later in pairwise(sweeps)]
    assert len(apart) > 3
    assert min(apart) >= 10 * takes
