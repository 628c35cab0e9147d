"""A world that lives, dies and lives again; and what must be the same afterwards."""

import json
import shutil
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from phasegate.adapters.embedded.clock import VirtualClock
from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.home import Home
from phasegate.adapters.embedded.state import SqliteState
from phasegate.bootstrap import Embedded
from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.state.board import Board
from phasegate.services.operating import operators
from phasegate.services.reading.progress import report
from phasegate.services.running.calls import Call
from tests.simulation.effects import Crash, Effects
from tests.world import START, World, reading

LONGEST = timedelta(hours=6)
"""Virtual time after which a run counts as stuck."""


def uneven(call: Call) -> timedelta:
    """5 to 94 ms, by the attempt's identity: calls end one by one, in an order of their own."""
    return timedelta(milliseconds=5 + zlib.crc32(str(call.claim.key).encode()) % 90)


@dataclass(frozen=True)
class Outcome:
    """What a run leaves behind that may not depend on how often the process died."""

    status: str
    groups: dict[str, str]
    tasks: dict[str, int]
    missing: tuple[Any, ...]
    tables: dict[str, list[tuple[str, str, int]]]
    quarantined: int


class ComparedWorld(World):
    """A world whose run ``r`` can be compared with another one."""

    def outcome(self) -> Outcome:
        """What the run has left behind."""
        with closing(Database(self.home.state)) as database:
            state = SqliteState(database, keeps_dates=False)
            found, (board, _) = report(state, "r", self.clock.now()), state.board("r")
        return Outcome(
            status=found.status.value,
            groups={name: strip.decode() for name, strip in board.groups.items()},
            tasks={name: n for name, n in found.tasks.items() if n},
            missing=found.missing,
            tables=self.tables(),
            quarantined=found.quarantined,
        )

    def disagreements(self) -> list[str]:
        """What claims, facts and ``processor_run_history`` do not agree on; nothing when each tells the same."""
        with closing(sqlite3.connect(self.home.state)) as state:
            claimed = set(state.execute("SELECT day, phase, processor, attempt FROM claims"))
            ended: dict[tuple[Any, ...], str] = {}
            for *key, name, doc in state.execute(
                "SELECT day, phase, processor, attempt, name, doc FROM facts"
                " WHERE name IN ('reported', 'healed', 'abandoned')"
                " ORDER BY CASE name WHEN 'abandoned' THEN 1 WHEN 'reported' THEN 2 ELSE 3 END"
            ):
                fact = json.loads(doc)
                word = {"reported": fact.get("status"), "healed": f"healed_{fact.get('outcome')}"}
                ended[tuple(key)] = word.get(name, "abandoned")
        with reading(self.home.warehouse) as warehouse:
            rows = warehouse.execute(
                "SELECT CAST(data_date AS VARCHAR), phase, processor_name, attempt, status FROM ref.history"
            ).fetchall()
        history = {tuple(row[:4]): row[4] for row in rows}
        found = [f"{n} history rows of {key}" for key, n in Counter(tuple(r[:4]) for r in rows).items() if n > 1]
        found += [f"no end of the claimed {key}" for key in sorted(claimed - ended.keys())]
        found += [f"no history of {key}" for key in sorted(ended.keys() - history.keys())]
        found += [f"history of {key}, which never ended" for key in sorted(history.keys() - ended.keys())]
        found += [
            f"{key} ended as {ended[key]}, its history says {history[key]}"
            for key in sorted(ended.keys() & history.keys())
            if ended[key] != history[key]
        ]
        return found


class MortalWorld(ComparedWorld):
    """A world whose runs are driven for one life at a time."""

    def __init__(
        self,
        folder: Path,
        *,
        dates: int = 2,
        atomic_turns: bool = False,
        change: Callable[[dict[str, Any]], None] = lambda _: None,
        **options: Any,
    ) -> None:
        def with_every_writer(document: dict[str, Any]) -> None:
            document["workers"]["world"]["factory"] = "tests.simulation.effects:build"
            change(document)

        super().__init__(
            folder, dates=dates, atomic_turns=atomic_turns, change=with_every_writer, duration=uneven, **options
        )
        self.folder = folder
        self.after_begin: Callable[[Embedded], None] = lambda _: None

    def calendar(self) -> Calendar:
        """The calendar, read once."""
        return self._read_calendar

    @cached_property
    def _read_calendar(self) -> Calendar:
        return super().calendar()

    @contextmanager
    def home_of_its_own(self, like: Home | None = None) -> Iterator[None]:
        """Another home, empty or like a given one, and time from its beginning; the home is gone afterwards."""
        before, self.home = self.home, Home(self.folder / "mortal")
        clock, self.clock = self.clock, VirtualClock(START if like is None else self.clock.now())
        self.options.clock = self.clock
        if like is not None:
            shutil.copytree(like.root, self.home.root)
        try:
            yield
        finally:
            shutil.rmtree(self.home.root, ignore_errors=True)
            self.home, self.clock = before, clock
            self.options.clock = clock

    def live(self, effects: Effects) -> Board:
        """One life: open the home, begin the run or find it, drive it to its end. Raises Crash when it is cut off."""
        end = self.clock.now() + LONGEST
        with effects.installed(), self.open() as embedded:
            if not embedded.state.runs():
                self.begin(embedded)
            self.after_begin(embedded)
            return embedded.drive("r", stop=lambda: self.clock.now() > end)

    def die_at(self, number: int) -> Effects:
        """One life that is cut off at a boundary."""
        effects = Effects(number)
        try:
            self.live(effects)
        except Crash:
            assert len(effects.reached) == number
        else:
            raise AssertionError(f"boundary {number} was not reached: the run has {len(effects.reached)}")
        assert not effects.posthumous, f"{effects.where}: the dying process still did {effects.posthumous}"
        return effects

    def retry(self, embedded: Embedded) -> None:
        """Ask once for everything that failed or is blocked; for ``after_begin``."""
        if not embedded.state.run("r").retries:
            operators.retry(
                embedded.state, self.clock, "r", dates=(), phase=None, processor=None, signature=None, why="mended"
            )
