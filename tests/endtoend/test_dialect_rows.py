"""What DuckDB understands otherwise than BigQuery, in a user's pipeline: types and rows of the tables of its SELECTs,
and the verdicts of its checks, are those that Google documents.

One pipeline of nothing but SQL is run once over two dates: a processor for each row of what is mended, one for each
statement that is an error, and one whose checks are asked. ``tests/contract/test_dialect.py`` looks at expressions.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from typer.testing import CliRunner

from phasegate.cli.main import app
from tests.world import reading, scratch

SATURDAY, SUNDAY = DAYS = [date(2022, 12, 31), date(2023, 1, 1)]

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS `raw.facts` (day DATE, n INT64, at TIMESTAMP, x FLOAT64, price NUMERIC, name STRING, "
    "note STRING, large INT64, late INT64, unknown BOOL, _fence INT64) PARTITION BY day;\n"
)
FACTS = """\
SELECT @d AS day, n, TIMESTAMP(DATETIME(@d, TIME '02:30:00')) AS at, x, price, name, note, large,
  IF(is_saturday, NULL, n) AS late, CAST(NULL AS BOOL) AS unknown
FROM (
  SELECT 1 AS n, 2.5 AS x, NUMERIC '0.123456789' AS price, 'phase' AS name, '12.7' AS note,
    9223372036854775807 AS large, @d = DATE '2022-12-31' AS is_saturday
  UNION ALL SELECT 2, 2.675, NUMERIC '2', 'gate', '12', 1, @d = DATE '2022-12-31'
  UNION ALL SELECT 3, IF(@d = DATE '2022-12-31', 4.0, -1.0), NUMERIC '3', IF(@d = DATE '2022-12-31', 'a:b', 'ab'), '3',
    0, @d = DATE '2022-12-31'
)
"""
FIRST = "FROM `raw.facts` WHERE day = @d AND n = 1"


@dataclass(frozen=True)
class Made:
    """A processor selects beside the date these columns, and its table then has these types and holds this row."""

    select: str
    types: str
    saturday: Sequence[Any]
    sunday: Sequence[Any]


MADE = {
    "weeks": Made(
        f"EXTRACT(DAYOFWEEK FROM day) AS d, EXTRACT(WEEK FROM day) AS w, EXTRACT(WEEK(MONDAY) FROM day) AS m {FIRST}",
        "BIGINT BIGINT BIGINT",
        (7, 52, 52),
        (1, 1, 0),
    ),
    "text_in_a_zone": Made(
        f"FORMAT_TIMESTAMP('%F', at, 'America/New_York') AS local {FIRST}", "VARCHAR", ["2022-12-30"], ["2022-12-31"]
    ),
    "parts_in_a_zone": Made(
        "EXTRACT(HOUR FROM at AT TIME ZONE 'America/New_York') AS hour, "
        "TIMESTAMP_TRUNC(at, DAY, 'America/New_York') AS midnight, "
        f"TIMESTAMP_TRUNC(at, HOUR, 'Asia/Kolkata') AS full_hour {FIRST}",
        "BIGINT TIMESTAMP WITH TIME ZONE TIMESTAMP WITH TIME ZONE",
        (21, datetime(2022, 12, 30, 5, tzinfo=UTC), datetime(2022, 12, 31, 2, 30, tzinfo=UTC)),
        (21, datetime(2022, 12, 31, 5, tzinfo=UTC), datetime(2023, 1, 1, 2, 30, tzinfo=UTC)),
    ),
    "dates": Made(
        "DATE_ADD(day, INTERVAL 1 DAY) AS later, DATE_SUB(day, INTERVAL 1 DAY) AS earlier, "
        "DATE_TRUNC(day, MONTH) AS month, DATE_TRUNC(day, WEEK(MONDAY)) AS monday, "
        f"CAST(DATE_ADD(day, INTERVAL 1 DAY) AS STRING) AS written {FIRST}",
        "DATE DATE DATE DATE VARCHAR",
        (date(2023, 1, 1), date(2022, 12, 30), date(2022, 12, 1), date(2022, 12, 26), "2023-01-01"),
        (date(2023, 1, 2), date(2022, 12, 31), date(2023, 1, 1), date(2022, 12, 26), "2023-01-02"),
    ),
    "whole_numbers": Made(
        "CAST(x AS INT64) AS of_column, CAST(2.5 AS INT64) AS of_literal, SAFE_CAST(note AS INT64) AS of_text, "
        f"SAFE_CAST('12.7' AS INT64) AS of_literal_text {FIRST}",
        "BIGINT BIGINT BIGINT BIGINT",
        (3, 3, None, None),
        (3, 3, None, None),
    ),
    "beginnings": Made(f"SUBSTR(name, 0, 2) AS two {FIRST}", "VARCHAR", ["ph"], ["ph"]),
    "whole_days": Made(
        f"TIMESTAMP_DIFF(TIMESTAMP_ADD(at, INTERVAL 22 HOUR), at, DAY) AS days {FIRST}", "BIGINT", [0], [0]
    ),
    "counted": Made(
        "(SELECT COUNTIF(n > 0) FROM `raw.facts` WHERE n > 100) AS of_no_rows, "
        "(SELECT COUNTIF(unknown) FROM `raw.facts`) AS of_nulls, "
        f"COUNTIF(n > 0) OVER (ORDER BY n ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING) AS of_an_empty_frame {FIRST}",
        "BIGINT BIGINT BIGINT",
        (0, 0, 0),
        (0, 0, 0),
    ),
    "none_counted": Made("MAX(n) AS n FROM `raw.facts` WHERE day = @d HAVING COUNTIF(unknown) = 0", "BIGINT", [3], [3]),
    "formatted": Made(f"FORMAT('%d of %d rows', n, 12) AS text {FIRST}", "VARCHAR", ["1 of 12 rows"], ["1 of 12 rows"]),
    "offsets": Made(
        "(SELECT MIN(place) FROM UNNEST(SPLIT('a:b', ':')) AS part WITH OFFSET AS place) AS least, "
        f"(SELECT part FROM UNNEST(SPLIT('a:b', ':')) AS part WITH OFFSET AS place WHERE place = 0) AS of_0 {FIRST}",
        "BIGINT VARCHAR",
        (0, "a"),
        (0, "a"),
    ),
    "decimals": Made(
        f"price AS of_column, CAST('0.123456789' AS NUMERIC) AS of_text, CAST(x / 9 AS NUMERIC) AS of_float {FIRST}",
        "DECIMAL(38,9) DECIMAL(38,9) DECIMAL(38,9)",
        (Decimal("0.123456789"), Decimal("0.123456789"), Decimal("0.277777778")),
        (Decimal("0.123456789"), Decimal("0.123456789"), Decimal("0.277777778")),
    ),
    "rounded": Made("ROUND(x, 2) AS x FROM `raw.facts` WHERE day = @d AND n = 2", "DOUBLE", [2.67], [2.67]),
}

FAILING = {
    "whole_by_zero": (f"n / (n - 1) AS q {FIRST}", "division by zero"),
    "float_by_zero": (f"x / (x - x) AS q {FIRST}", "division by zero"),
    "sum_too_large": ("SUM(large) - 9223372036854775807 AS s FROM `raw.facts` WHERE day = @d", "9223372036854775808"),
    "power_too_large": (f"POW(x, 1000) AS p {FIRST}", "floating point error"),
}
"""What a processor selects, and what its attempt says of it: an error, as in BigQuery."""

_OF_DAYS = "FROM `judged.kept` WHERE day IN UNNEST(@days)"
_OF_THIRD = f"{_OF_DAYS} AND n = 3 GROUP BY day"
PASSING: dict[str, dict[str, Any]] = {
    "late": {"check": "range", "column": "late", "min": 0},
    "keyed_by_a_made_date": {
        "query": "SELECT DATE_ADD(eve, INTERVAL 1 DAY) AS day, COUNT(*) = 3 AS ok, CAST(eve AS STRING) AS detail "
        f"FROM (SELECT DATE_SUB(day, INTERVAL 1 DAY) AS eve {_OF_DAYS}) AS eves GROUP BY eve"
    },
    "nothing_counted": {
        "query": "SELECT day, COUNTIF(unknown) < 1 AS ok, "
        "FORMAT('%d of %d rows', COUNTIF(unknown), COUNT(*)) AS detail "
        f"{_OF_DAYS} GROUP BY day HAVING COUNTIF(unknown) = 0"
    },
    "days_of_the_week": {
        "query": "SELECT day, LOGICAL_AND(EXTRACT(DAYOFWEEK FROM day) IN (1, 7)) AS ok, 'a weekend' AS detail "
        f"{_OF_DAYS} GROUP BY day"
    },
}
"""Checks that pass on both dates. A ``range`` is asked of a column that is NULL in each row of Saturday."""
DETAILS = {"nothing_counted": "0 of 3 rows", "late": "late: 0 of 0 values are outside from 0"}
"""What verdicts on Saturday say."""

UNANSWERED = {
    "places": ("SPLIT(name, ':')[OFFSET(1)] = 'b'", "array index out of bounds"),
    "roots": ("SQRT(x) = 2", "the root of a negative number"),
    "logarithms": ("LN(x + 1) > 1", "the logarithm of 0 or less"),
}
"""Conditions of checks that hold on Saturday, and raise an error for what stands there on Sunday."""


def as_sql(check: dict[str, Any], name: str) -> dict[str, Any]:
    """A check of the pipeline file."""
    return {"check": "sql", "name": name, **check}


def processor(name: str, dataset: str) -> dict[str, Any]:
    """A SELECT into a table of its own."""
    output = {"kind": "table", "table": f"{dataset}.{name}", "date_column": "day", "keys": ["day"]}
    return {"name": name, "sql": f"sql/{name}.sql", "output": output}


def phase(name: str, processors: Sequence[dict[str, Any]], *gates: dict[str, Any]) -> dict[str, Any]:
    """A phase that tries once."""
    tries = {"retries": 0, "not_yet_retries": 0}
    return {
        "name": name,
        "dispatch": {"queue": "work"},
        "gates": list(gates),
        "failure": tries,
        "processors": list(processors),
    }


def pipeline() -> dict[str, Any]:
    """The pipeline file as a document."""
    after_raw = {"check": "all_succeeded", "phase": "raw"}
    facts, kept = processor("facts", "raw"), processor("kept", "judged")
    facts["output"]["keys"] = kept["output"]["keys"] = ["n"]
    facts["checks"] = [{"check": "rows", "exactly": "3 * games + playoff_games"}]
    unanswered = {
        name: {"query": f"SELECT day, LOGICAL_AND({condition}) AS ok, 'values' AS detail {_OF_THIRD}"}
        for name, (condition, _) in UNANSWERED.items()
    }
    kept["checks"] = [as_sql(check, name) for name, check in {**PASSING, **unanswered}.items()]
    return {
        "schema_version": 1,
        "pipeline": "rows",
        "timezone": "UTC",
        "history_table": "ref.history",
        "schema_files": ["schema.sql"],
        "calendar": {
            "table": "raw.schedule",
            "date_column": "day",
            "season_column": "season",
            "numbers": {"games": "COUNT(*)", "playoff_games": "COUNTIF(season_type = 'Playoffs')"},
        },
        "queues": {"work": {"max_concurrent": 10}},
        "phases": [
            phase("raw", [facts]),
            phase("made", [processor(name, "made") for name in MADE], after_raw),
            phase("judged", [kept], after_raw),
            phase("failing", [processor(name, "failing") for name in FAILING], after_raw),
        ],
    }


class Site:
    """A folder with that pipeline, and its season when it was run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.warehouse = folder, folder / "home" / "warehouse.duckdb"
        selects = {name: made.select for name, made in MADE.items()} | {name: s for name, (s, _) in FAILING.items()}
        texts = {f"sql/{name}.sql": f"SELECT @d AS day, {select}\n" for name, select in selects.items()}
        texts |= {"sql/facts.sql": FACTS, "schema.sql": SCHEMA, "pipeline.yaml": yaml.safe_dump(pipeline())}
        texts["sql/kept.sql"] = "SELECT * EXCEPT (_fence) FROM `raw.facts` WHERE day = @d\n"
        for folder_name in ("sql", "source"):
            (folder / folder_name).mkdir()
        for name, text in texts.items():
            (folder / name).write_text(text)
        rows = ", ".join(f"(DATE '{day}', '2022', CAST(NULL AS VARCHAR))" for day in DAYS)
        schedule = f"SELECT * FROM (VALUES {rows}) AS s (day, season, season_type)"
        scratch().execute(f"COPY ({schedule}) TO '{folder / 'source' / 'schedule.parquet'}' (FORMAT parquet)")
        where = ["--pipeline", str(folder / "pipeline.yaml"), "--source", str(folder / "source")]
        done = self.type("run", *where, "--season", "2022", "--run-id", "r", "--json")
        self.exit_status = done.exit_code
        self.explained = {day: json.loads(self.type("explain", "r", str(day), "--json").stdout) for day in DAYS}

    def type(self, *words: str) -> Any:
        """Type a command for the home, in this process."""
        return CliRunner().invoke(app, ["--home", str(self.folder / "home"), *words], catch_exceptions=False)

    def cell(self, day: date, phase: str) -> dict[str, Any]:
        """What ``explain`` says of a phase on a date."""
        (found,) = [cell for cell in self.explained[day]["cells"] if cell["phase"] == phase]
        return dict(found)

    def message(self, day: date, phase: str, processor: str) -> str:
        """What it says of a processor."""
        (found,) = [task for task in self.cell(day, phase)["tasks"] if task["processor"] == processor]
        return str(found["message"])

    def verdict(self, day: date, name: str) -> tuple[str, str]:
        """Outcome and detail of a check."""
        (found,) = [each for each in self.cell(day, "judged")["verdicts"] if each["check"] == name]
        return found["outcome"], found["detail"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The season, run."""
    return Site(tmp_path_factory.mktemp("rows"))


@pytest.fixture(scope="module")
def tables(site: Site) -> Iterator[duckdb.DuckDBPyConnection]:
    """Its tables."""
    with reading(site.warehouse) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def described(tables: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Types by column, without date and fence."""
    kinds = {name: kind for name, kind, *_ in tables.execute(f"DESCRIBE {table}").fetchall()}
    return {name: kind for name, kind in kinds.items() if name not in ("day", "_fence")}


@pytest.mark.parametrize("name", MADE)
def test_a_processors_table_has_the_types_and_rows_of_bigquery(
    site: Site, tables: duckdb.DuckDBPyConnection, name: str
) -> None:
    kinds, rows = described(tables, f"made.{name}"), {}
    columns = ", ".join(f'"{column}"' for column in kinds)
    for day in DAYS:
        rows[day] = tables.execute(f"SELECT {columns} FROM made.{name} WHERE day = $day", {"day": day}).fetchall()
        assert rows[day], site.message(day, "made", name)
    assert " ".join(kinds.values()) == MADE[name].types
    assert rows == {SATURDAY: [tuple(MADE[name].saturday)], SUNDAY: [tuple(MADE[name].sunday)]}


def test_a_table_of_a_schema_script_holds_instants_and_nine_decimals(tables: duckdb.DuckDBPyConnection) -> None:
    kinds = described(tables, "raw.facts")
    assert (kinds["at"], kinds["price"]) == ("TIMESTAMP WITH TIME ZONE", "DECIMAL(38,9)")
    query = 'SELECT "at", price FROM raw.facts WHERE n = 1 ORDER BY day'
    assert tables.execute(query).fetchall() == [
        (datetime(day.year, day.month, day.day, 2, 30, tzinfo=UTC), Decimal("0.123456789")) for day in DAYS
    ]


@pytest.mark.parametrize("name", FAILING)
def test_what_has_no_number_fails_the_attempt_and_writes_nothing(
    site: Site, tables: duckdb.DuckDBPyConnection, name: str
) -> None:
    for day in DAYS:
        assert FAILING[name][1] in site.message(day, "failing", name)
    assert tables.execute(f"SELECT COUNT(*) FROM failing.{name}").fetchall() == [(0,)]


@pytest.mark.parametrize("name", PASSING)
def test_a_check_passes_on_each_date(site: Site, name: str) -> None:
    assert [site.verdict(day, name)[0] for day in DAYS] == ["PASS", "PASS"]
    assert site.verdict(SATURDAY, name)[1] == DETAILS.get(name, site.verdict(SATURDAY, name)[1])


@pytest.mark.parametrize("name", UNANSWERED)
def test_a_check_without_an_answer_holds_its_own_date_back(site: Site, name: str) -> None:
    assert site.verdict(SATURDAY, name)[0] == "PASS"
    outcome, detail = site.verdict(SUNDAY, name)
    assert outcome == "UNKNOWN"
    assert UNANSWERED[name][1] in detail


def test_a_number_of_the_calendar_that_counts_nothing_is_zero(site: Site) -> None:
    (rows,) = [verdict for verdict in site.cell(SATURDAY, "raw")["verdicts"] if verdict["check"] == "rows"]
    assert (rows["outcome"], rows["expected"], rows["found"]) == ("PASS", 3, 3)


def test_the_run_ends_and_says_that_dates_are_open(site: Site) -> None:
    assert site.exit_status == 1
