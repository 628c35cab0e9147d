"""A worker of phase 3 that writes a third of its rows and answers success: phase 4 never starts on that.

The worker runs the SELECT of its processor, which the file of this test takes from Phasegate and gives to it.
"""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from nba_worker.service import NbaWorker
from nba_worker.service import build as build_nba
from phasegate.adapters.json_lines import json_lines
from phasegate.ports import ObjectStore, Partition, Warehouse
from tests.conftest import NBA_PIPELINE, as_json, run_command

SHORT = date(2023, 11, 3)
"""Past the bootstrap days: phase 4 has work to do."""

TABLE = "nba_analytics.team_offense_game_summary"


CALLED = "worker: nba\n      path: /process\n      date_field: analysis_date\n      "
"""How phase 3 calls the worker."""


class ThirdWorker:
    """The reference worker; of one table it writes a third while there is a file ``third`` in the source folder."""

    def __init__(self, nba: NbaWorker, source: Path, warehouse: Warehouse) -> None:
        self._nba, self._source, self._warehouse = nba, source, warehouse

    def prepare(self) -> None:
        """As the reference worker."""
        self._nba.prepare()

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """One request."""
        status, answer = self._nba.handle(path, body)
        name, day = body.get("processor"), body.get("analysis_date")
        if name == "team_offense_game_summary" and day == str(SHORT) and (self._source / "third").exists():
            rows = self._warehouse.query(f"SELECT * EXCEPT (_fence) FROM {TABLE} WHERE game_date = @d", {"d": SHORT})
            kept = rows[: len(rows) // 3]
            written = self._warehouse.load_partition(
                Partition(TABLE, "game_date", SHORT), json_lines(kept), body["fence"]
            )
            answer["results"][name]["rows"] = written
        return status, answer


def build(source: Path, warehouse: Warehouse, objects: ObjectStore) -> ThirdWorker:
    """The factory that the pipeline of this test names."""
    return ThirdWorker(build_nba(source, warehouse, objects), source, warehouse)


def test_a_third_of_the_rows_blocks_the_date_until_it_is_mended(source_folder: Path, tmp_path: Path) -> None:
    source, home, pipeline = tmp_path / "source", tmp_path / "home", tmp_path / "nba" / "pipeline.yaml"
    shutil.copytree(NBA_PIPELINE.parent, pipeline.parent)
    source.mkdir()
    for name in ("schedule", "team_boxscores", "player_boxscores"):
        shutil.copy(source_folder / f"{name}.parquet", source)
    (source / "third").touch()
    text = NBA_PIPELINE.read_text()
    text = text.replace("nba_worker.service:build", "third:build")
    text = text.replace("        sql: sql/nba_analytics/team_offense_game_summary.sql\n", "")
    begins = text.index("name: phase_3_analytics")
    queue = text.index("queue: analytics", begins)
    pipeline.write_text(f"{text[:queue]}{CALLED}{text[queue:]}")
    (pipeline.parent / "third.py").write_text("from tests.endtoend.test_nba_third import build\n")
    games = duckdb.execute(
        f"SELECT COUNT(*) FROM '{source}/schedule.parquet' WHERE game_date = DATE '{SHORT}' AND game_status = 3"
    ).fetchall()[0][0]

    wanted = ("--pipeline", pipeline, "--source", source, "--from", "2023-10-24", "--to", SHORT)
    done = run_command("run", *wanted, "--run-id", "r", "--json", home=home)
    assert done.returncode == 1, done.stderr
    document = as_json(done)
    reasons = {
        (cell["date"], cell["phase"]): [r["detail"] for r in cell["reasons"]]
        for cell in document["blocked"]
        if cell["date"] == str(SHORT)
    }
    short = f"team_offense_game_summary: {2 * games // 3} of {2 * games} rows"
    assert short in reasons[str(SHORT), "phase_3_analytics"]
    assert (str(SHORT), "phase_4_precompute") in reasons
    assert claimed(home, "phase_4_precompute", SHORT) == 0, "phase 4 of that date never started"

    (source / "third").unlink()
    mended = run_command("retry", "r", "--json", home=home)
    assert mended.returncode == 0, mended.stdout[-2000:]
    assert claimed(home, "phase_4_precompute", SHORT) == 5


def claimed(home: Path, phase: str, day: date) -> int:
    """Attempts of a phase on a date."""
    with closing(sqlite3.connect(home / "state.sqlite")) as connection:
        found = connection.execute("SELECT COUNT(*) FROM claims WHERE phase = ? AND day = ?", [phase, str(day)])
        return int(found.fetchone()[0])
