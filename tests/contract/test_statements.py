"""Every SQL statement of the project gives the same rows, row by row, on DuckDB and on BigQuery.

The games of a season's first dates are processed once, embedded; BigQuery is given the same tables. Then both are
asked the same things: what the processors select, what proofs and checks ask, how the calendar is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from google.cloud.bigquery import LoadJobConfig, SourceFormat

from nba_worker.service import NbaWorker, build
from phasegate.adapters.bigquery_sql import created_table, read_script
from phasegate.adapters.gcp.bigquery.warehouse import BigQueryWarehouse
from phasegate.adapters.gcp.clients import bigquery_client, storage_client
from phasegate.adapters.gcp.objects import GcsObjectStore
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.adapters.json_lines import json_lines
from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.checks import registry
from phasegate.domain.checks.proof import count_rows
from phasegate.domain.checks.question import Question, together
from phasegate.domain.checks.subject import CheckSubject
from phasegate.domain.spec.checks import Check, CoverageCheck, DuplicatesCheck, RangeCheck, SqlCheck
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.domain.state.facts import BLOCK
from phasegate.report.verify.questions import (
    NamedQuery,
    compared_of,
    compared_query,
    fences_query,
    figures_query,
    history_query,
    keys_query,
    rows_query,
    tables_of,
)
from phasegate.services.reading.cross_check import CalendarReader, cross_check, outputs_of
from phasegate.services.reading.schedule import read_calendar, read_calendar_at_once
from phasegate.services.starting.own_tables import make_own_tables
from phasegate.stack.emulators import Server
from tests.emulators import wipe_reference_datasets
from tests.nba_sql import (
    ANALYTICS,
    NBA,
    PIPELINE,
    PRECOMPUTE,
    PREDICTIONS,
    SqlProcessor,
    given_to,
    run_sql,
    run_sql_batch,
    select_of,
)
from tests.workers.conftest import Played, play, request_body, with_shots

DATES = 10
"""Enough that the last ones are past the bootstrap days, and that windows reach back to other dates."""

PROCESSORS = [*ANALYTICS.values(), *PRECOMPUTE.values(), *PREDICTIONS.values()]

Row = list[tuple[str, str, Any]]
"""Of every column: its name, the name of its value's type, its value."""


def checked() -> list[tuple[str, str]]:
    """A processor of every kind: those whose statements differ by nothing but the table's name count as one."""
    kinds: dict[str, tuple[str, str]] = {}
    for phase in NBA.phases:
        for processor in phase.processors:
            if isinstance(processor.output, TableOutput):
                asked = [check.model_dump() for check in phase.checks_of(processor) if check.check != "rows"]
                kind = repr((processor.output.date_column, processor.output.fence_column, asked))
                kinds.setdefault(kind, (phase.name, processor.name))
    return list(kinds.values())


@dataclass(frozen=True)
class Both:
    """The same tables twice. ``cloud_worker`` processes into BigQuery."""

    played: Played
    cloud: BigQueryWarehouse
    cloud_worker: NbaWorker

    @property
    def day(self) -> date:
        """The date that is looked at: the last but one. The last is written again."""
        return self.played.days[-2]

    @property
    def last(self) -> date:
        """The last date that was processed."""
        return self.played.days[-1]

    def rows(self, question: Question) -> tuple[list[Row], list[Row]]:
        """What each answers: rows in one order, every value with its column and type, the columns as they came."""
        embedded, cloud = (
            sorted(
                ([(name, type(value).__name__, value) for name, value in row.items()] for row in warehouse_rows),
                key=repr,
            )
            for warehouse_rows in (
                self.played.warehouse.query(question.sql, question.parameters),
                self.cloud.query(question.sql, question.parameters),
            )
        )
        return embedded, cloud


@pytest.fixture(scope="module")
def both(
    source_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    bigquery_emulator: Server,
    storage_emulator: Server,
) -> Iterator[Both]:
    home = tmp_path_factory.mktemp("statements")
    source = with_shots(source_folder, tmp_path_factory.mktemp("source"))
    played = play(source, home, DATES)
    settings = CloudSettings.from_environment()
    client = bigquery_client(settings)
    wipe_reference_datasets()
    cloud = BigQueryWarehouse(client, settings, labels={"phasegate": "test"})
    bucket = storage_client(settings).create_bucket("contract-statements")
    make_own_tables(NBA, (), cloud)
    for script in sorted((PIPELINE / "schema").glob("*.sql")):
        cloud.apply_schema(script.read_text(encoding="utf-8"))
        for tree in read_script(script.read_text(encoding="utf-8")):
            table = ".".join((created_table(tree).db, created_table(tree).name))
            # Nobody looks back on raw tables: a few dates of them are enough, play by play they are large.
            is_raw = table.startswith("nba_raw.") and table != NBA.calendar.table
            recent = "WHERE game_date >= @first" if is_raw else ""
            rows = played.warehouse.query(f"SELECT * FROM {table} {recent}", {"first": played.days[-3]})
            if rows:
                config = LoadJobConfig(
                    source_format=SourceFormat.NEWLINE_DELIMITED_JSON, schema=client.get_table(table).schema
                )
                client.load_table_from_file(BytesIO(json_lines(rows)), table, job_config=config).result()
    yield Both(played, cloud, build(source, cloud, GcsObjectStore(storage_client(settings), bucket.name)))
    played.warehouse.close()


def question_of(processor: SqlProcessor, played: Played, day: date) -> Question:
    return Question(select_of(processor), given_to(processor, played.calendar, [day]), "")


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda processor: processor.name)
def test_a_select_gives_the_same_rows(both: Both, processor: SqlProcessor) -> None:
    embedded, cloud = both.rows(question_of(processor, both.played, both.day))
    assert embedded == cloud
    assert embedded


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda processor: processor.name)
def test_a_select_gives_every_column_its_tables_type(both: Both, processor: SqlProcessor) -> None:
    question = question_of(processor, both.played, both.day)
    selected = both.cloud._dry_run(question.sql, question.parameters).schema or ()
    held = both.cloud._client.get_table(processor.table).schema
    assert {field.name: field.field_type for field in selected} == {
        field.name: field.field_type for field in held if field.name != "_fence"
    }


@pytest.mark.parametrize(("phase", "name"), checked())
def test_proofs_and_checks_find_the_same(both: Both, phase: str, name: str) -> None:
    processor = next(p for p in NBA.phase(phase).processors if p.name == name)
    output = processor.output
    assert isinstance(output, TableOutput)
    days = both.played.days[-3:]
    calendar = read_calendar(NBA.calendar, both.played.warehouse.query)
    subject = CheckSubject(NBA, calendar, phase, processor, output, days)
    questions = [
        count_rows(output, days),
        *(registry.ask(check, subject) for check in NBA.phase(phase).checks_of(processor)),
    ]
    for question in questions:
        if question is not None:
            embedded, cloud = both.rows(question)
            assert embedded == cloud


def test_the_calendar_is_told_right_or_wrong_alike(both: Both) -> None:
    calendar = read_calendar(NBA.calendar, both.played.warehouse.query)
    (day,) = both.played.days[-3:-2]
    found = [
        cross_check(
            NBA,
            Calendar.of(each for each in calendar.dates if each.day != day),
            both.played.days[-2:],
            CalendarReader(query, query),
            datetime(2030, 1, 1, tzinfo=UTC),
            outputs_of(NBA).values(),
        )
        for query in (both.played.warehouse.query, both.cloud.query)
    ]
    assert found[0] == found[1]
    assert [(asked.place, asked.error) for asked in found[0].asked] == [
        (table, None) for table in (NBA.calendar.table, "nba_raw.nbac_team_boxscore", "nba_raw.nbac_player_boxscore")
    ]
    # The tables hold the dates that were processed, and the schedule the rest of the season as well.
    assert not found[0].gaps


def test_tables_counted_together_and_checks_made_together_find_the_same(both: Both) -> None:
    days = both.played.days[-3:]
    calendar = read_calendar(NBA.calendar, both.played.warehouse.query)
    asked: dict[str, list[Question]] = {}
    for phase in NBA.phases:
        for processor in phase.processors:
            if isinstance(processor.output, TableOutput):
                asked.setdefault("counts", []).append(count_rows(processor.output, days))
                subject = CheckSubject(NBA, calendar, phase.name, processor, processor.output, days)
                for check in phase.checks_of(processor):
                    if (question := registry.ask(check, subject)) is not None:
                        asked.setdefault(question.shape, []).append(question)
    kinds = {shape.partition(" ")[0] for shape in asked}
    assert kinds == {"counts", "entities", "coverage", "nulls", "range", "duplicates", "sql"}
    for shape, questions in asked.items():
        embedded, cloud = both.rows(together(questions))
        assert embedded == cloud
        answered = {value for row in embedded for name, _, value in row if name == "asked"}
        assert len(answered) > len(questions) / 2 or shape == "duplicates", "of these there are none"


FAULTY = {
    "keys that are there often": DuplicatesCheck(keys=["team"]),
    "keys that are missing": CoverageCheck(processor="upcoming_player_game_context", keys=["game_id", "player_id"]),
    "a query of its own": SqlCheck(
        query="SELECT game_date, SAFE_DIVIDE(SUM(points), COUNTIF(points < 0)) > 1 AS ok, "
        "CONCAT(CAST(COUNT(*) AS STRING), ' rows') AS detail, COUNT(*) AS expected, COUNTIF(points > 9) AS found "
        "FROM nba_analytics.player_game_summary WHERE game_date IN UNNEST(@days) GROUP BY game_date"
    ),
}


@pytest.mark.parametrize("check", FAULTY.values(), ids=FAULTY)
def test_what_is_wrong_is_found_alike(both: Both, check: Check) -> None:
    phase, days = "phase_3_analytics", both.played.days[-3:]
    processor = next(p for p in NBA.phase(phase).processors if p.name == "player_game_summary")
    assert isinstance(processor.output, TableOutput)
    calendar = read_calendar(NBA.calendar, both.played.warehouse.query)
    subject = CheckSubject(NBA, calendar, phase, processor, processor.output, days)
    question = registry.ask(check, subject)
    assert question is not None
    embedded, cloud = both.rows(together([question]))
    assert embedded == cloud
    assert embedded
    verdicts = registry.judge(check, subject, both.cloud.query(question.sql, question.parameters))
    assert {verdict.outcome for verdict in verdicts.values()} == {BLOCK}


def test_what_is_not_a_number_is_outside_of_a_range_alike(both: Both) -> None:
    phase, days = "phase_3_analytics", both.played.days[-3:]
    processor = next(p for p in NBA.phase(phase).processors if p.name == "team_offense_game_summary")
    assert isinstance(processor.output, TableOutput)
    calendar = read_calendar(NBA.calendar, both.played.warehouse.query)
    subject = CheckSubject(NBA, calendar, phase, processor, processor.output, days)
    check, table = RangeCheck(column="fg_pct", min=0), f"`{processor.output.table}`"
    question = registry.ask(check, subject)
    assert question is not None
    half = f"(SELECT game_date, IF(is_home, CAST('NaN' AS FLOAT64), fg_pct) AS fg_pct FROM {table}) AS half"
    embedded, cloud = both.rows(Question(question.sql.replace(table, half), question.parameters, ""))
    assert embedded == cloud
    for row in cloud:
        values = {name: value for name, _, value in row}
        assert values["n"] == 2 * values["bad"] == 2 * values["nan"]
        assert 0 < values["lowest"] <= values["highest"] < 1


def verified() -> list[NamedQuery]:
    """What the verifier asks, of the last three dates: all of one kind of table, and whatever the report looks at."""
    over = [(date(1, 1, 1), date(9999, 1, 1))]
    tables = tables_of(NBA, NBA.phase_names)
    refs = {f"{phase}/{name}" for phase, name in checked()}
    asked = [query(t, over) for t in tables if t.ref in refs for query in (rows_query, keys_query, fences_query)]
    asked += [figures for table in tables if (figures := figures_query(table, over))]
    asked += [compared_query(pair, over) for pair in compared_of(NBA, NBA.phase_names)]
    return [*asked, history_query(NBA.history_table, "r", over)]


@pytest.mark.parametrize("query", verified(), ids=lambda query: query.name)
def test_the_verifier_finds_the_same(both: Both, query: NamedQuery) -> None:
    bounds = {"first": both.played.days[-3], "last": both.played.days[-1]}
    embedded, cloud = both.rows(Question(query.sql or "", {**query.parameters, **bounds}, ""))
    assert rounded(embedded) == rounded(cloud)
    assert embedded or query.name.startswith(("keys", "history", "rows.nba_raw", "fences.nba_raw"))


def rounded(rows: list[Row]) -> list[Row]:
    """Sums of fractions depend on the order of their summands in the last digits."""
    return [[(n, k, round(v, 6) if isinstance(v, float) else v) for n, k, v in row] for row in rows]


def test_the_calendar_is_the_same(both: Both) -> None:
    embedded, cloud = (read_calendar(NBA.calendar, w.query) for w in (both.played.warehouse, both.cloud))
    assert embedded == cloud
    assert set(both.played.days) <= set(cloud.by_day)


def test_the_calendar_is_the_same_where_it_is_read_in_one_query(both: Both) -> None:
    calendar = read_calendar(NBA.calendar, both.cloud.query)
    first, last = calendar.dates[0].day, calendar.dates[-1].day
    for warehouse in (both.played.warehouse, both.cloud):
        assert read_calendar_at_once(NBA.calendar, warehouse.query, first, last) == calendar


@pytest.mark.parametrize("name", ["nbac_player_boxscore", "bdl_games"])
def test_what_is_scraped_and_loaded_over_the_cloud_is_the_same(both: Both, name: str) -> None:
    for path in ("/scrape", "/load"):
        status, body = both.cloud_worker.handle(path, request_body(path, name, both.last, fence=2))
        assert (status, body["results"][name]) == (200, both.played.results[both.last, path, name])
    embedded, cloud = both.rows(partition_of(f"nba_raw.{name}", "game_date", both.last))
    assert embedded == cloud
    assert embedded


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda processor: processor.name)
def test_what_is_processed_over_the_cloud_is_the_same(both: Both, processor: SqlProcessor) -> None:
    status, body = run_sql(both.cloud, both.played.calendar, processor.name, both.last, fence=2)
    answer = both.played.results[both.last, processor.phase, processor.name]
    assert (status, body["results"][processor.name]) == (200, answer)
    embedded, cloud = both.rows(partition_of(processor.table, processor.date_column, both.last))
    assert embedded == cloud
    assert len(embedded) == answer["rows"] > 0


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda processor: processor.name)
def test_a_batch_that_is_processed_over_the_cloud_is_the_same(both: Both, processor: SqlProcessor) -> None:
    days = both.played.days[-3:]
    jobs = {job.job_id for job in both.cloud._client.list_jobs()}
    answers = run_sql_batch(both.cloud, both.played.calendar, processor.name, dict.fromkeys(days, 3))
    made = [job.statement_type for job in both.cloud._client.list_jobs() if job.job_id not in jobs]
    assert made.count("MERGE") == 1
    for day in days:
        answer = both.played.results[day, processor.phase, processor.name]
        assert answers[day] == (200, {"results": {processor.name: answer}})
        embedded, cloud = both.rows(partition_of(processor.table, processor.date_column, day))
        assert embedded == cloud
        assert len(embedded) == answer["rows"] > 0


def partition_of(table: str, date_column: str, day: date) -> Question:
    return Question(f"SELECT * EXCEPT (_fence) FROM {table} WHERE {date_column} = @d", {"d": day}, "")


def test_preparing_the_worker_writes_nothing_where_everything_is_there(both: Both) -> None:
    before = {job.job_id for job in both.cloud._client.list_jobs()}
    both.cloud_worker.prepare()
    assert {job.job_type for job in both.cloud._client.list_jobs() if job.job_id not in before} == {"query"}
