"""Spoils what is stored of one run, in SQLite and in Firestore, as another version or an accident leaves it behind."""

import json
from collections.abc import Callable
from typing import Any

from phasegate.adapters.embedded.state import SqliteState
from phasegate.ports import State

Change = Callable[[dict[str, Any]], Any]

PLACES = {"run": "runs", "plan": "plans", "board": "boards"}


def newer_layout(document: dict[str, Any]) -> None:
    """A later version of the program has written it, in another layout."""
    document["schema_version"] = 2


def more_key(document: dict[str, Any]) -> None:
    """A later version has added a key, and does not say that others may ignore it."""
    document["sponsor"] = "ann"


def minor_key(document: dict[str, Any]) -> None:
    """A later version has added a key that others may ignore, and says so."""
    document.update(schema_minor=7, sponsor="ann")


def lost(document: dict[str, Any]) -> None:
    """Only the version is left."""
    version = document["schema_version"]
    document.clear()
    document["schema_version"] = version


def change_stored(state: State, what: str, run_id: str, change: Change) -> None:
    """Change the stored document of a run, of its plan or of its board."""
    if isinstance(state, SqliteState):
        table = PLACES[what]
        (text,) = state._database.execute(f"SELECT doc FROM {table} WHERE run_id = ?", (run_id,)).fetchone()
        document = json.loads(text)
        change(document)
        state._database.execute(f"UPDATE {table} SET doc = ? WHERE run_id = ?", (json.dumps(document), run_id))
        return
    firestore: Any = state
    reference = firestore._run(run_id)
    if what != "run":
        reference = reference.collection(what).document("0")
    document = reference.get().to_dict() or {}
    change(document)
    reference.set(document)


def stored(state: State, run_id: str) -> dict[str, Any]:
    """The run's document as it lies there."""
    found: dict[str, Any] = {}
    change_stored(state, "run", run_id, found.update)
    return found
