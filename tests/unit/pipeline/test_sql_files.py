"""The SQL files of processors are read and judged with the pipeline file, by file, line and column."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.calendar.dates import Calendar, CalendarDate
from phasegate.domain.calendar.sql_parameters import set_parameters, sql_parameters
from phasegate.domain.plan.mended import mended
from phasegate.domain.spec.dispatch import Dispatch
from phasegate.domain.spec.pipeline import Pipeline, TableOutput
from phasegate.services.reading.made_with import made_with_of
from phasegate.worker import hash_of_statement
from tests.unit.pipeline.test_nba_pipeline import accepts, schema
from tests.unit.pipeline.test_pipeline_file import refusal_with_places

FILE = """\
schema_version: 1
pipeline: shop
timezone: Europe/Berlin
calendar:
  table: raw.schedule
  date_column: d
  season_column: season
  numbers: {orders: COUNT(*)}
history_table: ref.history
schema_files: [schema/shop.sql]
queues:
  work: {max_concurrent: 10}
phases:
  - name: fetch
    dispatch: {queue: work}
    processors:
      - name: orders
        sql: sql/orders.sql
        output: {kind: table, table: raw.orders, date_column: d, keys: [k]}
  - name: shape
    dispatch: {queue: work, timeout_seconds: 60}
    gates:
      - {check: all_succeeded, phase: fetch}
      - {check: lookback, processors: [fetch/orders], dates: 2}
    processors:
      - name: totals
        sql: sql/totals.sql
        output: {kind: table, table: shop.totals, date_column: d, keys: [d]}
"""
ORDERS = "-- Ten a date.\nSELECT @d AS d, n AS k FROM UNNEST(GENERATE_ARRAY(1, 10)) AS n\n"
TOTALS = "SELECT @d AS d, COUNT(*) AS orders\nFROM `raw.orders`\nWHERE d BETWEEN @window_start AND @d\n"
SCHEMA = "CREATE TABLE IF NOT EXISTS `shop.totals` (d DATE, orders INT64, _fence INT64) PARTITION BY d;\n"
FILES = {"sql/orders.sql": ORDERS, "sql/totals.sql": TOTALS, "schema/shop.sql": SCHEMA}


def write(folder: Path, files: dict[str, str | bytes | None]) -> None:
    """The files beside the pipeline file; None: it is not there."""
    for name, text in {**FILES, **files}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        if text is not None:
            (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def loaded(folder: Path, text: str = FILE, **files: Any) -> Pipeline:
    write(folder, files)
    (folder / "pipeline.yaml").write_text(text)
    return load_pipeline(folder / "pipeline.yaml")


def test_the_texts_are_kept_with_the_pipeline_and_read_back(tmp_path: Path) -> None:
    pipeline = loaded(tmp_path)
    assert {**pipeline.sql_files, **pipeline.schema_texts} == FILES
    assert list(pipeline.schema_texts) == ["schema/shop.sql"]
    assert pipeline.select_of(pipeline.processor("fetch/orders")) == ORDERS
    stored = pipeline.model_dump_json(by_alias=True)
    assert Pipeline.model_validate_json(stored) == pipeline.model_copy(update={"schema_texts": {}})


def test_a_pipeline_without_sql_is_stored_as_before(tmp_path: Path) -> None:
    text = FILE.replace("queues:", "workers:\n  w: {factory: 'w:build'}\nqueues:").replace(
        "{queue: work", "{worker: w, path: /w, queue: work"
    )
    text = "\n".join(line for line in text.splitlines() if "sql" not in line)
    dumped = loaded(tmp_path, text).model_dump(mode="json", by_alias=True)
    assert "sql_files" not in dumped
    assert "sql" not in dumped["phases"][0]["processors"][0]


def test_nobody_is_called_and_the_rows_carry_a_fence(tmp_path: Path) -> None:
    pipeline = loaded(tmp_path)
    phase = pipeline.phase("shape")
    assert phase.how_of(phase.processors[0]) == Dispatch(queue="work", timeout_seconds=60)
    output = phase.processors[0].output
    assert isinstance(output, TableOutput)
    assert output.fence_column == "_fence"


def test_a_worker_and_a_select_may_share_a_phase(tmp_path: Path) -> None:
    text = FILE.replace("queues:", "workers:\n  w: {factory: 'w:build'}\nqueues:").replace(
        "dispatch: {queue: work}", "dispatch: {worker: w, path: /w, results: data.of, date_field: day, queue: work}"
    )
    text = text.replace("  - name: shape", "      - {name: own, output: {kind: none}}\n  - name: shape")
    phase = loaded(tmp_path, text).phase("fetch")
    by_select, by_worker = (phase.how_of(each) for each in phase.processors)
    assert isinstance(by_select, Dispatch)
    assert isinstance(by_worker, Dispatch)
    assert (by_select.worker, by_select.results, by_worker.worker, by_worker.results) == ("", "results", "w", "data.of")


def test_another_statement_is_another_hash_and_needs_a_new_run_and_a_comment_is_not(tmp_path: Path) -> None:
    before = loaded(tmp_path)
    commented = loaded(tmp_path, **{"sql/orders.sql": ORDERS.replace("Ten", "10")})
    changed = loaded(tmp_path, **{"sql/orders.sql": ORDERS.replace("10)", "11)")})
    first, same, other = (made_with_of(each, each.processor("fetch/orders")) for each in (before, commented, changed))
    assert first == same == hash_of_statement(ORDERS) != other
    assert mended(before, changed) == ([], ["sql_files.sql/orders.sql"])


@pytest.mark.parametrize(
    ("old", "new", "files", "message"),
    [
        (
            "",
            "",
            {"sql/orders.sql": None},
            "FILE:18:9: phases[0].processors[0].sql: sql/orders.sql: there is no such file in ",
        ),
        (
            "",
            "",
            {"schema/shop.sql": None},
            "schema_files[0]: schema/shop.sql: there is no",
        ),
        (
            "sql/orders.sql",
            "../orders.sql",
            {},
            "FILE:18:9: phases[0].processors[0].sql: write a file below the folder of this file",
        ),
        (
            "sql/orders.sql",
            "/etc/orders.sql",
            {},
            "FILE:18:9: phases[0].processors[0].sql: write a file below the folder of this file",
        ),
        ("", "", {"sql/orders.sql": b"SELECT '\xff'"}, "sql/orders.sql: is no text in UTF-8: "),
        ("", "", {"sql/orders.sql": " " * 100_001}, "sql/orders.sql: 100,001 bytes are too many"),
        ("", "", {"sql/orders.sql": "-- Nothing.\n"}, "sql/orders.sql:1:1: there is no statement; write one SELECT"),
        (
            "",
            "",
            {"sql/orders.sql": "SELECT @d AS d, 1 AS k;\n\n  SELECT 2 AS k"},
            "FILE:18:9: phases[0].processors[0].sql: sql/orders.sql:3:3: a second statement; write exactly one SELECT",
        ),
        ("", "", {"sql/orders.sql": "SELECT @d AS d, 1 AS k;"}, "sql/orders.sql:1:23: a semicolon; write exactly one"),
        (
            "",
            "",
            {"sql/orders.sql": "-- Gone.\nDELETE FROM `raw.a` WHERE TRUE"},
            "sql/orders.sql:2:1: a processor's statement only",
        ),
        (
            "",
            "",
            {"sql/orders.sql": "CREATE TABLE `raw.b` (d DATE)"},
            "sql/orders.sql:1:1: a processor's statement only",
        ),
        (
            "",
            "",
            {"sql/orders.sql": "SELECT @d AS d,\n  1 AS k FROM ("},
            "sql/orders.sql:2:15: is not in BigQuery's grammar: a table name is missing at '('",
        ),
        (
            "",
            "",
            {"sql/orders.sql": "SELECT 'd AS d"},
            "orders.sql:1:8: cannot be read as BigQuery's SQL: the text that begins",
        ),
        (
            "",
            "",
            {"sql/orders.sql": "SELECT @d AS day, 1 AS n /* rest"},
            "sql/orders.sql:1:26: cannot be read as BigQuery's SQL: ",
        ),
        (
            "",
            "",
            {"sql/totals.sql": TOTALS.replace("@window_start", "@window_begin")},
            "sql/totals.sql:3:17: unknown parameter @window_begin; known: @d, @season_start, @window_start",
        ),
        (
            "",
            "",
            {"sql/orders.sql": "SELECT @d AS d, 1 AS k\nFROM `a.b` WHERE e > @window_start"},
            "sql/orders.sql:2:22: @window_start is the first date that its lookback gates wait for",
        ),
        (
            "",
            "",
            {"sql/orders.sql": "SELECT ? AS d, 1 AS k"},
            "sql/orders.sql:1:8: parameters have names here: write @d",
        ),
        ("", "", {"sql/orders.sql": "SELECT @@d AS d, 1 AS k"}, "sql/orders.sql:1:8: "),
        (
            "",
            "",
            {"sql/orders.sql": "SELECT asked.d, 1 AS k\nFROM UNNEST(@dates) AS asked\nWHERE asked.d = @d"},
            "sql/orders.sql:3:17: @d is the date, and @dates are many; write the field d of UNNEST(@dates)",
        ),
        (
            "",
            "",
            {"sql/orders.sql": "SELECT @d AS d, 1 AS k\nFROM `a.b` WHERE e > @first"},
            "sql/orders.sql:2:22: @first is the first of the dates; write UNNEST(@dates) beside it, or @d for the date",
        ),
        (
            "",
            "",
            {"sql/orders.sql": "SELECT asked.d, 1 AS k FROM UNNEST(@dates) AS asked\nWHERE asked.d > @window_start"},
            "sql/orders.sql:2:17: @window_start is the earliest window_start of the dates, and no lookback gate leads",
        ),
        (
            "",
            "",
            {"sql/totals.sql": "SELECT asked.d, 1 AS orders FROM UNNEST(@dates) AS asked\nWHERE d > @windowstart"},
            "sql/totals.sql:2:11: unknown parameter @windowstart; did you mean 'window_start'?",
        ),
        (
            "",
            "",
            {"sql/orders.sql": "SELECT @d AS d, 1 AS key"},
            "sql/orders.sql:1:14: the SELECT has no column 'k', which",
        ),
        ("", "", {"sql/orders.sql": "SELECT @d AS D, 1 AS k"}, "the SELECT has no column 'd', which `output` names"),
        ("", "", {"sql/orders.sql": "SELECT @d AS d, 1 AS k, 2"}, "sql/orders.sql:1:25: the column '2' has no name"),
        (
            "",
            "",
            {"sql/orders.sql": "SELECT @d AS d, 1 AS k, 2 AS K"},
            "sql/orders.sql:1:30: the column 'K' is selected twice",
        ),
        (
            "",
            "",
            {"sql/orders.sql": "SELECT @d AS d, 1 AS k, 2 AS _fence"},
            "sql/orders.sql:1:30: the column _fence is",
        ),
        (
            "dispatch: {queue: work}",
            "dispatch: {worker: w, queue: work}",
            {},
            "FILE:15:16: phases[0].dispatch.worker: says how a worker is called, and each processor of the phase",
        ),
        (
            "dispatch: {queue: work}",
            "dispatch: {path: /x, queue: work}",
            {},
            "phases[0].dispatch.path: says how a worker is",
        ),
        (
            "dispatch: {queue: work}",
            "dispatch: {date_field: day, queue: work}",
            {},
            "phases[0].dispatch.date_field: says",
        ),
        (
            "        sql: sql/orders.sql\n",
            "",
            {},
            "phases[0].dispatch.worker: is required and not there: 'orders' has no",
        ),
        (
            "        sql: sql/orders.sql\n",
            "",
            {},
            "phases[0].dispatch.path: is required and not there: 'orders' has no",
        ),
        (
            "sql: sql/orders.sql",
            "sql: sql/orders.sql\n        worker: w",
            {},
            "FILE:19:9: phases[0].processors[0].worker: unknown",
        ),
        (
            "{kind: table, table: raw.orders, date_column: d, keys: [k]}",
            "{kind: none}",
            {},
            "phases[0].processors[0].output.kind: 'none': the rows of a SELECT go into a table",
        ),
        (
            "keys: [k]",
            "keys: [k], fence_column: f",
            {},
            "output.fence_column: the rows of a SELECT carry their fence in _fence",
        ),
        ("queues:", "sql_files: {}\nqueues:", {}, "FILE:11:1: sql_files: unknown key"),
    ],
)
def test_what_is_wrong_is_named_by_file_line_and_column(
    tmp_path: Path, old: str, new: str, files: dict[str, Any], message: str
) -> None:
    assert old in FILE
    write(tmp_path, files)
    assert message in refusal_with_places(tmp_path, FILE.replace(old, new, 1))


def test_a_select_in_an_observed_phase_is_refused(tmp_path: Path) -> None:
    observed = "{observed: {topic: live-done, fields: {date: d, processor: p, status: s}, statuses: {ok: success}}}"
    write(tmp_path, {})
    said = refusal_with_places(tmp_path, FILE.replace("dispatch: {queue: work}", f"dispatch: {observed}"))
    assert "phases[0].processors[0].sql: the existing system starts this phase, and nobody runs a SELECT in it" in said


def test_an_editor_accepts_the_file_and_not_what_the_loader_adds(tmp_path: Path) -> None:
    import yaml

    document = yaml.safe_load(FILE)
    assert accepts(schema(), document)
    assert not accepts(schema(), {**document, "sql_files": {}})
    assert not accepts(schema(), {**document, "schema_texts": {}})
    assert not accepts(schema(), {**document, "phases": [{**document["phases"][0], "sqll": "a.sql"}]})


DAYS = [date(2024, 3, n) for n in (1, 4, 5, 8)]


@pytest.mark.parametrize(
    ("day", "window_start"),
    [(DAYS[0], DAYS[0]), (DAYS[1], DAYS[0]), (DAYS[2], DAYS[0]), (DAYS[3], DAYS[1])],
)
def test_a_select_is_given_the_date_its_season_and_the_window_of_its_gates(
    tmp_path: Path, day: date, window_start: date
) -> None:
    pipeline = loaded(tmp_path)
    calendar = Calendar.of(CalendarDate(each, str(each.year), {}, {}) for each in (date(2023, 9, 9), *DAYS))
    given = sql_parameters(pipeline, calendar, "shape", "totals", day)
    assert given == {"d": day, "season_start": DAYS[0], "window_start": window_start}
    assert sql_parameters(pipeline, calendar, "fetch", "orders", day) == {"d": day, "season_start": DAYS[0]}


def test_a_select_for_sets_is_given_its_dates_with_their_bounds_and_those_of_all_of_them(tmp_path: Path) -> None:
    in_sets = "SELECT asked.d, COUNT(*) AS orders FROM UNNEST(@dates) AS asked WHERE asked.d BETWEEN @first AND @last"
    pipeline = loaded(tmp_path, **{"sql/totals.sql": f"{in_sets} AND @window_start < @season_start GROUP BY 1"})
    calendar = Calendar.of(CalendarDate(each, str(each.year), {}, {}) for each in (date(2023, 9, 9), *DAYS))
    given = set_parameters([sql_parameters(pipeline, calendar, "shape", "totals", day) for day in DAYS[2:]])
    of_dates = [
        {"d": day, "season_start": DAYS[0], "window_start": start} for day, start in zip(DAYS[2:], DAYS, strict=False)
    ]
    bounds = {"first": DAYS[2], "last": DAYS[3], "season_start": DAYS[0], "window_start": DAYS[0]}
    assert given == {"dates": of_dates, **bounds}
    assert "window_start" not in set_parameters([sql_parameters(pipeline, calendar, "fetch", "orders", DAYS[0])])


def test_of_several_gates_the_window_that_begins_first_counts(tmp_path: Path) -> None:
    gate = "      - {check: lookback, processors: [fetch/orders], dates: 2}\n"
    other = gate.replace("dates: 2", "days: 7")
    pipeline = loaded(tmp_path, FILE.replace(gate, gate + other))
    calendar = Calendar.of(CalendarDate(each, "2024", {}, {}) for each in DAYS)
    assert sql_parameters(pipeline, calendar, "shape", "totals", DAYS[3])["window_start"] == DAYS[0]


def test_a_date_that_the_schedule_has_lost_bounds_itself(tmp_path: Path) -> None:
    calendar = Calendar(tuple(CalendarDate(each, "2024", {}, {}) for each in DAYS), lost=frozenset({DAYS[2]}))
    given = sql_parameters(loaded(tmp_path), calendar, "shape", "totals", DAYS[2])
    assert set(given.values()) == {DAYS[2]}
