"""A statement of a pipeline of one's own changes after a finished run: what it made is named, and made again."""

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.endtoend.test_own_pipeline import FILES, PIPELINE, RUN, SCHEMA, SERVICE, TOTALS, Shop, totals

TWICE = """\
  - name: twice
    dispatch: {worker: shop, path: /sum, queue: work, date_field: day}
    gates: [{check: all_succeeded, phase: sums}]
    processors:
      - name: doubled
        output: {kind: table, table: shop.doubled, date_column: day, keys: [day], fence_column: _fence}
        checks: [{check: rows, exactly: "1"}]
"""
OF_STATEMENTS = SERVICE.replace("WorkerService\n", "WorkerService, hash_of_statement\n").replace(
    'date_field="day", processors=["totals"])',
    'date_field="day", processors=["totals", "doubled"], made_with=lambda name: hash_of_statement(read(name)))',
)
CHANGED = {
    "pipeline.yaml": PIPELINE + TWICE,
    "schema/shop.sql": SCHEMA
    + "CREATE TABLE IF NOT EXISTS `shop.doubled` (day DATE, cents INT64, _fence INT64) PARTITION BY day;\n",
    "sql/doubled.sql": "SELECT day, 2 * cents AS cents FROM `shop.totals` WHERE day = @d\n",
    "shop_worker/service.py": OF_STATEMENTS.replace(
        '        query, partition = (FOLDER / "sql" / "totals.sql").read_text(), '
        'Partition("shop.totals", "day", request.date)\n',
        "        query = read(request.processor)\n"
        '        partition = Partition(f"shop.{request.processor}", "day", request.date)\n',
    ).replace("def build(", 'def read(name):\n    return (FOLDER / "sql" / f"{name}.sql").read_text()\n\n\ndef build('),
}
DAYS = ["2024-03-01", "2024-03-02", "2024-03-03"]
SELECTED = RUN[:4]


class Statements(Shop):
    """A shop whose totals are made by a statement, and doubled by another; its season is done."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, CHANGED)
        assert set(CHANGED) - set(FILES) == {"sql/doubled.sql"}
        self.sample()
        done = self.type("run", "--pipeline", str(self.pipeline), *RUN)
        assert done.returncode == 0, done.stderr

    def write(self, totals: str) -> None:
        """Change the statement."""
        (self.pipeline.parent / "sql" / "totals.sql").write_text(totals)

    def made(self, run_id: str) -> dict[str, list[str]]:
        """What a run made, by processor: the dates."""
        with duckdb.connect(str(self.desk / ".phasegate" / "warehouse.duckdb"), read_only=True) as connection:
            rows = connection.execute(
                "SELECT processor_name, CAST(data_date AS VARCHAR) FROM shop_ref.history WHERE run_id = $id ORDER BY 2",
                {"id": run_id},
            ).fetchall()
        found: dict[str, list[str]] = {}
        for processor, day in rows:
            found.setdefault(processor, []).append(day)
        return found


@pytest.fixture
def shop(tmp_path: Path) -> Statements:
    return Statements(tmp_path)


def planned(shop: Statements, *more: str) -> Any:
    return shop.answer("plan", *SELECTED, *more)


def test_a_comment_changes_nothing(shop: Statements) -> None:
    shop.write("-- The cents of a date.\n" + TOTALS.replace(" FROM", "\n  FROM"))
    assert planned(shop)["outdated"] == {}
    nothing = shop.type("repair", *SELECTED)
    assert (nothing.returncode, nothing.stdout.split(":")[0]) == (0, "nothing to repair")


def test_another_statement_with_the_same_rows_is_run_again_and_stops_there(shop: Statements) -> None:
    shop.write(TOTALS.replace("SUM(cents)", "0 + SUM(cents)"))
    plan = planned(shop)
    assert {ref: list(days) for ref, days in plan["outdated"].items()} == {"sums/totals": DAYS}
    reason = plan["outdated"]["sums/totals"][DAYS[0]]
    assert re.fullmatch(r"made with [0-9a-f]{32}, and would be made with [0-9a-f]{32} now", reason)
    assert plan["tasks"]["run"] == 0, "missing leaves it"
    assert planned(shop, "--reprocess", "stale")["why"] == {"outdated": 3, "built_on": 3}
    again = shop.answer("run", *SELECTED, "--reprocess", "stale", "--run-id", "again")
    assert again["status"] == "completed"
    assert shop.made("again") == {"totals": DAYS}
    assert planned(shop)["outdated"] == {}


def test_another_statement_with_other_rows_is_told_of_and_mended_with_what_is_built_on_it(shop: Statements) -> None:
    shop.write(TOTALS.replace("SUM(cents)", "10 * SUM(cents)"))
    told = shop.type("repair", *SELECTED).stdout.splitlines()
    assert told[0] == "3 tables and dates were made by another version of their worker:"
    assert told[1].startswith(f"  sums/totals: 3 dates, {DAYS[0]} to {DAYS[-1]}: made with ")
    assert told[2] == "3 more tasks are built on them, or read for them, on 3 dates in all"
    document = shop.answer("repair", *SELECTED)
    assert {ref: list(days) for ref, days in document["outdated"].items()} == {"sums/totals": DAYS}
    assert document["also"]["twice/doubled"] == dict.fromkeys(DAYS, "built_on")
    assert shop.type("repair", *SELECTED, "--yes").returncode == 0
    assert totals(shop) == [(DAYS[0], 28400), (DAYS[1], 36450), (DAYS[2], 45500)]
    with duckdb.connect(str(shop.desk / ".phasegate" / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT SUM(cents) FROM shop.doubled").fetchall() == [(2 * (28400 + 36450 + 45500),)]
    assert shop.type("verify", *SELECTED).returncode == 0
