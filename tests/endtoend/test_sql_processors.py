"""A pipeline of nothing but SQL, typed as a user types it: no worker, no Python."""

import json
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.commands import type_command

PIPELINE = """\
schema_version: 1
pipeline: shop
timezone: Europe/Berlin
calendar:
  table: shop_raw.days
  date_column: day
  season_column: year
  numbers: {orders: SUM(orders)}
  bootstrap_days: 1
history_table: shop_ref.history
schema_files: [schema/shop.sql]
queues:
  work: {max_concurrent: 10}
phases:
  - name: load
    dispatch: {queue: work}
    processors:
      - name: orders
        sql: sql/orders.sql
        output: {kind: table, table: shop_raw.orders, date_column: day, keys: [n]}
        checks: [{check: rows, exactly: "3"}]
  - name: sums
    dispatch: {queue: work}
    failure: {retries: 0, not_yet_retries: 0}
    gates:
      - {check: all_succeeded, phase: load}
      - {check: lookback, processors: [load/orders], dates: 1}
    processors:
      - name: totals
        sql: sql/totals.sql
        output: {kind: table, table: shop.totals, date_column: day, keys: [day]}
      - name: large
        sql: sql/large.sql
        may_be_empty: no order of the date was large
        output: {kind: table, table: shop.large, date_column: day, keys: [n]}
      - name: before
        sql: sql/before.sql
        bootstrap: true
        output: {kind: table, table: shop.before, date_column: day, keys: [day]}
"""
FILES = {
    "pipeline.yaml": PIPELINE,
    "sql/orders.sql": "-- Three a date.\nSELECT @d AS day, n, 100 * n + EXTRACT(DAY FROM @d) AS cents\n"
    "FROM UNNEST(GENERATE_ARRAY(1, 3)) AS n\n",
    "sql/totals.sql": "SELECT @d AS day, SUM(cents) AS cents, @season_start AS since, MIN(day) AS first_day\n"
    "FROM `shop_raw.orders` WHERE day BETWEEN @window_start AND @d\n",
    "sql/large.sql": "SELECT day, n FROM `shop_raw.orders` WHERE day = @d AND cents >= 303\n",
    "sql/before.sql": "SELECT @d AS day, COUNT(*) AS n FROM `shop_raw.orders` WHERE day < @d HAVING COUNT(*) > 0\n",
    "schema/shop.sql": "CREATE TABLE IF NOT EXISTS `shop.totals` (day DATE, cents FLOAT64, since DATE, first_day DATE, "
    "note STRING, _fence INT64) PARTITION BY day;\n",
}
DAYS = [date(2024, 3, n) for n in (1, 2, 3)]
RUN = ("--source", "source", "--season", "2024")


class Shop:
    """The folder of a pipeline of SQL alone, in which commands are typed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in FILES.items():
            self.write(name, text)
        (folder / "source").mkdir()
        with duckdb.connect() as connection:
            rows = ", ".join(f"(DATE '{day}', '2024', 3)" for day in DAYS)
            schedule = f"SELECT * FROM (VALUES {rows}) AS s (day, year, orders)"
            connection.execute(f"COPY ({schedule}) TO '{folder / 'source' / 'schedule.parquet'}' (FORMAT parquet)")

    def write(self, name: str, text: str) -> None:
        """Write a file of the pipeline."""
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(text)

    def type(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a command there."""
        return type_command(*words, folder=self.folder)

    def answer(self, *words: str, status: int = 0) -> Any:
        """The JSON document that a command prints."""
        done = self.type(*words, "--json")
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the warehouse holds."""
        with duckdb.connect(str(self.folder / ".phasegate" / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_a_pipeline_runs_without_any_python(shop: Shop) -> None:
    assert shop.type("preflight", *RUN).returncode == 0
    document = shop.answer("run", *RUN, "--run-id", "r")
    assert document["status"] == "completed"
    assert shop.rows("SELECT day, cents, since, first_day, note FROM shop.totals ORDER BY day") == [
        (DAYS[0], 603.0, DAYS[0], DAYS[0], None),
        (DAYS[1], 1209.0, DAYS[0], DAYS[0], None),
        (DAYS[2], 1215.0, DAYS[0], DAYS[1], None),
    ]
    assert shop.rows("SELECT day, n FROM shop.large") == [(DAYS[2], 3)]
    assert shop.rows("SELECT day, n FROM shop.before ORDER BY day") == [(DAYS[1], 3), (DAYS[2], 6)]
    assert shop.rows("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'orders'") == [
        ("day", "DATE"),
        ("n", "BIGINT"),
        ("cents", "BIGINT"),
        ("_fence", "BIGINT"),
    ]
    assert shop.rows("SELECT COUNT(*) FROM shop_raw.orders WHERE _fence IS NULL") == [(0,)]
    large = "FROM shop_ref.history WHERE processor_name = 'large' ORDER BY data_date"
    assert shop.rows(f"SELECT status, rows_written, message, proved {large}") == [
        ("empty", 0, "no order of the date was large", True),
        ("empty", 0, "no order of the date was large", True),
        ("success", 1, "", True),
    ]
    asked = "SELECT data_date FROM shop_ref.history WHERE processor_name = 'before' ORDER BY data_date"
    assert shop.rows(asked) == [(DAYS[1],), (DAYS[2],)], "on a bootstrap date nobody is asked"
    again = shop.answer("plan", *RUN)
    assert (again["tasks"]["run"], again["tasks"]["adopted"]) == (0, 11)


def test_what_another_statement_made_is_outdated_and_made_again(shop: Shop) -> None:
    shop.answer("run", *RUN, "--run-id", "r")
    shop.write("sql/large.sql", FILES["sql/large.sql"].replace("303", "302"))
    assert "and would be made with" in shop.type("plan", *RUN).stdout
    shop.answer("run", *RUN, "--reprocess", "stale", "--run-id", "s")
    assert shop.rows("SELECT day, n FROM shop.large ORDER BY day") == [(DAYS[1], 3), (DAYS[2], 3)]
    assert shop.rows("SELECT DISTINCT processor_name FROM shop_ref.history WHERE run_id = 's'") == [("large",)]


def test_a_run_goes_on_by_the_statement_that_it_was_planned_with(shop: Shop) -> None:
    planned = FILES["sql/totals.sql"] + "AND (SELECT ERROR('not now') FROM `shop.switch`) IS NULL\n"
    shop.write("sql/totals.sql", planned)
    (shop.folder / ".phasegate").mkdir()
    with duckdb.connect(str(shop.folder / ".phasegate" / "warehouse.duckdb")) as connection:
        connection.execute("CREATE SCHEMA shop; CREATE TABLE shop.switch AS SELECT 1 AS n")
    document = shop.answer("run", *RUN, "--run-id", "r", status=1)
    assert document["status"] != "completed"
    with duckdb.connect(str(shop.folder / ".phasegate" / "warehouse.duckdb")) as connection:
        connection.execute("DELETE FROM shop.switch")
    shop.write("sql/totals.sql", "SELECT @d AS day, 0 AS cents\n")
    retried = shop.type("retry", "r")
    assert retried.returncode == 0
    assert "sql_files.sql/totals.sql" in retried.stdout + retried.stderr
    assert shop.rows("SELECT cents FROM shop.totals ORDER BY day") == [(603.0,), (1209.0,), (1215.0,)]


def test_a_select_without_rows_where_rows_are_due_keeps_what_stands_there(shop: Shop) -> None:
    shop.answer("run", *RUN, "--run-id", "r")
    shop.write("sql/totals.sql", FILES["sql/totals.sql"].rstrip() + " HAVING MAX(day) < DATE '2024-03-03'\n")
    failed = shop.answer("run", *RUN, "--reprocess", "stale", "--run-id", "s", status=1)
    assert failed["status"] != "completed"
    assert shop.rows("SELECT day, cents FROM shop.totals WHERE day = DATE '2024-03-03'") == [(DAYS[2], 1215.0)]
    ((error_class, message),) = shop.rows(
        "SELECT error_class, message FROM shop_ref.history WHERE run_id = 's' AND status = 'failed'"
    )
    assert error_class == "not_yet"
    assert "holds 1 row" in message


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("sql/orders.sql", None, "sql/orders.sql: there is no such file in "),
        (
            "sql/orders.sql",
            "SELECT 1 AS n; SELECT 2 AS n",
            "pipeline.yaml:19:9: phases[0].processors[0].sql: sql/orders",
        ),
        ("sql/totals.sql", "SELECT @d AS day, 1 AS cent", "shop.totals has no column 'cent'; did you mean 'cents'?"),
        ("sql/totals.sql", "SELECT @today AS day", "unknown parameter @today"),
    ],
)
def test_what_is_wrong_in_the_files_is_told_and_nothing_is_written(
    shop: Shop, name: str, text: str | None, message: str
) -> None:
    shop.write(name, text or "")
    if text is None:
        (shop.folder / name).unlink()
    done = shop.type("run", *RUN)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (shop.folder / ".phasegate").exists()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "sql/large.sql",
            "SELECT day, m AS n FROM `shop_raw.orders` WHERE day = @d",
            "large.sql:1:13: there is no column m",
        ),
        (
            "sql/large.sql",
            "SELECT day, n FROM `shop_raw.oders` WHERE day = @d",
            "sql/large.sql:1:20: there is no table",
        ),
        (
            "sql/large.sql",
            "SELECT @d AS day, * EXCEPT (day, n) FROM `shop_raw.orders`",
            "the SELECT has no column 'n'",
        ),
        (
            "sql/large.sql",
            "SELECT '2024-03-01' AS day, 1 AS n",
            "column 'day' is of type STRING",
        ),
        (
            "sql/totals.sql",
            "SELECT @d AS day, 'many' AS cents",
            "sql/totals.sql: column 'cents' of the SELECT is of type STRING, and that of shop.totals of type FLOAT64",
        ),
    ],
)
def test_a_select_that_the_tables_do_not_bear_is_refused_before_anything_is_written(
    shop: Shop, name: str, text: str, message: str
) -> None:
    shop.write(name, text)
    done = shop.type("run", *RUN)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (shop.folder / ".phasegate").exists()


def test_without_workers_a_plan_knows_that_a_table_will_not_be_there(shop: Shop) -> None:
    shop.write("pipeline.yaml", PIPELINE.replace("schema_files: [schema/shop.sql]\n", ""))
    assert shop.type("plan", *RUN).returncode == 0
    shop.write(
        "sql/large.sql", "SELECT day, COUNT(*) AS n FROM `shop_ref.history` AS h JOIN `shop_raw.days` USING (day)"
    )
    done = shop.type("plan", *RUN)
    assert done.returncode == 2
    assert "there is no table shop_raw.days" in done.stderr
