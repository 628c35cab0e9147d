"""What a process that lives for weeks keeps of runs in memory has a bound."""

from pathlib import Path
from typing import Any

from cachetools import Cache

from phasegate.adapters.gcp.firestore.state import FirestoreState
from tests.world import World

MOST = 1024
"""Runs of which anything is kept."""


def caches_of(thing: object, depth: int = 3) -> list[tuple[str, Cache[Any, Any]]]:
    """Caches that an object of the product holds, and those of the objects that it holds, by attribute."""
    found: list[tuple[str, Cache[Any, Any]]] = []
    for name, value in vars(thing).items() if hasattr(thing, "__dict__") else ():
        if isinstance(value, Cache):
            found.append((f"{type(thing).__name__}.{name}", value))
        elif depth and type(value).__module__.startswith("phasegate."):
            found.extend(caches_of(value, depth - 1))
    return found


def test_every_cache_of_services_and_state_has_a_bound(tmp_path: Path) -> None:
    world = World(tmp_path, dates=1)
    with world.open() as embedded:
        world.begin(embedded)
        services: Any = embedded.engine("r")._handlers  # type: ignore[attr-defined]
        found = dict(caches_of(services))
    found |= dict(caches_of(FirestoreState(object())))  # type: ignore[arg-type]
    assert found.keys() >= {"Historian._written", "Conductor._ended", "SweepsMade._last", "FirestoreState._glances"}
    assert {name: cache.maxsize for name, cache in found.items() if cache.maxsize > MOST} == {}
