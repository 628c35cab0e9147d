"""``phasegate calendar`` and ``phasegate preflight``, and the starts that preflight refuses."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.endtoend.test_bad_input import assert_refused
from tests.endtoend.test_command_line import Answer, Site

SEASON = ("--season", "2023-24")
TOMORROW = datetime.now(UTC).date() + timedelta(days=1)


@contextmanager
def site_of(folder: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Iterator[Site]:
    """A site whose home does not exist yet."""
    made = Site(folder, change)
    yield made
    made.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose pipeline is that of the world."""
    with site_of(tmp_path) as made:
        yield made


def play_live(site: Site) -> None:
    """Add to the schedule a date that is live, whenever the test runs."""
    add_game(site, TOMORROW, 3)


def add_game(site: Site, day: date, status: int) -> None:
    """Add a game to the schedule."""
    file = site.world.source / "schedule.parquet"
    more = f"SELECT '2023-24', DATE '{day}', 'T0', 'T1', {status}"
    duckdb.sql(f"COPY (SELECT * FROM (FROM read_parquet('{file}')) UNION ALL {more}) TO '{file}.new' (FORMAT parquet)")
    Path(f"{file}.new").replace(file)


def ask(site: Site, command: str, *arguments: str) -> Answer:
    """Type a command with the world's pipeline and source."""
    return site.call(*site.selecting(command, *arguments))


def levels(answer: Answer) -> dict[str, str]:
    """Check -> level."""
    return {line["check"]: line["level"] for line in answer.document["lines"]}


# calendar


def test_the_calendar_counts_by_processor_and_reason(site: Site) -> None:
    document = ask(site, "calendar", *SEASON, "--json").document
    counts = {p["processor"]: p for p in document["processors"] if p["phase"] == "final"}
    assert counts["total"] == {
        "phase": "final",
        "processor": "total",
        "expected": 4,
        "empty_ok": {"bootstrap: the first 2 days of a season": 2},
        "not_applicable": {},
    }
    assert (document["dates"], len(document["work"])) == (6, 9 * 6)


def test_the_calendar_of_one_date_says_how_much_each_processor_should_hold(site: Site) -> None:
    answer = ask(site, "calendar", *SEASON, "--date", "2024-01-01")
    assert "  shape/left: 4 rows" in answer.out.splitlines()
    assert "  final/total: nothing: bootstrap: the first 2 days of a season" in answer.out.splitlines()


def test_without_a_selection_the_calendar_is_that_of_every_date(site: Site) -> None:
    answer = site.call("calendar", "--pipeline", "pipeline.yaml", "--source", "source")
    assert answer.out.startswith("Expected work of pipeline world: 6 dates, 2024-01-01 to 2024-01-06")
    assert "    2 rightly empty: bootstrap: the first 2 days of a season" in answer.out.splitlines()


def test_a_postponed_date_stands_in_the_calendar_with_its_reason(site: Site) -> None:
    add_game(site, date(2024, 1, 7), 4)
    off = [w for w in ask(site, "calendar", *SEASON, "--json").document["work"] if w["date"] == "2024-01-07"]
    assert {(w["kind"], w["reason"]) for w in off} == {
        ("not_applicable", "no row of the schedule counts (1 row left out)")
    }
    assert "2024-01-07" not in ask(site, "calendar", "--dates", "2024-01-01", "--json").out


def test_a_date_without_any_game_is_refused(site: Site) -> None:
    assert_refused(ask(site, "calendar", *SEASON, "--date", "2024-02-01"), "the schedule has no row on 2024-02-01")


def test_the_calendar_writes_nothing(site: Site) -> None:
    assert ask(site, "calendar", *SEASON).code == 0
    assert not site.home.exists()


# preflight


def test_preflight_of_a_home_that_is_not_there_passes_and_writes_nothing(site: Site) -> None:
    answer = ask(site, "preflight", *SEASON, "--json")
    assert (answer.code, answer.document["may_start"]) == (0, True)
    sound = dict.fromkeys(("schedule", "live-window", "phases", "workers", "home"), "PASS")
    assert levels(answer) == sound | dict.fromkeys(("tables", "statements"), "WARN"), (
        "nobody has looked at tables that are still to be made"
    )
    assert not site.home.exists()


def test_preflight_fails_with_status_1_and_the_remedy(site: Site) -> None:
    play_live(site)
    answer = ask(site, "preflight", *SEASON)
    assert answer.code == 1
    (line,) = [line for line in answer.out.splitlines() if line.startswith("FAIL")]
    assert line.startswith("FAIL live-window") and f"--include-live {TOMORROW}" in line
    assert answer.out.splitlines()[-1] == "1 of 7 checks failed: no run may start"


def test_preflight_sees_a_table_that_was_dropped(site: Site) -> None:
    assert site.run().code == 0
    with duckdb.connect(str(site.home / "warehouse.duckdb")) as warehouse:
        warehouse.execute("DROP TABLE raw.a")
    answer = ask(site, "preflight", *SEASON)
    assert answer.code == 1
    assert "FAIL table raw.a: is not there" in answer.out


def test_preflight_of_a_bad_selection_is_bad_input(site: Site) -> None:
    assert_refused(ask(site, "preflight", "--season", "1999-00"), "unknown season '1999-00'")


# starts


@pytest.mark.parametrize("command", ["run", "start"])
def test_a_live_date_is_refused_and_nothing_is_written(site: Site, command: str) -> None:
    play_live(site)
    assert_refused(ask(site, command, *SEASON), f"name each: --include-live {TOMORROW}")
    assert not site.home.exists()


def test_the_live_window_is_left_out_when_that_is_asked_for(site: Site) -> None:
    play_live(site)
    answer = ask(site, "run", *SEASON, "--exclude-live", "--json")
    assert (answer.code, answer.document["dates"]) == (0, 6)


def test_a_live_date_that_is_named_is_run(site: Site) -> None:
    play_live(site)
    data = site.world.data()
    data["games"][str(TOMORROW)] = 1
    for name in "ab":
        data[name][str(TOMORROW)] = [{"d": str(TOMORROW), "k": f"T{t}", "v": t} for t in range(2)]
    site.world.rewrite(data)
    answer = ask(site, "run", "--dates", str(TOMORROW), "--include-live", str(TOMORROW), "--phases", "fetch..raw")
    assert answer.code == 0, answer.err


def test_a_destructive_processor_is_refused_unless_it_is_named(tmp_path: Path) -> None:
    def destroy(document: dict[str, Any]) -> None:
        document["phases"][3]["processors"][1]["destructive"] = True

    with site_of(tmp_path, destroy) as site:
        assert_refused(ask(site, "run", *SEASON), "FAIL destructive final/note")
        assert not site.home.exists()
        assert ask(site, "run", *SEASON, "--allow-destructive", "note").code == 0


def test_a_worker_that_makes_no_table_for_a_date_column_is_refused_before_a_run_is_written(tmp_path: Path) -> None:
    def misname(document: dict[str, Any]) -> None:
        document["phases"][2]["processors"][0]["output"]["date_column"] = "day"

    with site_of(tmp_path, misname) as site:
        assert_refused(ask(site, "run", *SEASON), "FAIL table shape.left_side: has no column day")
        assert site("runs", "--json").document == []


def test_a_misspelt_column_of_an_output_is_refused_with_the_nearest_name_before_a_run_is_written(
    tmp_path: Path,
) -> None:
    def misspell(document: dict[str, Any]) -> None:
        document["phases"][2]["processors"][0]["output"]["bookkeeping"] = ["_fense"]

    with site_of(tmp_path, misspell) as site:
        said = "has no column _fense; correct bookkeeping in the pipeline file, or the table; did you mean '_fence'?"
        assert_refused(ask(site, "run", *SEASON), f"FAIL table shape.left_side: {said}")
        assert site("runs", "--json").document == []
        # The workers have made their tables: now preflight sees it too.
        lines = ask(site, "preflight", *SEASON, "--json").document["lines"]
        (line,) = [each for each in lines if each["check"] == "table"]
        assert (line["level"], line["subject"], line["detail"]) == ("FAIL", "shape.left_side", "has no column _fense")
