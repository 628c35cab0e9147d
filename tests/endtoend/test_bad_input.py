"""Bad input: status 2, a clear message, no traceback, and nothing written."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from tests.conftest import NBA_PIPELINE
from tests.endtoend.test_command_line import Answer, Site

SEASON = ("--season", "2023-24")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose home does not exist yet."""
    made = Site(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with one completed run, which no bad input may change."""
    made = Site(tmp_path_factory.mktemp("used"))
    assert made.run().code == 0
    yield made
    made.close()


def contents(folder: Path) -> dict[str, str]:
    """Every file of a home but the lock, and what it holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "engine.lock"
    }


def assert_refused(answer: Answer, message: str) -> None:
    """Status 2 and a message for people."""
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert "Traceback" not in answer.err


SELECTIONS = {
    "no dates at all": ((), "say which dates: --season S, or --from D --to D, or --dates D,D"),
    "an unknown season": (("--season", "2023-25"), "unknown season '2023-25'; did you mean '2023-24'?"),
    "a range of off days": (
        ("--from", "2023-12-01", "--to", "2023-12-31"),
        "no dates selected (2023-12-01 to 2023-12-31); the schedule runs from 2024-01-01 to 2024-01-06",
    ),
    "everything excluded": (("--dates", "2024-01-01", "--exclude", "2024-01-01"), "no dates selected"),
    "from after to": (("--from", "2024-01-05", "--to", "2024-01-02"), "--from 2024-01-05 is after --to 2024-01-02"),
    "a range without its end": (("--from", "2024-01-05"), "--from and --to belong together; give both"),
    "a date without a game": (
        ("--dates", "2024-01-09"),
        "--dates: 2024-01-09 is not a date of the schedule; the nearest is 2024-01-06",
    ),
    "an excluded date without a game": (
        (*SEASON, "--exclude", "2024-01-09"),
        "--exclude: 2024-01-09 is not a date of the schedule",
    ),
    "a malformed date": (("--dates", "01/02/2024"), "--dates: '01/02/2024' is not a date"),
    "a date that does not exist": (
        ("--from", "2024-02-30", "--to", "2024-03-01"),
        "--from: '2024-02-30' is not a date",
    ),
    "a compact date": (("--dates", "20240101"), "--dates: '20240101' is not a date (not of the form YYYY-MM-DD)"),
    "a week": (("--from", "2024-W01-1", "--to", "2024-01-05"), "--from: '2024-W01-1' is not a date"),
    "a date with a time": (("--dates", "2024-01-01T00:00"), "write YYYY-MM-DD, for example 2024-01-15"),
    "a missing file of dates": (("--dates", "@nowhere.txt"), "--dates: nowhere.txt cannot be read"),
    "two ways of selecting": ((*SEASON, "--dates", "2024-01-01"), "exactly one of these"),
    "an unknown phase": ((*SEASON, "--phases", "fetch..shap"), "--phases: unknown phase 'shap'; did you mean 'shape'?"),
    "a phase number too high": ((*SEASON, "--phases", "1..9"), "--phases: unknown phase '9'"),
    "phases backwards": (
        (*SEASON, "--phases", "shape..fetch"),
        "--phases: phases 'shape..fetch': shape comes after fetch",
    ),
    "an unknown profile": ((*SEASON, "--profile", "quick"), "unknown profile 'quick'"),
    "an unknown way to reprocess": ((*SEASON, "--reprocess", "some"), "--reprocess: 'some' is not one of missing"),
    "failed without an earlier run": (
        (*SEASON, "--reprocess", "failed"),
        "--reprocess failed: no earlier run covers 2024-01-01 and 5 more dates; use --reprocess missing",
    ),
}


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(("selection", "message"), SELECTIONS.values(), ids=SELECTIONS)
def test_a_bad_selection_writes_nothing(site: Site, command: str, selection: tuple[str, ...], message: str) -> None:
    answer = site.call("--home", "home", command, "--pipeline", "pipeline.yaml", "--source", "source", *selection)
    assert_refused(answer, message)
    assert not site.home.exists()


@pytest.mark.parametrize("run_id", ["two words", "a/b", "../r", "-", "x" * 64], ids=repr)
@pytest.mark.parametrize("command", ["run", "start"])
def test_a_run_id_that_is_none_writes_nothing(site: Site, command: str, run_id: str) -> None:
    answer = site.call(*site.selecting(command, *SEASON, f"--run-id={run_id}"))
    assert_refused(answer, "letters, digits, '-', '_' and '.', at most 63 of them")
    assert not site.home.exists()


def broken_yaml(site: Site) -> None:
    """Half a list."""
    site.world.pipeline_file.write_text("phases: [a, b")


def deep_yaml(site: Site) -> None:
    """Brackets without end."""
    site.world.pipeline_file.write_text("[" * 50_000)


def unknown_key(site: Site) -> None:
    """A typo in a key."""
    site.world.pipeline_file.write_text(site.world.pipeline_file.read_text() + "colour: red\n")


def unknown_factory(site: Site) -> None:
    """A worker that nobody wrote."""
    text = site.world.pipeline_file.read_text()
    site.world.pipeline_file.write_text(text.replace("test_command_line:build", "test_command_line:bulid"))


def no_pipeline(site: Site) -> None:
    """No pipeline file."""
    site.world.pipeline_file.unlink()


def no_source(site: Site) -> None:
    """No source folder."""
    site.world.source.rename(site.folder / "elsewhere")


def no_schedule(site: Site) -> None:
    """No schedule in it."""
    (site.world.source / "schedule.parquet").unlink()


def no_parquet(site: Site) -> None:
    """A schedule that is none."""
    (site.world.source / "schedule.parquet").write_text("season,game_date\n")


def without_column(path: Path, column: str) -> None:
    """A parquet file without one of its columns."""
    other = path.with_suffix(".other")
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT * EXCLUDE ({column}) FROM '{path}') TO '{other}' (FORMAT parquet)")
    other.replace(path)


def missing_column(site: Site) -> None:
    """A schedule without a column that the calendar names."""
    without_column(site.world.source / "schedule.parquet", "home_team")


def rewritten(path: Path, select: str) -> None:
    """A parquet file whose rows are selected anew from its own (``t``)."""
    other = path.with_suffix(".other")
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY ({select.replace(' t', f' read_parquet({str(path)!r}) AS t', 1)}) TO '{other}' (FORMAT parquet)"
        )
    other.replace(path)


def text_for_numbers(site: Site) -> None:
    """Text in a column of whole numbers."""
    rewritten(site.world.source / "schedule.parquet", "SELECT * REPLACE ('final' AS game_status) FROM t")


def null_date(site: Site) -> None:
    """A game without a date."""
    rewritten(site.world.source / "schedule.parquet", "FROM t UNION ALL SELECT '2023-24', NULL, 'T0', 'T1', 3")


def dates_as_numbers(site: Site) -> None:
    """Dates as whole numbers."""
    number = "CAST(STRFTIME(game_date, '%Y%m%d') AS INTEGER)"
    rewritten(site.world.source / "schedule.parquet", f"SELECT * REPLACE ({number} AS game_date) FROM t")


def times_of_day(site: Site) -> None:
    """Dates with a time of day."""
    evening = "game_date + INTERVAL 19 HOURS"
    rewritten(site.world.source / "schedule.parquet", f"SELECT * REPLACE ({evening} AS game_date) FROM t")


def half_a_game(site: Site) -> None:
    """A calendar's number that is none."""
    text = site.world.pipeline_file.read_text()
    site.world.pipeline_file.write_text(text.replace("games: COUNT(*)", "games: COUNT(*) / 4"))


def compact_date(site: Site) -> None:
    """A date of the pipeline file in another form."""
    text = site.world.pipeline_file.read_text()
    site.world.pipeline_file.write_text(
        text.replace("bootstrap: true", "bootstrap: true\n    available_from: 20240131")
    )


def bad_settings(site: Site) -> None:
    """A configuration file with a typo."""
    (site.folder / "phasegate.toml").write_text('hoem = "x"\n')


def broken_settings(site: Site) -> None:
    """A configuration file that is no TOML."""
    (site.folder / "phasegate.toml").write_text("home = \n")


SURROUNDINGS: dict[str, tuple[Callable[[Site], None], str]] = {
    "broken YAML": (broken_yaml, "pipeline.yaml:2:1: not valid YAML: "),
    "YAML nested without end": (deep_yaml, "pipeline.yaml:1:51: nested more than 50 levels deep"),
    "an unknown key": (
        unknown_key,
        "pipeline.yaml:180:1: colour: unknown key; remove it, or see `phasegate --home home schema`",
    ),
    "a missing pipeline file": (no_pipeline, "pipeline.yaml: no such pipeline file; give one with --pipeline FILE"),
    "a missing source folder": (
        no_source,
        "source: no such source folder; make one with: phasegate --home home sample",
    ),
    "a source without a schedule": (no_schedule, "schedule.parquet: the source folder has no schedule"),
    "a schedule that is no parquet file": (no_parquet, "schedule.parquet: not a readable parquet file"),
    "a schedule with a missing column": (missing_column, "home_team"),
    "a schedule with text in a column of numbers": (text_for_numbers, "calendar.condition: line 1, column 1: a number"),
    "a schedule with a row without a date": (null_date, "raw.schedule: rows without a game_date or season; mend them"),
    "a schedule with dates as numbers": (
        dates_as_numbers,
        "schedule.parquet: game_date is of type INTEGER, which is no date; write a DATE, a timestamp at midnight",
    ),
    "a schedule with times of day": (
        times_of_day,
        "schedule.parquet: game_date (of type TIMESTAMP) holds '2024-01-01 19:00:00', which is no date",
    ),
    "a calendar's number with a fraction": (
        half_a_game,
        "is no whole number; COALESCE or ROUND it",
    ),
    "a date of the pipeline file in another form": (
        compact_date,
        "available_from: Value error, not of the form YYYY-MM",
    ),
    "an unknown setting": (bad_settings, "phasegate.toml: 'hoem' is not a setting; known: backend, home, pipeline"),
    "settings that are no TOML": (broken_settings, "phasegate.toml: not valid TOML"),
}


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(("spoil", "message"), SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_bad_surroundings_write_nothing(site: Site, command: str, spoil: Callable[[Site], None], message: str) -> None:
    spoil(site)
    assert_refused(site.call(*site.selecting(command)), message)
    assert not site.home.exists()


@pytest.mark.parametrize("kind", ["TIMESTAMP", "VARCHAR"])
def test_dates_as_pandas_and_csv_tools_write_them_are_dates(site: Site, kind: str) -> None:
    before = site.call(*site.selecting("plan"))
    rewritten(site.world.source / "schedule.parquet", f"SELECT * REPLACE (game_date::{kind} AS game_date) FROM t")
    planned, ran = site.call(*site.selecting("plan")), site.call(*site.selecting("run"))
    assert (planned.code, planned.out) == (0, before.out)
    assert ran.code == 0, ran.err


def test_a_worker_that_cannot_be_made_writes_nothing(site: Site) -> None:
    unknown_factory(site)
    assert_refused(
        site.call(*site.selecting("run")), "worker 'world': cannot load tests.endtoend.test_command_line:bulid"
    )
    assert not site.home.exists()


def test_a_source_that_nobody_names_is_asked_for(site: Site) -> None:
    answer = site.call("--home", "home", "run", "--pipeline", "pipeline.yaml", *SEASON)
    assert_refused(answer, "give the source folder with --source DIR; `phasegate --home home sample DIR` makes one up")


def test_a_table_of_the_source_with_a_missing_column_writes_nothing(site: Site) -> None:
    pipeline = ("--pipeline", str(NBA_PIPELINE))
    site.call("sample", "league", *pipeline)
    without_column(site.folder / "league" / "team_boxscores.parquet", "team")
    answer = site.call("--home", "home", "run", *pipeline, "--source", "league", "--dates", "2023-10-24")
    assert_refused(answer, "team_boxscores.parquet")
    assert not site.home.exists()


@pytest.mark.parametrize(
    "arguments", [("--backend", "azure", "runs"), ("fly",), ("run", "--fast"), ("status",)], ids=str
)
def test_a_word_that_the_command_line_does_not_know_is_refused(site: Site, arguments: tuple[str, ...]) -> None:
    assert_refused(site.call(*arguments), "")


# Runs

COMMANDS = ["status", "watch", "explain", "retry", "pause", "resume", "drain", "cancel"]
"""Those that take a run and nothing else; ``approve`` and ``waive`` are in ``test_decision_commands.py``."""


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_run_changes_nothing(used: Site, command: str) -> None:
    before = contents(used.home)
    assert_refused(used(command, "q"), "unknown run 'q'; known: r")
    assert contents(used.home) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_a_home_without_runs_is_not_made_by_asking_for_one(site: Site, command: str) -> None:
    assert_refused(
        site(command, "r"), "home: no runs here yet; start one with `phasegate --home home run`, or give --home DIR"
    )
    assert not site.home.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("explain", "r", "2024-01-09"), "2024-01-09 is not a date of run 'r' (2024-01-01 to 2024-01-06)"),
        (("explain", "r", "9 January"), "DATE: '9 January' is not a date"),
        (("explain", "r", "2024-01-01", "shap"), "unknown phase 'shap' of run 'r'; did you mean 'shape'?"),
        (("retry", "r", "--date", "2024-01-09"), "--date: 2024-01-09 is not a date of run 'r'"),
        (("retry", "r", "--date", "today"), "--date: 'today' is not a date"),
        (("retry", "r", "--phase", "shap"), "--phase: unknown phase 'shap'; did you mean 'shape'?"),
        (("retry", "r", "--processor", "lefft"), "--processor: unknown processor 'lefft'; did you mean 'left'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_unknown_name_of_a_known_run_changes_nothing(used: Site, arguments: tuple[str, ...], message: str) -> None:
    before = contents(used.home)
    assert_refused(used(*arguments), message)
    assert contents(used.home) == before


def test_a_bad_selection_leaves_a_used_home_as_it_was(used: Site) -> None:
    before = contents(used.home)
    assert_refused(used.call(*used.selecting("run", "--dates", "2024-01-09")), "is not a date of the schedule")
    assert contents(used.home) == before


# State files


def foreign(path: Path) -> None:
    """A database of another program."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()


@pytest.mark.parametrize("command", ["run", "plan", "status", "runs"])
def test_a_database_of_another_program_is_refused_and_left_alone(site: Site, command: str) -> None:
    """A file that is no database at all is damage: ``test_damaged_homes.py``."""
    site.home.mkdir()
    foreign(site.home / "state.sqlite")
    before = contents(site.home)
    answer = (
        site.call(*site.selecting(command))
        if command in ("run", "plan")
        else site(command, *["r"][command == "runs" :])
    )
    assert_refused(answer, "is a database of another program; give another --home, or move it away")
    assert contents(site.home) == before


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_warehouse_that_is_none_is_refused_and_left_alone(site: Site, command: str) -> None:
    site.home.mkdir()
    (site.home / "warehouse.duckdb").write_bytes(b"These are my notes.\n" * 1000)
    before = (site.home / "warehouse.duckdb").read_bytes()
    answer = site.call(*site.selecting(command))
    assert answer.code == 3
    assert "warehouse.duckdb" in answer.err and "Traceback" not in answer.err
    assert (site.home / "warehouse.duckdb").read_bytes() == before


def test_a_home_that_is_a_file_is_refused(site: Site) -> None:
    site.home.write_text("my notes")
    assert_refused(site.call(*site.selecting("run")), "home: cannot be used as a home folder")
    assert site.home.read_text() == "my notes"


# verify

SOURCED = ("--pipeline", "pipeline.yaml", "--source", "source")
VERIFICATIONS = {
    "nothing": ((), "say what to verify: a run's id, or dates"),
    "an unknown run": (("nobody",), "unknown run 'nobody'"),
    "a run and dates": (("r", *SEASON), "leave out either the run or the rest"),
    "an unknown season": ((*SOURCED, "--season", "2023-25"), "did you mean '2023-24'?"),
    "an unknown phase": ((*SOURCED, *SEASON, "--phases", "rawr"), "--phases: unknown phase 'rawr'"),
    "a file for its output": (("r", "--output", "pipeline.yaml"), "--output: pipeline.yaml is a file; name a folder"),
    "no source": (("--pipeline", "pipeline.yaml", *SEASON), "give the source folder with --source DIR"),
}


@pytest.mark.parametrize("name", VERIFICATIONS)
def test_a_bad_verification_is_refused_and_changes_nothing(used: Site, name: str) -> None:
    words, message = VERIFICATIONS[name]
    before = contents(used.home)
    assert_refused(used("verify", *words), message)
    assert contents(used.home) == before


def test_a_home_without_a_warehouse_is_not_made_by_a_verification(site: Site) -> None:
    assert_refused(site("verify", *SOURCED, *SEASON), "no warehouse here yet")
    assert not site.home.exists()


@pytest.mark.parametrize("flag", ["--why", "--by"])
def test_a_word_that_is_no_text_is_refused_before_it_is_kept(used: Site, flag: str) -> None:
    before = contents(used.home)
    answer = used("waive", "r", "--date", "2024-01-02", "--check", "rows", "--until", "2030-01-01", flag, "b\udcffb")
    assert_refused(answer, r"'b\udcffb' is no UTF-8 text")
    assert contents(used.home) == before
