"""What is measured reads games: those of the source, six made-up seasons before them, and the reference pipeline with
or without batches.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb
import yaml

from bench.checkout import Checkout
from bench.ground import ALL_SEASONS, EARLIER_SEASONS, seasons

TABLES = ("schedule", "team_boxscores", "player_boxscores")


@dataclass(frozen=True, slots=True)
class Moved:
    """A moved season is a made-up one, played so many years earlier."""

    made: str
    """The season that the sample league's maker knows."""
    earlier: str
    """The season that it becomes."""

    @property
    def weeks(self) -> int:
        """Return how many weeks earlier its games are played: every game keeps its day of the week."""
        years = int(self.made[:4]) - int(self.earlier[:4])
        return round(years * 365.25 / 7)


MOVED = tuple(Moved(made, earlier) for made, earlier in zip((*ALL_SEASONS, "2021-22"), EARLIER_SEASONS, strict=True))
"""The maker knows five seasons, so that one of them is played twice."""


def make_sample(today: Checkout, folder: Path) -> Path:
    """Have the sample league's maker write its five seasons."""
    today.phasegate("sample", folder, "--pipeline", today.pipeline, *seasons(*ALL_SEASONS))
    return folder


def make_eleven_seasons(today: Checkout, source: Path, folder: Path) -> Path:
    """Write the games of a source and, before them, six seasons of the sample league; returns the new folder."""
    return merge(source, make_sample(today, folder / "sample"), folder / "eleven")


def merge(source: Path, sample: Path, merged: Path) -> Path:
    """Write the games of a source and those of a sample's seasons, moved, into a new folder; returns it."""
    merged.mkdir()
    for table in TABLES:
        parts = [f"SELECT * FROM '{source / table}.parquet'"]
        parts += [_earlier(sample / f"{table}.parquet", each) for each in MOVED]
        rows = " UNION ALL BY NAME ".join(parts)
        duckdb.sql(f"COPY (FROM ({rows}) ORDER BY game_date, game_id) TO '{merged / table}.parquet'")
    return merged


def _earlier(file: Path, moved: Moved) -> str:
    year = moved.earlier[2:4]
    return (
        f"SELECT * REPLACE ('{moved.earlier}' AS season, game_date - {7 * moved.weeks} AS game_date, "
        f"'002{year}' || right(game_id, 5) AS game_id) FROM '{file}' WHERE season = '{moved.made}'"
    )


def without_batches(pipeline: Path, folder: Path) -> Path:
    """Copy a pipeline's folder, and have its dates called one by one; returns the new file."""
    shutil.copytree(pipeline.parent, folder)
    file = folder / pipeline.name
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    for phase in document["phases"]:
        phase["dispatch"].pop("batch")
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return file
