"""The world's worker where processes of its own may die."""

import os
import signal
import threading
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
            "hang": threading.Event().wait,
            "exit": lambda: os._exit(3),
            "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        }
        for name, act in acts.items():
            if (file := self._source / f"{name} {body['phase']} {body['processor']} {body['date']}").exists():
                file.unlink()
                act()
        return super().handle(path, body)


def build(source: Path, warehouse: Warehouse, objects: ObjectStore) -> DyingWorker:
    """A factory."""
    return DyingWorker(source, warehouse, objects)
