"""A run whose tables an older DuckDB rounded: nothing is called wrong that was right when it was made.

DuckDB up to 2.0.0 rounded ``x * 100`` and divided by 100, so that a half came about which the stored value is not.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlglot import exp

from phasegate.adapters.bigquery_sql import read_statement
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.calendar.dates import Calendar
from phasegate.ports import Partition, Row
from tests.conftest import NBA_PIPELINE, as_json, run_command
from tests.nba_sql import ANALYTICS, PRECOMPUTE, SqlProcessor, calendar_of, given_to, select_of
from tests.workers.conftest import ANALYTICS_ORDER, PRECOMPUTE_ORDER

FIRST, LAST = date(2023, 10, 24), date(2023, 11, 3)
PROCESSORS = [*(ANALYTICS[name] for name in ANALYTICS_ORDER), *(PRECOMPUTE[name] for name in PRECOMPUTE_ORDER)]


@dataclass(frozen=True)
class Upgraded:
    """A home whose run ``r`` is over and whose tables were written anew by the older rounding.

    plan: what ``plan`` said of the same dates before. changed: rows that the older rounding made others.
    """

    home: Path
    source: Path
    plan: dict[str, Any]
    changed: int

    def selecting(self, command: str) -> tuple[object, ...]:
        """A command over the dates of the run."""
        return (command, "--pipeline", NBA_PIPELINE, "--source", self.source, "--from", FIRST, "--to", LAST, "--json")

    def content(self) -> dict[str, list[Row]]:
        """Every row of the tables that are made by SQL."""
        warehouse = DuckDbWarehouse(self.home / "warehouse.duckdb")
        try:
            return {p.table: sorted(warehouse.query(f"SELECT * FROM {p.table}"), key=repr) for p in PROCESSORS}
        finally:
            warehouse.close()


def with_the_older_rounding(select: str) -> str:
    """The same SELECT, each ``ROUND(x, n)`` computed as DuckDB did up to 2.0.0."""
    tree = read_statement(select)
    for rounding in reversed(list(tree.find_all(exp.Round))):
        if places := rounding.args.get("decimals"):
            power = exp.Literal.number(f"{10 ** int(places.name)}.0")
            whole = exp.Round(this=exp.Mul(this=exp.paren(rounding.this.copy()), expression=power))
            rounding.replace(exp.paren(exp.Div(this=whole, expression=power.copy())))
    return tree.sql(dialect="bigquery")


def write_anew(warehouse: DuckDbWarehouse, processor: SqlProcessor, calendar: Calendar, day: date) -> int:
    """Write a partition under its own fence by the older rounding; returns how many rows are others than before."""
    held = f"SELECT * FROM {processor.table} WHERE {processor.date_column} = @d"
    before = warehouse.query(held, {"d": day})
    if not before:
        return 0
    select = with_the_older_rounding(select_of(processor))
    partition = Partition(processor.table, processor.date_column, day)
    given, fence = given_to(processor, calendar, [day]), max(row["_fence"] for row in before)
    assert warehouse.replace_partition(partition, select, given, fence) == len(before)
    return sum(row not in before for row in warehouse.query(held, {"d": day}))


@pytest.fixture(scope="module")
def upgraded(source_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Upgraded:
    home = tmp_path_factory.mktemp("upgraded") / "home"
    made = Upgraded(home, source_folder, {}, 0)
    done = run_command(*made.selecting("run"), "--run-id", "r", home=home)
    assert done.returncode == 0, done.stderr
    plan = as_json(run_command(*made.selecting("plan"), home=home))
    warehouse = DuckDbWarehouse(home / "warehouse.duckdb")
    found = warehouse.query(
        "SELECT DISTINCT game_date FROM nba_raw.nbac_schedule WHERE game_date BETWEEN @first AND @last ORDER BY 1",
        {"first": FIRST, "last": LAST},
    )
    days = [row["game_date"] for row in found]
    calendar = calendar_of(warehouse)
    changed = sum(write_anew(warehouse, processor, calendar, day) for day in days for processor in PROCESSORS)
    warehouse.close()
    return Upgraded(home, source_folder, plan, changed)


def test_the_older_rounding_made_other_rows(upgraded: Upgraded) -> None:
    assert upgraded.changed > 0


def test_a_run_is_verified_without_a_finding(upgraded: Upgraded) -> None:
    done = run_command("verify", "r", "--json", home=upgraded.home)
    assert (done.returncode, as_json(done)["findings"]) == (0, []), done.stdout + done.stderr


def test_tables_without_a_run_are_verified_without_a_finding(upgraded: Upgraded) -> None:
    done = run_command(*upgraded.selecting("verify"), home=upgraded.home)
    assert (done.returncode, as_json(done)["findings"]) == (0, []), done.stdout + done.stderr


def test_everything_is_adopted_and_a_second_run_writes_nothing_anew(upgraded: Upgraded) -> None:
    assert as_json(run_command(*upgraded.selecting("plan"), home=upgraded.home)) == upgraded.plan
    assert upgraded.plan["tasks"]["run"] == 0
    before = upgraded.content()
    again = run_command(*upgraded.selecting("run"), "--run-id", "again", home=upgraded.home)
    assert again.returncode == 0, again.stderr
    assert upgraded.content() == before
