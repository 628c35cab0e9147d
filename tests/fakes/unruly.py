"""A worker that does what no worker should, each under a path of its own. It imports little."""

import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any

from phasegate.domain.errors import HaltError, StaleFence, WouldEmpty
from phasegate.ports import ObjectStore, Partition, Partitions, Warehouse

FOR_EVER = 1000.0
MANY = "UNNEST(GENERATE_ARRAY(1, 40000))"
SLOW = f"SELECT @d AS d, 'x' AS k, COUNT(*) AS v FROM {MANY} a, {MANY} b WHERE MOD(a * b, 7) = 3"
DAY = date(2024, 1, 15)
PART = Partition("raw.t", "d", DAY)

Answer = tuple[int, dict[str, Any]]


class Odd:
    """Nothing that could be sent."""


class Text(str):
    """A text of its own kind."""

    def __str__(self) -> str:
        return self


class UnrulyWorker:
    """Answers with what it did."""

    def __init__(self, source: Path | None, warehouse: Warehouse, objects: ObjectStore) -> None:
        self._source, self._warehouse, self._objects = source, warehouse, objects
        self._is_prepared = False

    def prepare(self) -> None:
        """Make a table."""
        self._warehouse.apply_schema("CREATE TABLE IF NOT EXISTS `raw.t` (d DATE, k STRING, v INT64, _fence INT64)")
        self._is_prepared = True

    def made_with(self) -> Any:
        """Say so, or raise what the source folder has a file of."""
        if self._source is not None and (self._source / "mute").exists():
            raise RuntimeError("it will not say")
        return {"/who": {"x": "1.0", "y": 2}}

    def offered_batches(self) -> Any:
        """Say so, or raise what the source folder has a file of."""
        self.made_with()
        return {"/who": "list"}

    def handle(self, path: str, body: Mapping[str, Any]) -> Any:
        """One request."""
        act: Callable[[Mapping[str, Any]], Any] = getattr(self, path.removeprefix("/"))
        return act(body)

    def who(self, body: Mapping[str, Any]) -> Answer:
        """Say which process this is, when as many are here as the body names."""
        if (crowd := body.get("crowd")) is not None and self._source is not None:
            (self._source / str(os.getpid())).touch()
            give_up = time.monotonic() + FOR_EVER
            while len(list(self._source.iterdir())) < crowd and time.monotonic() < give_up:
                time.sleep(0.005)
        found = {"pid": os.getpid(), "session": os.getsid(0), "is_prepared": self._is_prepared}
        return 200, {**found, "folder": os.getcwd(), "path": sys.path, "json": json.__file__}

    def hang(self, body: Mapping[str, Any]) -> Answer:
        """Wait for something that this started, and that waits for ever."""
        started = subprocess.Popen(["/bin/sleep", str(FOR_EVER)])
        if "say" in body:
            Path(body["say"]).write_text(f"{os.getpid()} {started.pid}\n")
        started.wait()
        return 200, {}

    def hang_in_a_statement(self, body: Mapping[str, Any]) -> Answer:
        """Ask for what takes long, and then replaces the partition."""
        return 200, {"rows": self._warehouse.replace_partition(PART, SLOW, {"d": DAY}, 9)}

    def exit(self, body: Mapping[str, Any]) -> Answer:
        """End the interpreter."""
        sys.stdout.write("about to end\n")
        os._exit(3)

    def killed(self, body: Mapping[str, Any]) -> Answer:
        """End as by the kernel."""
        os.kill(os.getpid(), signal.SIGKILL)
        return 200, {}

    def crash(self, body: Mapping[str, Any]) -> Answer:
        """Read where nothing is."""
        ctypes.string_at(1)
        return 200, {}

    def leave_a_holder(self, body: Mapping[str, Any]) -> Answer:
        """End with a fork that lives on, outside of the session, with every descriptor that a fork inherits."""
        if os.fork() == 0:
            os.setsid()
            time.sleep(5)
            os._exit(0)
        os._exit(4)

    def odd(self, body: Mapping[str, Any]) -> Answer:
        """Answer with no JSON."""
        return 200, {"odd": Odd()}

    def deep(self, body: Mapping[str, Any]) -> Answer:
        """Answer with too much of it."""
        made: list[Any] = []
        for _ in range(100_000):
            made = [made]
        return 200, {"deep": made}

    def later(self, body: Mapping[str, Any]) -> Answer:
        """Promise an event."""
        return 202, {}

    def nothing(self, body: Mapping[str, Any]) -> None:
        """Answer nothing."""

    def raise_(self, body: Mapping[str, Any]) -> Answer:
        """Raise what is named."""
        named: dict[str, BaseException] = {
            "value": ValueError("no \ud83d words"),
            "exit": SystemExit(0),
            "interrupt": KeyboardInterrupt(),
            "halt": HaltError("the disk is full"),
            "stale": StaleFence("too late"),
        }
        raise named[body["what"]]

    def say(self, body: Mapping[str, Any]) -> Answer:
        """Print and log."""
        sys.stdout.write("printed\x1b[2K \ud83d\n")
        os.write(2, b"written, the rest of a line")
        logging.getLogger("their.own").info("unheard")
        logging.getLogger("their.own").error(Text())
        try:
            raise ValueError("why")
        except ValueError:
            logging.getLogger("their.own").exception("logged %d", 7)
        return 200, {}

    def trace(self, body: Mapping[str, Any]) -> Answer:
        """Say which trace this belongs to, under a status that is no plain number."""
        from phasegate import telemetry

        return HTTPStatus.OK, {"trace": telemetry.current_trace()}

    def work(self, body: Mapping[str, Any]) -> Answer:
        """Use warehouse and objects, from several threads too; everything that came back, as text."""
        found: dict[str, Any] = {}
        lines = b'{"d": "2024-01-15", "k": "a", "v": 1}\n'
        found["loaded"] = self._warehouse.load_partition(PART, bytearray(lines), 7)
        (row,) = self._warehouse.query(
            "SELECT d, k, v, CAST(0.5 AS NUMERIC) AS n FROM `raw.t` WHERE d = @d", {"d": DAY}
        )
        found["row"] = [repr(row["d"]), row["k"], row["v"], isinstance(row["n"], Decimal)]
        found["columns"] = sorted(self._warehouse.columns(name for name in ["raw.t", "raw.u"]))
        self._objects.write("some/where", b"content")
        found["object"] = self._objects.read("some/where").decode()
        found["held"] = sorted(self._objects.held({"some/where": 1, "else": 2}.keys()))
        for name, act in {
            "stale": lambda: self._warehouse.load_partition(PART, lines, 6),
            "nothing": lambda: self._warehouse.load_partition(PART, b"", 7),
            "gone": lambda: self._objects.read("else"),
            "wrong": lambda: self._warehouse.query("SELECT nothing"),
            "odd": lambda: self._warehouse.query("SELECT @x AS x", {"x": Odd()}),  # type: ignore[dict-item]
            "closed": lambda: self._warehouse.close(),
        }.items():
            try:
                act()
            except Exception as error:
                found[name] = f"{type(error).__name__}: {error}"
                if isinstance(error, WouldEmpty):
                    found["emptied"] = error.empty()
        some = Partitions(PART.table, PART.date_column, {DAY: 7})
        found["many"] = list(self._warehouse.load_partitions(some, {DAY: lines}).values())
        (refusal,) = self._warehouse.load_partitions(some, {DAY: b""}).values()
        found["many"] += [type(refusal).__name__, refusal.empty() if isinstance(refusal, WouldEmpty) else None]
        numbers: dict[int, Any] = {}
        threads = [
            threading.Thread(
                target=lambda n=n: numbers.update({n: self._warehouse.query("SELECT @n AS n", {"n": n})[0]["n"]})
            )
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found["threads"] = numbers == {n: n for n in range(8)}
        return 200, found


def build(source: Path | None, warehouse: Warehouse, objects: ObjectStore) -> UnrulyWorker:
    """A factory."""
    return UnrulyWorker(source, warehouse, objects)


def build_slowly(source: Path | None, warehouse: Warehouse, objects: ObjectStore) -> UnrulyWorker:
    """A factory that waits for the file ``go``, where there is one called ``wait``."""
    while source is not None and (source / "wait").exists() and not (source / "go").exists():
        time.sleep(0.005)
    return UnrulyWorker(source, warehouse, objects)


def build_never(source: Path | None, warehouse: Warehouse, objects: ObjectStore) -> UnrulyWorker:
    """A factory that hangs."""
    threading.Event().wait(FOR_EVER)
    return UnrulyWorker(source, warehouse, objects)


def build_and_raise(source: Path | None, warehouse: Warehouse, objects: ObjectStore) -> UnrulyWorker:
    """A factory that raises."""
    raise ValueError("no source")


def build_and_exit(source: Path | None, warehouse: Warehouse, objects: ObjectStore) -> UnrulyWorker:
    """A factory that ends the interpreter."""
    os._exit(5)
