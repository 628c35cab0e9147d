"""Dates of the league that travel together leave the same tables as dates that are made one by one."""

import re
import shutil
from pathlib import Path

import duckdb
import pytest

from tests.conftest import FULL, NBA_PIPELINE, as_json, run_command

SELECTED = ("--season", "2022-23", "--season", "2023-24") if FULL else ("--from", "2023-10-24", "--to", "2023-11-12")
AS_WRITTEN = 20


def made(source: Path, folder: Path, dates_at_once: int) -> Path:
    """A home in which the league was run with so many dates a call."""
    home, pipeline = folder / "home", folder / "nba" / "pipeline.yaml"
    shutil.copytree(NBA_PIPELINE.parent, pipeline.parent)
    text, changed = re.subn(r"batch: \{dates: 20\}", f"batch: {{dates: {dates_at_once}}}", NBA_PIPELINE.read_text())
    assert changed == 6
    pipeline.write_text(text)
    done = run_command("run", "--pipeline", pipeline, "--source", source, *SELECTED, "--json", home=home)
    assert done.returncode == 0, done.stderr + done.stdout
    document = as_json(done)
    assert (document["status"], document["report"]["agrees"]) == ("completed", True)
    calls, attempts = document["time"]["calls"], document["time"]["attempts"]
    assert attempts >= calls * min(dates_at_once, 4) * 0.6, "they do travel together"
    return home


def rows_of(home: Path) -> dict[str, list[str]]:
    """The rows of every table that the league's processors write, without their fences."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as tables:
        named = tables.execute(
            "SELECT DISTINCT schema_name || '.' || table_name FROM duckdb_columns() WHERE column_name = '_fence'"
        ).fetchall()
        return {
            name: sorted(map(repr, tables.execute(f"SELECT * EXCLUDE (_fence) FROM {name}").fetchall()))
            for (name,) in named
        }


@pytest.fixture(scope="module")
def as_written(source_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return rows_of(made(source_folder, tmp_path_factory.mktemp("twenty"), AS_WRITTEN))


@pytest.mark.parametrize("dates_at_once", [1, 7])
def test_a_batch_of_any_size_leaves_the_same_rows(
    source_folder: Path, tmp_path: Path, as_written: dict[str, list[str]], dates_at_once: int
) -> None:
    rows = rows_of(made(source_folder, tmp_path, dates_at_once))
    assert len(rows) == 41 and rows["nba_predictions.predictions_xgboost_v1"]
    assert [name for name in rows if rows[name] != as_written[name]] == []
