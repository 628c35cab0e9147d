"""The boundaries of every effect, numbered in the order in which a run reaches them; and a process that dies at one.

An effect is a call of a port that writes. It has two boundaries, before and after; where a turn's writes are one
transaction, its commit has two as well. A process that dies at a boundary raises ``Crash``, which no handler of the
product catches; what SQLite had not committed is rolled back, as it is after a ``kill -9``.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.events import SqliteEvents
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.state import SqliteState
from phasegate.adapters.embedded.tasks import SqliteTasks
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.ports import ObjectStore, Partition, Warehouse
from tests.world import TABLES, WorldWorker

WRITERS: dict[type, tuple[str, ...]] = {
    SqliteState: (
        "create_run",
        "keep_plan",
        "change_run",
        "commit",
        "record",
        "mark_at_rest",
        "claim",
        "extend",
        "quarantine",
        "note_heal",
    ),
    SqliteTasks: ("create", "acknowledge", "give_back"),
    SqliteEvents: ("publish", "acknowledge"),
    DuckDbWarehouse: (
        "replace_partition",
        "load_partition",
        "append_missing",
        "replace_table",
        "apply_schema",
    ),
    FolderObjectStore: ("write",),
}


class Crash(KeyboardInterrupt):
    """The process is dead. An interruption is the one thing that passes through a worker."""


class Effects:
    """Counts boundaries while it is installed, and dies at number ``crash_at`` (from 1; None: never).

    reached: the boundaries so far, in order, as ``before SqliteState.claim``. posthumous: effects that were begun
    after the crash; there must be none. attempts: worker calls begun, as ``date/phase/processor/attempt``.
    """

    def __init__(self, crash_at: int | None = None) -> None:
        self.reached: list[str] = []
        self.posthumous: list[str] = []
        self.attempts: list[str] = []
        self._crash_at = crash_at
        self._is_dead = False

    @property
    def where(self) -> str:
        """The boundary of the crash, for messages."""
        return f"boundary {len(self.reached)} ({self.reached[-1] if self.reached else 'none'})"

    @contextmanager
    def installed(self) -> Iterator["Effects"]:
        """Wrap the methods that write."""
        with pytest.MonkeyPatch.context() as patch:
            for kind, names in WRITERS.items():
                for name in names:
                    patch.setattr(kind, name, self._wrapped(f"{kind.__name__}.{name}", getattr(kind, name)))
            patch.setattr(Database, "transaction", self._committing(Database.transaction))
            patch.setattr(WorldWorker, "handle", self._noting(WorldWorker.handle))
            yield self

    def pass_boundary(self, name: str) -> None:
        """Count a boundary. Raises Crash at the one that was asked for."""
        self.reached.append(name)
        if len(self.reached) == self._crash_at:
            self._is_dead = True
            raise Crash(name)

    def _wrapped(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def effect(target: Any, *arguments: Any, **named: Any) -> Any:
            if self._is_dead:
                self.posthumous.append(name)
            if arguments and arguments[-1] == []:
                return method(target, *arguments, **named)
            self.pass_boundary(f"before {name}")
            result = method(target, *arguments, **named)
            self.pass_boundary(f"after {name}")
            return result

        return effect

    def _committing(self, transaction: Callable[[Database], Any]) -> Callable[[Database], Any]:
        depth = 0

        @contextmanager
        def group(database: Database) -> Iterator[None]:
            nonlocal depth
            depth += 1
            before = len(self.reached)
            try:
                with transaction(database):
                    yield
                    is_turn = depth == 1 and len(self.reached) > before
                    if is_turn:
                        self.pass_boundary("before the turn's commit")
            finally:
                depth -= 1
            if is_turn:
                self.pass_boundary("after the turn's commit")

        return group

    def _noting(self, handle: Callable[..., Any]) -> Callable[..., Any]:
        def noted(worker: WorldWorker, path: str, body: Mapping[str, Any]) -> Any:
            for each in body.get("dates", (body,)):
                self.attempts.append(f"{each['date']}/{body['phase']}/{body['processor']}/{each['attempt']}")
            return handle(worker, path, body)

        return noted


class EveryWriter(WorldWorker):
    """The world's worker, with the warehouse's other ways of writing: a select, and a whole reference table."""

    more_tables = ";CREATE TABLE IF NOT EXISTS `ref.days` (d DATE)"

    def prepare(self) -> None:
        """Create the tables, and fill a reference table."""
        super().prepare()
        self._warehouse.replace_table("ref.days", "".join(f'{{"d": "{d}"}}\n' for d in self._days()).encode())

    def _work(self, phase: str, name: str, day: Any, fence: int, act: str) -> int:
        if name != "right" or act != "ok":
            return super()._work(phase, name, day, fence, act)
        select = f"SELECT l.d, l.k, l.v + b.v AS v FROM `{TABLES['left']}` l JOIN `{TABLES['b']}` b USING (d, k)"
        partition = Partition(TABLES[name], "d", day)
        return self._warehouse.replace_partition(partition, f"{select} WHERE l.d = @day", {"day": day}, fence)


def build(source: Path, tables: Warehouse, objects: ObjectStore) -> EveryWriter:
    """The factory that the pipeline of the crash tests names."""
    return EveryWriter(source, tables, objects)
