"""The same facts give the same decisions on both backends.

A disorderly run of the small world is recorded on SQLite: every fact, mark and request in its order, every round of the
conductor with what the tables answered. The recording is replayed into a fresh SQLite and into Firestore; after each
step board, cells and due attempts of all dates are those of the recording.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.clock import VirtualClock
from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.state import SqliteState
from phasegate.bootstrap import Embedded
from phasegate.domain.decisions.reconcile import reconcile
from phasegate.domain.errors import PhasegateError, TransientError
from phasegate.domain.plan import Plan, compile_plan
from phasegate.domain.protocol.worker import ResultStatus
from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import Abandoned, Dispatched, Healed, Reported
from phasegate.domain.state.run import DesiredState, Run, RunStatus
from phasegate.ports import Parameter, QueueTask, Row, State
from phasegate.services.backend import Backend
from phasegate.services.operating import operators
from phasegate.services.running.conductor import Conductor
from phasegate.services.running.dispatcher import Dispatcher
from phasegate.services.running.historian import Historian
from tests.contract.firestore import FirestoreBackend
from tests.world import START, World

pytestmark = pytest.mark.usefixtures("dates_at_once")

Question = tuple[str, Mapping[str, Parameter]]


@dataclass
class Answers:
    """What the tables and the object store said in one round: by statement and date, by object name."""

    rows: dict[tuple[str, date], list[Row]] = field(default_factory=dict)
    errors: dict[tuple[str, date], PhasegateError] = field(default_factory=dict)
    objects: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What a state leads to: the board without its cursor, every cell, every attempt that is due."""

    board: dict[str, Any]
    cells: dict[tuple[date, str], Any]
    due: dict[date, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Step:
    """``record``, ``mark_at_rest``, ``change_run`` or ``conduct``, with its arguments, and what was seen after it."""

    what: str
    arguments: Any
    now: datetime
    seen: Seen


def seen(state: State, days: Sequence[date]) -> Seen:
    """Look at everything, as a handler would."""
    index = state.index("r")
    board = state.board("r")[0].to_document()
    del board["cursor"]
    facts = state.dates("r", days)
    return Seen(
        board,
        {(day, phase): cell for day, found in facts.items() for phase, cell in found.cells.items()},
        {day: [(d.key, d.dispatch, d.generation, d.inputs, d.not_before) for d in reconcile(found, index).due]
         for day, found in facts.items()},
    )  # fmt: skip


class Recorder:
    """Listens at the port and at the conductor while a run is driven."""

    def __init__(self, world: World, state: State, patch: pytest.MonkeyPatch) -> None:
        self.steps: list[Step] = []
        self._world, self._state, self._patch = world, state, patch
        self._listen("record", lambda run_id, facts: list(facts))
        self._listen("mark_at_rest", lambda run_id, days: list(days))
        self._listen("change_run", lambda run_id, change: None)
        conduct = Conductor.conduct

        def conducting(conductor: Conductor, run_id: str) -> Board:
            answers, now = Answers(), self._world.clock.now()
            with self._answers(conductor, answers):
                board = conduct(conductor, run_id)
            self._note("conduct", answers, now)
            return board

        patch.setattr(Conductor, "conduct", conducting)

    def _listen(self, method: str, keep: Any) -> None:
        original = getattr(self._state, method)

        def noting(*arguments: Any) -> Any:
            done = original(*arguments)
            self._note(method, done if method == "change_run" else keep(*arguments), self._world.clock.now())
            return done

        self._patch.setattr(self._state, method, noting)

    def _note(self, what: str, arguments: Any, now: datetime) -> None:
        self.steps.append(Step(what, arguments, now, seen(self._state, self._world.days)))

    @contextmanager
    def _answers(self, conductor: Conductor, answers: Answers) -> Iterator[None]:
        warehouse, objects = conductor._backend.warehouse, conductor._backend.objects
        ask, held = warehouse.ask, objects.held

        def asking(questions: Sequence[Question]) -> list[list[Row] | PhasegateError]:
            given = ask(questions)
            for (sql, parameters), answer in zip(questions, given, strict=True):
                for day in parameters["days"]:  # type: ignore[union-attr]
                    if isinstance(answer, PhasegateError):
                        answers.errors[sql, day] = answer  # type: ignore[index]
                    else:
                        answers.rows[sql, day] = [row for row in answer if row["d"] == day]  # type: ignore[index]
            return given

        def holding(names: Any) -> set[str]:
            wanted = list(names)
            found = held(wanted)
            answers.objects.update({name: name in found for name in wanted})
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(warehouse, "ask", asking)
            patch.setattr(objects, "held", holding)
            yield


class Replayed:
    """A state into which a recording is replayed; queues take everything, tables say what they said."""

    def __init__(self, state: State) -> None:
        self._state, self._clock, self._answers = state, VirtualClock(START), Answers()
        backend = Backend(state, self, self, self, self, {}, self._clock, timedelta(milliseconds=50))  # type: ignore[arg-type]
        self._conductor = Conductor(backend, Dispatcher(backend), Historian(backend))

    def play(self, step: Step, days: Sequence[date]) -> Seen:
        """Do what was done; what it leads to."""
        self._clock.move_to(step.now)
        if step.what == "conduct":
            self._answers = step.arguments
            self._conductor.conduct("r")
        elif step.what == "change_run":
            self._state.change_run("r", lambda _: step.arguments)
        else:
            getattr(self._state, step.what)("r", step.arguments)
        return seen(self._state, days)

    def create(self, tasks: Sequence[QueueTask]) -> None:
        """Cloud Tasks."""

    def append_missing(self, table: str, rows: Sequence[Row], keys: Sequence[str]) -> int:
        """The history's table."""
        return len(rows)

    def columns(self, tables: Iterable[str]) -> dict[str, Mapping[str, str]]:
        """The tables' columns: what outputs were made from is not recorded anew, and decides nothing in a run."""
        return {}

    def ask(self, questions: Sequence[Question]) -> list[list[Row] | PhasegateError]:
        """The tables. KeyError: the recorded round did not ask this, so that another decision was made."""
        return [self._answer(sql, parameters["days"]) for sql, parameters in questions]

    def _answer(self, sql: str, days: Any) -> list[Row] | PhasegateError:
        for day in days:
            if error := self._answers.errors.get((sql, day)):
                return error
        return [row for day in days for row in self._answers.rows[sql, day]]

    def held(self, names: Any) -> set[str]:
        """The object store."""
        return {name for name in names if self._answers.objects[name]}


def disorderly(chance: random.Random, world: World) -> None:
    """Workers that fail, lie, write too little or break, each of a few tasks."""
    acts = ["fail:transient", "fail:not_yet", "lie", "short", "raise", "fail:bug"]
    tasks = [
        f"{phase}__{name}__{n}" for phase, name in (("fetch", "a"), ("raw", "b"), ("shape", "left")) for n in (0, 1)
    ]
    world.misbehave(**{task: chance.choices(acts, k=chance.randint(1, 2)) for task in chance.sample(tasks, 4)})


def record_a_run(folder: Path, seed: int, is_away: bool) -> tuple[World, Run, Plan, list[Step]]:
    """A run of disorder: a lost completion, a pause in the middle of a claim, a retry.

    is_away: the tables cannot be asked for a moment.
    """
    chance = random.Random(seed)
    world = World(
        folder, dates=3, duration=lambda _: timedelta(milliseconds=chance.randint(1, 900)), atomic_turns=False
    )
    disorderly(chance, world)
    with pytest.MonkeyPatch.context() as patch, world.open() as embedded:
        run = world.begin(embedded)
        plan = embedded.state.plan("r")
        recorder = Recorder(world, embedded.state, patch)
        _disturb(embedded, chance, is_away, patch)

        def resumed() -> bool:
            if embedded.state.run("r").desired_state is DesiredState.PAUSED:
                operators.resume(embedded.state, "r")
            return world.clock.now() > START + timedelta(hours=1)

        embedded.drive("r", stop=resumed)
        operators.retry(
            embedded.state, world.clock, "r", dates=(), phase=None, processor=None, signature=None, why="once more"
        )
        embedded.drive("r", stop=resumed)
    return world, run, plan, recorder.steps


def _disturb(embedded: Embedded, chance: random.Random, is_away: bool, patch: pytest.MonkeyPatch) -> None:
    publish, claim, ask = embedded.events.publish, embedded.state.claim, embedded.warehouse.ask
    turns = {"lost": chance.randint(2, 5), "paused": chance.randint(2, 6), "away": 2 * is_away}

    def is_time(what: str) -> bool:
        turns[what] -= 1
        return turns[what] == 0

    def losing(topic: str, messages: Sequence[str]) -> None:
        mixed = [message for message in messages if not is_time("lost")]
        mixed += chance.sample(mixed, len(mixed) // 2)
        publish(topic, chance.sample(mixed, len(mixed)))

    def pausing(*arguments: Any) -> Any:
        claims = claim(*arguments)
        if is_time("paused"):
            operators.pause(embedded.state, "r")
        return claims

    def failing(questions: Sequence[Question]) -> Any:
        return [TransientError("quota exceeded")] * len(questions) if is_time("away") else ask(questions)

    patch.setattr(embedded.events, "publish", losing)
    patch.setattr(embedded.state, "claim", pausing)
    patch.setattr(embedded.warehouse, "ask", failing)


def kinds_of(steps: Sequence[Step]) -> set[str]:
    """What happened in a recording."""
    found = {step.what for step in steps}
    for step in steps:
        for _, fact in step.arguments if step.what == "record" else ():
            found.add(type(fact).__name__.lower())
            if isinstance(fact, Dispatched) and fact.batch > 1:
                found.add("batch")
            if isinstance(fact, Reported) and fact.status is ResultStatus.FAILED:
                found.add("failed")
        if step.what == "change_run" and step.arguments.retries:
            found.add("retry")
    return found


EXPECTED = {"record", "mark_at_rest", "change_run", "conduct", "retry", "failed"}
EXPECTED |= {kind.__name__.lower() for kind in (Dispatched, Reported, Abandoned, Healed)}


@pytest.fixture
def states(firestore_emulator: object, tmp_path: Path) -> Iterator[dict[str, State]]:
    """Both backends, blank."""
    database = Database(tmp_path / "replayed.sqlite")
    yield {"SQLite": SqliteState(database, keeps_dates=False), "Firestore": FirestoreBackend().state}
    database.close()


def replay(folder: Path, states: Mapping[str, State], seed: int, dates_at_once: int, *, is_away: bool) -> None:
    """Record a run, replay it into each state, and compare after each step."""
    world, run, plan, steps = record_a_run(folder / "recorded", seed, is_away)
    assert kinds_of(steps) - {"batch"} >= EXPECTED, "the recording holds every kind of trouble"
    assert ("batch" in kinds_of(steps)) is (dates_at_once > 1)
    assert any(step.seen.board["unjudged"] for step in steps) is is_away
    assert RunStatus(steps[-1].seen.board["status"]).is_final
    for state in states.values():
        state.create_run(run, plan, Board.blank("r", compile_plan(plan), run.created_at))
    replayed = {name: Replayed(state) for name, state in states.items()}
    for number, step in enumerate(steps):
        for name, other in replayed.items():
            assert other.play(step, world.days) == step.seen, f"{name} after step {number}: {step.what}"


def test_the_same_facts_give_the_same_decisions_on_both_backends(
    states: dict[str, State], tmp_path: Path, dates_at_once: int
) -> None:
    replay(tmp_path, states, 1, dates_at_once, is_away=False)


def test_so_they_do_while_a_table_cannot_be_asked(states: dict[str, State], tmp_path: Path, dates_at_once: int) -> None:
    # A date that is given again within the margin is asked about earlier than its turn: what is compared here are
    # decisions on the same answers.
    replay(tmp_path, states, 2, dates_at_once, is_away=True)
