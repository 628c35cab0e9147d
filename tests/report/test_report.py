"""What a report says beside its findings, where it is kept, and that a query stands behind every number."""

import json
import statistics
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.report.verify.document.report import Report
from phasegate.report.verify.questions import SCHEDULE_QUERY
from phasegate.services.operating.decisions import waive
from tests.report.verifying import MEASURE, Finished, kinds, parameters_of, with_report
from tests.world import World

ROOT = Path(__file__).parents[2]


@pytest.fixture
def report(home: Finished) -> Report:
    return home.verify().report


# Where it is kept


def test_the_files_lie_in_the_home_and_the_json_is_the_report(home: Finished) -> None:
    made = home.verify()
    assert made.names == ("reports/r/report.json", "reports/r/report.md", "reports/r/report.html")
    text = (home.world.home.reports / "r" / "report.json").read_text()
    assert Report.model_validate_json(text) == made.report


def test_a_summary_is_kept_beside_the_run_and_a_row_in_the_reports_table(home: Finished) -> None:
    home.write("DELETE FROM raw.b WHERE d = ?", home.days[3])
    made = home.verify().report
    ground = home.ground()
    assert ground.state is not None
    (note,) = ground.state.reports("r")
    (row,) = ground.warehouse.query("SELECT report_id, run_id, agrees, findings, kinds, place FROM `ref.reports`")
    ground.warehouse.close()
    assert (note.id, note.agrees, dict(note.kinds)) == (made.report_id, False, {"passed_but_empty": 1})
    kept = {"report_id": made.report_id, "run_id": "r", "agrees": False, "findings": 1, "place": "reports/r"}
    assert row == {**kept, "kinds": '{"passed_but_empty": 1}'}


def test_the_schema_in_the_documents_is_the_reports_own() -> None:
    page = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    assert page == {"$schema": "https://json-schema.org/draft/2020-12/schema", **Report.model_json_schema()}


# What it says


def test_a_run_that_is_still_going_says_so_in_the_verdict(tmp_path: Path) -> None:
    home = Finished(tmp_path)
    with home.world.open() as embedded:
        home.world.begin(embedded)
    report = home.verify().report
    assert (report.agrees, report.is_final, report.status) == (False, False, "running")
    assert report.verdict.startswith("Not final: run r has not ended (running, 0 of 90 tasks done); so far ")


def test_a_failed_task_is_missing_and_its_signature_counted(tmp_path: Path) -> None:
    home = Finished(tmp_path)
    home.world.misbehave(raw__b__1=["fail:transient"] * 3, raw__a__2=["fail:transient"])
    home.run()
    report = home.verify().report
    day = str(home.days[1])
    assert ("missing", day, "raw/b") in kinds(report)
    assert f"nothing there; state says: b failed on row 17 of '{day}'" in {f.detail for f in report.findings}
    assert {k.between for k in report.kinds if k.findings} == {"calendar and tables", "plan and state"}
    assert [(f.attempts, f.dates, f.example) for f in report.failures] == [
        (3, 1, f"b failed on row 17 of '{day}'"),
        (1, 1, f"a failed on row 17 of '{home.days[2]}'"),
    ]
    assert (str(report.blocked[0].date), report.blocked[0].phase) == (day, "shape")


def test_what_a_person_lets_pass_stands_under_its_waiver_until_it_ends(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        with_report(document)
        document["phases"][1]["processors"][0]["checks"] = [{"check": "rows", "at_least": "4 * games"}]

    home = Finished(tmp_path, change)
    home.run()
    world = home.world
    with world.open() as embedded:
        until = (world.clock.now() + timedelta(days=1)).isoformat()
        waive(
            embedded.state, world.clock, "r", dates=home.days, check="rows", phase="raw", processor="a",
            until=until, by="ann", why="known to be few",
        )  # fmt: skip
    home.run()
    report = home.verify().report
    assert (report.agrees, report.findings) == (True, [])
    assert report.verdict.startswith("Complete but for waivers: run r: all 8 outputs of 10 dates ")
    assert report.verdict.endswith("as state says, but for 10 outputs that waivers let pass.")
    assert report.heat_map.phases["raw"] == "p" * 10
    assert [(c.whole, c.waived) for c in report.coverage if c.table == "raw.a"] == [(0, 10)]
    (shown,) = report.waivers
    assert (shown.check, shown.phase, shown.processor, shown.dates) == ("rows", "raw", "a", 10)
    assert (shown.first, shown.why, shown.is_in_force) == (home.days[0], "known to be few", True)
    assert (shown.lets_pass, shown.examples[0]) == (10, f"{home.days[0]} a: 4 of at least 8 rows")
    world.clock.move_to(world.clock.now() + timedelta(days=2))
    later = home.verify().report
    assert "waivers let" not in later.verdict
    assert (later.agrees, later.waivers[0].is_in_force, later.waivers[0].lets_pass) == (False, False, 0)


def test_dates_without_a_run_are_held_against_the_calendar_alone(home: Finished) -> None:
    home.write("DELETE FROM raw.b WHERE d = ?", home.days[3])
    home.write_state("DELETE FROM facts")
    made = home.verify_dates(Selection(seasons=("2023-24",)), "raw..final").report
    assert kinds(made) == {("missing", str(home.days[3]), "raw/b")}
    assert (made.run_id, made.pace, made.cost) == (None, None, None)


def test_dates_beyond_those_that_were_asked_for_are_read_and_told_apart(home: Finished) -> None:
    home.write("DELETE FROM raw.b WHERE d <= ?", home.days[1])
    made = home.verify_dates(Selection(dates=(home.days[8],))).report
    assert (made.agrees, made.findings) == (True, [])
    assert [(m.processor, m.first, m.last, m.dates, m.beyond) for m in made.missing] == [
        ("b", home.days[0], home.days[1], 2, True)
    ]
    assert made.verdict.endswith("beyond them the calendar misses 2 outputs of other dates.")
    assert made.heat_map.phases["raw"] == "ggoooooowo"


def test_the_heat_map_has_a_letter_for_every_date_and_phase(home: Finished) -> None:
    home.write("DELETE FROM raw.a WHERE d = ?", home.days[3])
    home.write("DELETE FROM raw.b WHERE d = ? AND k = 'T1'", home.days[4])
    heat = home.verify().report.heat_map
    assert heat.dates == home.days
    assert heat.phases == {"fetch": "w" * 10, "raw": "wwwmswwwww", "shape": "w" * 10, "final": "eewwwwwwww"}


def test_expected_emptiness_has_its_reason(report: Report) -> None:
    (line,) = report.emptiness
    assert (line.processor, line.is_demanded, line.dates, line.found) == ("total", True, 2, 2)
    assert line.reason == "bootstrap: the first 2 days of a season"


def test_a_later_run_may_have_written_again(home: Finished) -> None:
    home.world.clock.move_to(home.world.clock.now() + timedelta(days=1))
    home.run("again", reprocess="all")
    assert home.verify("r").report.findings == []
    assert home.verify("again").report.findings == []


def test_a_table_without_the_columns_of_the_report_section_is_verified_all_the_same(tmp_path: Path) -> None:
    def other_columns(document: dict[str, Any]) -> None:
        with_report(document)
        document["report"]["critical"] = [{"processor": "left", "columns": ["nowhere"]}]

    home = Finished(tmp_path, other_columns)
    home.run()
    made = home.verify().report
    assert (made.findings, made.nulls) == ([], [])
    assert [q.name for q in made.queries if q.error] == ["figures.shape.left_side"]


def test_an_unknown_run_is_refused_and_nothing_written(home: Finished) -> None:
    with pytest.raises(InputError, match="unknown run 'nobody'"):
        home.verify("nobody")
    assert not (home.world.home.reports / "nobody").exists()


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"critical": [{"processor": "lefft", "columns": ["v"]}]}, "did you mean 'left'"),
        ({"averages": [{"processor": "fetch/a", "columns": ["v"]}]}, "fetch/a writes no table"),
        ({"measures": [MEASURE | {"processor": "lefft"}]}, "did you mean 'left'"),
        ({"measures": [MEASURE, MEASURE]}, "measures.1..name: there is another measure 'means'"),
        ({"measures": [MEASURE | {"query": "DELETE FROM t"}]}, "measures.0..query: a measure reads: write one SELECT"),
        ({"measures": [MEASURE | {"query": "SELECT 1 AS label, @days AS v"}]}, "must name the column 'value'"),
        ({"measures": [MEASURE | {"query": "SELECT 1 AS label, 2 AS value"}]}, "bound it by date"),
        ({"measures": [MEASURE | {"query": "SELECT 1 AS label, @day AS value"}]}, "unknown parameter @day"),
        ({"compared": [{"key": "k", "processor": "left", "against": "a"}]}, "is a processor of several phases"),
    ],
)
def test_a_report_section_that_names_what_is_not_there_is_refused(
    tmp_path: Path, section: dict[str, Any], problem: str
) -> None:
    world = World(tmp_path, change=lambda document: document.update(report=section))
    with pytest.raises(InputError, match=problem):
        load_pipeline(world.pipeline_file)


# Measures


def test_a_measure_shows_the_rows_of_its_select_on_the_verified_dates(home: Finished) -> None:
    home.write("UPDATE shape.left_side SET v = 7 WHERE k = 'T0'")
    home.write("UPDATE shape.left_side SET v = NULL WHERE k = 'T1'")
    made = home.verify()
    (measure,) = made.report.measures
    assert (measure.name, measure.left_out) == ("means", 0)
    first, second, *_ = measure.rows
    assert first.model_dump() == {"label": "T0", "value": 7.0, "beside": 7.0, "unit": "points", "n": len(home.days)}
    assert (second.label, second.value, second.beside, second.n) == ("T1", None, None, 0)
    (query,) = [q for q in made.report.queries if q.name == measure.query]
    assert query.sql == MEASURE["query"] and query.error is None
    page = (home.world.home.reports / "r" / "report.html").read_text()
    assert "Mean of &lt;v&gt; on the left" in page and "7 points" in page
    assert (
        "largest.\n\n| | value | beside | of |\n|---|---:|---:|---:|\n| T0 | 7 points | 7 points | 10 |\n"
        in (home.world.home.reports / "r" / "report.md").read_text()
    )


def test_a_measure_that_fails_is_told_and_changes_no_verdict(home: Finished) -> None:
    home.write("ALTER TABLE shape.left_side RENAME COLUMN k TO key_of_old")
    report = home.verify().report
    assert report.measures == []
    assert [q.name for q in report.queries if q.error and q.name.startswith("measure")] == ["measure.means"]


def test_a_measure_is_not_asked_without_the_phase_of_its_processor(tmp_path: Path) -> None:
    home = Finished(tmp_path)
    home.run(phases="fetch..raw")
    report = home.verify().report
    assert report.measures == [] and not any(q.name.startswith("measure") for q in report.queries)


def test_a_measure_of_many_rows_is_cut_and_says_so(tmp_path: Path) -> None:
    many = MEASURE | {
        "query": "SELECT CAST(n AS STRING) AS label, n AS value FROM UNNEST(GENERATE_ARRAY(1, 60)) AS n "
        "WHERE @first <= @last ORDER BY n"
    }
    home = Finished(tmp_path, lambda document: document.update(report={"measures": [many]}))
    home.run()
    (measure,) = home.verify().report.measures
    assert (len(measure.rows), measure.left_out, measure.rows[-1].label) == (50, 10, "50")


# A query behind every number


def test_every_number_can_be_derived_again_by_the_query_that_it_names(home: Finished) -> None:
    home.write("DELETE FROM raw.b WHERE d = ? AND k = 'T1'", home.days[4])
    home.write("INSERT INTO raw.a SELECT * FROM raw.a WHERE d = ?", home.days[2])
    home.write("UPDATE shape.left_side SET v = NULL WHERE d = ? AND k = 'T0'", home.days[6])
    report = home.verify().report
    ground = home.ground()
    rows = {
        q.name: ground.warehouse.query(q.sql, parameters_of(report, q))
        for q in report.queries
        if q.sql is not None and q.name != SCHEDULE_QUERY
    }
    ground.warehouse.close()
    for line in report.coverage:
        if line.table:
            held = {row["d"]: row["n"] for row in rows[line.query]}
            assert (line.rows, line.with_rows) == (sum(held.values()), len(held)), line.processor
    for finding in report.findings:
        assert finding.table is None or finding.query in rows
    (short,) = [f for f in report.findings if f.kind == "passed_but_incomplete" and f.query.startswith("entities")]
    present = [row["k"] for row in rows[short.query] if row["d"] == short.date]
    assert (short.expected, short.found, sorted(present)) == (4, 3, ["T0", "T2", "T3"])
    (doubled,) = report.duplicates
    assert doubled.rows == sum(row["doubled"] for row in rows[doubled.query]) == 4
    (nulls,) = report.nulls
    assert nulls.nulls == sum(row["n"] - row["has_v"] for row in rows[nulls.query]) == 1
    (average,) = report.averages
    values = rows[average.query]
    assert average.values == sum(row["has_v"] for row in values)
    assert average.average == pytest.approx(sum(row["sum_v"] for row in values) / average.values, abs=1e-4)
    (quality,) = report.quality
    scored = [sum(row[f"bucket{n}_v"] for row in rows[quality.query]) for n in range(4)]
    assert [quality.from_90, quality.from_70, quality.from_50, quality.below_50] == scored
    assert sum(scored) + quality.unscored == quality.rows
    (pair,) = report.compared
    assert (pair.here, pair.there, pair.both) == tuple(
        sum(row[name] for row in rows[pair.query]) for name in ("here", "there", "both_have")
    )
    assert report.pace is not None and report.cost is not None
    history = rows[report.pace.query]
    assert report.pace.attempts == sum(report.pace.ended) == report.cost.attempts == len(history) == 88
    attempts = Counter((row["phase"], row["processor_name"]) for row in history)
    assert {(t.phase, t.processor): t.attempts for t in report.run_times} == attempts
    for time in report.run_times:
        own = [row for row in history if (row["phase"], row["processor_name"]) == (time.phase, time.processor)]
        calls = {(row["started_at"], row["finished_at"]) for row in own}
        taken = [(ended - begun).total_seconds() for begun, ended in calls]
        assert time.calls == len(calls)
        assert time.attempt_seconds == pytest.approx(sum(taken) / len(own), abs=1e-6)
        assert time.median_seconds == pytest.approx(statistics.median(taken), abs=1e-6)
        assert time.p95_seconds == pytest.approx(statistics.quantiles(taken, n=20, method="inclusive")[-1], abs=1e-6)
    named = {q.name for q in report.queries}
    for section in ("coverage", "missing", "emptiness", "gate_waits", "findings", "failures", "run_times"):
        assert {line.query for line in getattr(report, section)} <= named, section
