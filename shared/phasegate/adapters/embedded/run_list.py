"""The runs of a home are listed with a statement for each hundred of them, without what decides about runs."""

import json

from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.home import Home
from phasegate.adapters.state_codec import board_from_json, run_from_json, scope_from_json
from phasegate.domain.errors import InputError, UnreadableRun
from phasegate.domain.state.listed import ListedRun
from phasegate.domain.state.run import Run, UnreadableDocument

_PAGE_RUNS = 100
_NEWEST_FIRST = "ORDER BY runs.created_at DESC, runs.run_id"
_PAGE = (
    "SELECT runs.run_id, runs.doc, boards.doc, scopes.doc"
    " FROM json_each(?) AS page JOIN runs ON runs.run_id = page.value"
    f" LEFT JOIN boards USING (run_id) LEFT JOIN scopes USING (run_id) {_NEWEST_FIRST}"
)


def database_of(home: Home) -> Database:
    """Open the state file of a home for commands that only show. Raises InputError when there is none yet."""
    if not home.state.exists():
        raise InputError(f"{home.root}: no runs here yet; start one with `phasegate run`, or give --home DIR")
    return Database(home.state)


def listed_runs(database: Database) -> list[ListedRun | UnreadableDocument]:
    """Return what a list of runs says of all of them, newest first, each read by itself."""
    names = [name for (name,) in database.execute(f"SELECT run_id FROM runs {_NEWEST_FIRST}")]
    pages = (names[start : start + _PAGE_RUNS] for start in range(0, len(names), _PAGE_RUNS))
    return [_listed(*row) for page in pages for row in database.execute(_PAGE, (json.dumps(page),))]


def _listed(run_id: str, run: str, board: str, scope: str) -> ListedRun | UnreadableDocument:
    read: Run | None = None
    try:
        read = run_from_json(run_id, run)
        return ListedRun(read, board_from_json(run_id, board), scope_from_json(run_id, scope))
    except UnreadableRun as error:
        return UnreadableDocument(run_id, str(error), read.pipeline if read else None, read.source if read else None)
