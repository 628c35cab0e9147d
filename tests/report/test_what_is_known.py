"""What is not known is never told as though it were, and each thing that is wrong has its own name."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.report.verify.page import html_of, markdown_of
from tests.report.verifying import Finished, kinds, with_report
from tests.world import write_source


def changed(phase: int, processor: int, **fields: Any) -> Any:
    """The world with other fields of one processor, and the report section."""

    def change(document: dict[str, Any]) -> None:
        with_report(document)
        document["phases"][phase]["processors"][processor].update(fields)

    return change


# What was not done


def test_a_failed_task_that_need_not_have_rows_is_not_done_and_its_date_not_whole(tmp_path: Path) -> None:
    home = Finished(tmp_path, changed(1, 1, may_be_empty="sometimes nothing", checks=[]))
    home.world.misbehave(raw__b__1=["fail:bug"])
    home.run(phases="fetch..raw")
    report = home.verify().report
    assert kinds(report) == {("not_done", str(home.days[1]), "raw/b")}
    assert (report.agrees, report.heat_map.phases["raw"]) == (False, "wmwwwwwwww")
    assert report.verdict.startswith("Not complete: run r (completed with failures): 1 finding on 10 dates ")
    (line,) = report.findings
    assert (line.detail, line.query) == (f"state says: b failed on row 17 of '{home.days[1]}'", "state")


def test_a_task_of_the_bootstrap_that_never_came_to_an_end_is_not_done(tmp_path: Path) -> None:
    home = Finished(tmp_path, changed(3, 0, run_when_empty=True))
    home.run()
    home.write_state("DELETE FROM facts WHERE processor = 'total' AND day = ?", str(home.days[0]))
    assert kinds(home.verify().report) == {
        ("not_done", str(home.days[0]), "final/total"),
        ("not_done", str(home.days[0]), "final/note"),
    }


def test_rows_that_nobody_recorded_may_be_incomplete_as_well(home: Finished) -> None:
    home.write("DELETE FROM raw.a WHERE d = ? AND k = 'T1'", home.days[8])
    home.write_state("DELETE FROM facts WHERE phase = 'raw' AND processor = 'a' AND day = ?", str(home.days[8]))
    day = str(home.days[8])
    assert kinds(home.verify().report) == {("rows_never_recorded", day, "raw/a"), ("incomplete", day, "raw/a")}


def with_a_silent_phase(document: dict[str, Any]) -> None:
    """The world, whose note is a phase of its own: it leaves nothing behind."""
    with_report(document)
    final = document["phases"][3]
    note = {**final["processors"].pop(), "needs": []}
    document["phases"].append({"name": "tell", "dispatch": final["dispatch"], "processors": [note]})


def test_a_phase_without_outputs_is_unknown_where_no_run_speaks_for_it(tmp_path: Path) -> None:
    home = Finished(tmp_path, with_a_silent_phase)
    home.run()
    assert home.verify().report.heat_map.phases["tell"] == "w" * 10
    everything = Selection(seasons=("2023-24",))
    assert home.verify_dates(everything).report.heat_map.phases["tell"] == "u" * 10
    with pytest.raises(InputError, match="tell: no processor leaves an output that could be verified"):
        home.verify_dates(everything, "tell")


def test_a_run_that_leaves_nothing_behind_is_not_said_to_have_been_looked_at(tmp_path: Path) -> None:
    home = Finished(tmp_path, with_a_silent_phase)
    home.run(phases="tell")
    assert "and no output is left behind that could be looked at" in home.verify().report.verdict


# What could not be asked


def test_a_check_that_could_not_be_asked_is_one_finding_and_no_missing_date(home: Finished) -> None:
    home.write("ALTER TABLE raw.a DROP COLUMN k")
    report = home.verify().report
    assert [(f.kind, f.date, f.query) for f in report.findings] == [
        ("could_not_be_asked", None, "keys.raw.a"),
        ("could_not_be_asked", None, "entities.raw/a"),
    ]
    assert (report.missing, report.heat_map.phases["raw"]) == ([], "u" * 10)
    assert "No table holds rows with equal keys" not in html_of(report)


def test_nothing_is_counted_of_a_table_that_is_not_there(home: Finished) -> None:
    home.write("DROP TABLE final.total")
    report = home.verify().report
    (line,) = [c for c in report.coverage if c.table == "final.total"]
    assert (line.expected, line.whole, line.with_rows, line.rows) == (8, 0, None, None)
    assert [(e.dates, e.found) for e in report.emptiness] == [(2, None)]
    assert "not known" in html_of(report) and "not known" in markdown_of(report)


def test_without_its_history_a_run_has_no_price_and_the_page_says_why(home: Finished) -> None:
    home.write("DROP TABLE ref.history")
    report = home.verify().report
    assert (report.agrees, report.cost, report.pace, report.run_times) == (True, None, None, [])
    assert report.verdict.endswith("; 1 query of this report could not be asked.")
    for text in (html_of(report), markdown_of(report)):
        assert "history.ref.history" in text and "Could not be asked" in text
        assert "on Google Cloud" not in text


def test_a_field_of_the_report_that_is_not_there_is_said_on_the_page(home: Finished) -> None:
    home.write("ALTER TABLE shape.left_side DROP COLUMN v")
    report = home.verify().report
    assert (report.agrees, report.nulls, report.averages) == (True, [], [])
    for text in (html_of(report), markdown_of(report)):
        assert "figures.shape.left_side" in text.partition("Where the numbers are from")[0]


# Each by its own name


def test_doubled_rows_are_told_once_though_checks_block_them_too(tmp_path: Path) -> None:
    twice = [{"check": "rows", "exactly": "2 * games"}, {"check": "duplicates", "name": "once"}]
    home = Finished(tmp_path, changed(2, 0, checks=twice))
    home.run()
    home.write("INSERT INTO shape.left_side SELECT * FROM shape.left_side WHERE d = ?", home.days[4])
    report = home.verify().report
    assert kinds(report) == {("duplicate_keys", str(home.days[4]), "shape/left")}
    assert (report.missing, report.heat_map.phases["shape"]) == ([], "wwwwdwwwww")
    assert [c.whole for c in report.coverage if c.table == "shape.left_side"] == [9]


def test_missing_rows_are_seen_behind_doubled_ones(tmp_path: Path) -> None:
    home = Finished(tmp_path, changed(2, 0, checks=[{"check": "rows", "exactly": "2 * games"}]))
    home.run()
    home.write("DELETE FROM shape.left_side WHERE d = ? AND k <> 'T0'", home.days[4])
    for _ in range(5):
        home.write("INSERT INTO shape.left_side SELECT * FROM shape.left_side WHERE d = ? LIMIT 1", home.days[4])
    found = {kind for kind, _, _ in kinds(home.verify().report)}
    assert found == {"duplicate_keys", "passed_but_incomplete"}


def test_rows_without_a_date_are_off_the_calendar(home: Finished) -> None:
    home.write("INSERT INTO raw.a SELECT NULL, 'T0', 1, 1")
    report = home.verify().report
    (line,) = report.findings
    assert (line.kind, line.date, line.detail) == ("rows_off_the_calendar", None, "1 row without a date")
    assert report.heat_map.phases["raw"] == "w" * 10
    assert "<td>none</td>" in html_of(report)


def test_rows_where_none_are_right_are_no_missing_date(home: Finished) -> None:
    home.write("INSERT INTO final.total SELECT ?, 'all', 1, 1", home.days[0])
    assert home.verify().report.missing == []


def test_a_later_run_that_took_over_what_it_found_explains_no_difference(tmp_path: Path) -> None:
    home = Finished(tmp_path, changed(1, 1, checks=[]))
    home.run()
    home.world.clock.move_to(home.world.clock.now() + timedelta(days=1))
    home.run("again", reprocess="missing")
    home.write("DELETE FROM raw.b WHERE d = ? AND k = 'T3'", home.days[4])
    assert kinds(home.verify("r").report) == {("row_count_differs", str(home.days[4]), "raw/b")}


def test_what_a_check_only_warns_of_is_told_and_leaves_the_run_complete(tmp_path: Path) -> None:
    warns = {"check": "range", "name": "few", "column": "v", "max": 20, "severity": "warn"}
    home = Finished(tmp_path, changed(2, 0, checks=[warns]))
    home.run()
    report = home.verify().report
    (line,) = report.warnings
    assert (report.agrees, line.processor, line.check, line.last) == (True, "left", "few", home.days[-1])
    assert line.query in {q.name for q in report.queries}
    for text in (html_of(report), markdown_of(report)):
        assert line.example in text


@pytest.mark.parametrize("name", ["keys", "fences", "figures", "state"])
def test_a_check_named_like_a_query_of_the_verifiers_own_is_told_apart_from_it(tmp_path: Path, name: str) -> None:
    query = "SELECT d, LOGICAL_AND(v < 1000) AS ok, 'too much' AS detail FROM shape.left_side WHERE d IN UNNEST(@days)"
    own = {"check": "sql", "name": name, "query": f"{query} GROUP BY d"}

    def change(document: dict[str, Any]) -> None:
        changed(2, 0, checks=[own])(document)
        changed(3, 0, run_when_empty=True)(document)

    home = Finished(tmp_path, change)
    home.run()
    home.write("INSERT INTO shape.left_side SELECT * FROM shape.left_side WHERE d = ?", home.days[3])
    home.write("UPDATE shape.left_side SET v = 1000 WHERE d = ? AND k = 'T0'", home.days[4])
    home.write("UPDATE shape.left_side SET _fence = NULL WHERE d = ?", home.days[5])
    home.write_state("DELETE FROM facts WHERE processor = 'total' AND day = ?", str(home.days[0]))
    found = {(f.date, f.kind): f.query for f in home.verify().report.findings if f.processor != "note"}
    assert found == {
        (home.days[3], "duplicate_keys"): "keys.shape.left_side",
        (home.days[4], "passed_but_incomplete"): f"{name}.shape/left",
        (home.days[5], "rows_without_a_fence"): "fences.shape.left_side",
        (home.days[0], "not_done"): "state",
    }


# Figures


def test_rows_on_a_day_without_a_game_count_in_no_figure(home: Finished) -> None:
    before = home.verify().report
    home.write("INSERT INTO shape.right_side SELECT ?, 'T0', 95, 1", home.free_day)
    home.write("INSERT INTO shape.left_side SELECT ?, 'T0', NULL, 1", home.free_day)
    after = home.verify().report
    for part in ("quality", "nulls", "averages", "coverage", "compared"):
        assert getattr(after, part) == getattr(before, part), part
    assert {kind for kind, _, _ in kinds(after)} == {"rows_off_the_calendar"}


def test_a_change_is_told_against_the_season_before_only(tmp_path: Path) -> None:
    home = Finished(tmp_path)
    seasons = {day: f"{2021 + n // 4}-{22 + n // 4}" for n, day in enumerate(home.days)}
    write_source(home.world.source, dict.fromkeys(home.days, 2), seasons)
    home.run(selection=Selection(first=home.days[0], last=home.days[-1]))
    changes = {a.season: a.change for a in home.verify().report.averages}
    assert changes["2021-22"] is None and changes["2022-23"] is not None and changes["2023-24"] is not None
    home.write("DELETE FROM shape.left_side WHERE d BETWEEN ? AND ?", home.days[4], home.days[7])
    changes = {a.season: a.change for a in home.verify().report.averages}
    assert changes == {"2021-22": None, "2023-24": None}


def test_keys_are_compared_where_both_tables_have_something_to_hold(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        with_report(document)
        document["report"]["compared"] = [{"key": "k", "processor": "ahead", "against": "total"}]

    home = Finished(tmp_path, change)
    home.run()
    (pair,) = home.verify().report.compared
    assert (pair.here, pair.both, pair.share, pair.dates, pair.left_out) == (8, 8, 1.0, 8, 2)
    assert pair.unlike == []


@pytest.mark.parametrize("text", ["a \\| b", "[x](https://example.org)", "`a` | *b*"])
def test_what_a_message_holds_is_no_markup_in_the_markdown(home: Finished, text: str) -> None:
    home.write("UPDATE ref.history SET status = 'failed', message = ? WHERE data_date = ?", text, home.days[1])
    lines = [line for line in markdown_of(home.verify().report).splitlines() if line.startswith("| not_borne_out:a")]
    assert lines
    for line in lines:
        escaped = line.replace("\\\\", "").replace("\\|", "").replace("\\[", "").replace("\\`", "").replace("\\*", "")
        assert escaped.count("|") == 7
        assert not set("[`*\\") & set(escaped.replace("\\]", ""))
