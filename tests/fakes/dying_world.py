"""The world's worker where processes of its own may die."""

import ctypes
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phasegate.ports import ObjectStore, Warehouse
from tests.world import WorldWorker


class DyingWorker(WorldWorker):
    """The world's worker, which once does what a file of the source folder is called: ``ACT phase processor date``."""

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """One request."""
        acts = {
            # As a library in C may hang: nothing else of the interpreter goes on meanwhile.
            "hang": ctypes.PyDLL(None).pause,
            "exit": lambda: os._exit(3),
            "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        }
        for day in [each["date"] for each in body.get("dates", (body,))]:
            for name, act in acts.items():
                if (file := self._source / f"{name} {body['phase']} {body['processor']} {day}").exists():
                    file.unlink()
                    act()
        return super().handle(path, body)


def build(source: Path, warehouse: Warehouse, objects: ObjectStore) -> DyingWorker:
    """A factory."""
    return DyingWorker(source, warehouse, objects)
