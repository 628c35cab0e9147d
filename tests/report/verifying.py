"""A finished run of the world, whose tables, objects and facts a test may spoil, and its verification."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.state import open_state
from phasegate.bootstrap import open_warehouse
from phasegate.domain.calendar.selection import Selection
from phasegate.embedded_start import calendar_reader
from phasegate.ports import Parameter
from phasegate.report.verifier import Verified, verify_dates, verify_run
from phasegate.report.verify.compose import VerifierInputs
from phasegate.report.verify.document.part import Query
from phasegate.report.verify.document.report import Report
from tests.world import FIRST_DAY, World, drive, write_source

Spoil = Callable[["Finished"], object]


MEASURE = {
    "name": "means",
    "processor": "left",
    "description": "Mean of <v> on the left, beside its largest.",
    "query": "SELECT k AS label, AVG(v) AS value, MAX(v) AS beside, 'points' AS unit, COUNT(v) AS n "
    "FROM `shape.left_side` WHERE d IN UNNEST(@days) GROUP BY k ORDER BY k",
}
"""A measure of the world's report."""


def with_report(document: dict[str, Any]) -> None:
    """A report section for the world."""
    document["report"] = {
        "table": "ref.reports",
        "critical": [{"processor": "left", "columns": ["v"]}],
        "averages": [{"processor": "left", "columns": ["v"]}],
        "quality": [{"processor": "right", "column": "v"}],
        "compared": [{"key": "k", "processor": "raw/a", "against": "left"}],
        "measures": [MEASURE],
    }


class Finished:
    """A home after a run over ten game dates of two seasons, the sixth day of which has no game."""

    def __init__(self, folder: Path, change: Callable[[dict[str, Any]], None] = with_report) -> None:
        days = [FIRST_DAY + timedelta(days=n) for n in range(11) if n != 5]
        write_source(folder / "source", dict.fromkeys(days, 2))
        self.world = World(folder, change=change)
        self.days = self.world.days = days
        self.free_day = FIRST_DAY + timedelta(days=5)

    def run(self, run_id: str = "r", **selection: Any) -> None:
        """Drive a run to its end."""
        drive(self.world, run_id, **selection)

    def write(self, sql: str, *values: object) -> None:
        """Change tables behind the state's back."""
        connection = duckdb.connect(str(self.world.home.warehouse))
        try:
            assert connection.execute(sql, values).fetchall() not in ([(0,)], None), "nothing was spoiled"
        finally:
            connection.close()

    def write_state(self, sql: str, *values: object) -> None:
        """Change facts behind everybody's back."""
        connection = sqlite3.connect(self.world.home.state)
        with connection:
            assert connection.execute(sql, values).rowcount, "nothing was spoiled"
        connection.close()

    def fact(self, ref: str, day: date, name: str, **fields: object) -> None:
        """Put other values into a fact."""
        phase, processor = ref.split("/")
        patch = json.dumps(fields)
        self.write_state(
            "UPDATE facts SET doc = json_patch(doc, ?) WHERE phase = ? AND processor = ? AND day = ? AND name = ?",
            patch, phase, processor, day.isoformat(), name,
        )  # fmt: skip

    def ground(self) -> VerifierInputs:
        """State, tables, objects and source folder."""
        home, warehouse = self.world.home, open_warehouse(self.world.home)
        reader = calendar_reader(self.world.source, self.world.pipeline.calendar, warehouse)
        return VerifierInputs(open_state(home), warehouse, FolderObjectStore(home.objects), calendar=reader)

    def verify(self, run_id: str = "r") -> Verified:
        """Verify a run."""
        ground = self.ground()
        try:
            return verify_run(ground, FolderObjectStore(self.world.home.root), self.world.clock, run_id)
        finally:
            ground.warehouse.close()

    def verify_dates(self, selection: Selection, phases: str | None = None) -> Verified:
        """Verify dates as though there were no state."""
        ground = self.ground()
        try:
            store = FolderObjectStore(self.world.home.root)
            without = VerifierInputs(None, ground.warehouse, ground.objects)
            world = self.world
            return verify_dates(without, store, world.clock, world.pipeline, world.calendar(), selection, phases)
        finally:
            ground.warehouse.close()


def kinds(report: Report) -> set[tuple[str, str, str]]:
    """(kind, date, output) of every finding."""
    return {(f.kind, str(f.date or "all"), f"{f.phase}/{f.processor}") for f in report.findings}


def parameters_of(report: Report, query: Query) -> Mapping[str, Parameter]:
    """A query's parameters with its dates put in, to ask it again."""
    return {
        name: report.date_sets[value["set"]]
        if isinstance(value, dict)
        else date.fromisoformat(value)
        if name in ("first", "last")
        else value
        for name, value in query.parameters.items()
    }
