"""Every statement of the pipeline file is bound before the first task: an unknown name is refused with its place."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded import dialect
from phasegate.adapters.embedded.dialect import known
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import HaltError, InputError
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.state.run import RunStatus
from phasegate.embedded_start import HomePreview, HomeStart
from phasegate.services.starting.start import plan_only, preflight_only, start
from tests.endtoend.test_bad_input import assert_refused
from tests.endtoend.test_command_line import Answer, Site
from tests.world import HISTORY, TABLES, World

LEFT = "SELECT d, COUNT(*) > 0 AS ok, 'rows' AS detail FROM shape.left_side WHERE d IN UNNEST(@days) GROUP BY d"
SCHEMA = "".join(
    f"CREATE TABLE IF NOT EXISTS `{table}` (d DATE, k STRING, v INT64, _fence INT64);" for table in TABLES.values()
)

Document = dict[str, Any]


def check_of_left(check: Document) -> Callable[[Document], object]:
    """Give the processor ``shape/left`` one more check."""

    def changed(document: Document) -> None:
        left = document["phases"][2]["processors"][0]
        left["checks"] = [*left["checks"], check]

    return changed


def sql(query: str) -> Callable[[Document], object]:
    """The same with a check ``sql``."""
    return check_of_left({"check": "sql", "name": "own", "query": query})


def of_calendar(**keys: Any) -> Callable[[Document], object]:
    """Change keys of the calendar."""
    return lambda document: document["calendar"].update(keys)


def of_report(**entries: list[Document]) -> Callable[[Document], object]:
    """Let the report look at more."""
    return lambda document: document.update(report=entries)


def with_scripts(folder: Path, change: Callable[[Document], object]) -> Callable[[Document], object]:
    """Change a document, and have a script make its tables."""
    (folder / "schema").mkdir(exist_ok=True)
    (folder / "schema" / "world.sql").write_text(SCHEMA + HISTORY)

    def changed(document: Document) -> None:
        change(document)
        document["schema_files"] = ["schema/world.sql"]

    return changed


def world_of(folder: Path, change: Callable[[Document], object]) -> World:
    """A world whose home does not exist yet, its tables made by a script that the file names."""
    return World(folder, dates=2, change=with_scripts(folder, change))


@contextmanager
def site_of(folder: Path, change: Callable[[Document], object], *, with_schema: bool = True) -> Iterator[Site]:
    """A site whose home does not exist yet, its tables made by a script that the file names."""

    made = Site(folder, with_scripts(folder, change) if with_schema else change)
    yield made
    made.close()


def ask(site: Site, command: str) -> Answer:
    """Type a command with the world's pipeline and source."""
    return site.call(*site.selecting(command))


WRONG: dict[str, tuple[Callable[[Document], object], str]] = {
    "nulls of a misspelt column": (
        check_of_left({"check": "nulls", "column": "vv"}),
        "check 'nulls' of shape/left: shape.left_side has no column vv; known: d, k, v",
    ),
    "a range of a column that is none": (
        check_of_left({"check": "range", "column": "points", "min": 0}),
        "check 'range' of shape/left: shape.left_side has no column points; known: d, k, v",
    ),
    "duplicates of a misspelt key": (
        check_of_left({"check": "duplicates", "keys": ["kk"]}),
        "check 'duplicates' of shape/left: shape.left_side has no column kk",
    ),
    "coverage by a key that the other table lacks": (
        check_of_left({"check": "coverage", "processor": "raw/a", "keys": ["player"]}),
        "check 'coverage' of shape/left: shape.left_side has no column player",
    ),
    "a range of texts": (
        check_of_left({"check": "range", "column": "k", "min": 0}),
        "check 'range' of shape/left: ",
    ),
    "an unknown column": (
        sql(LEFT.replace("COUNT(*)", "SUM(vv)")),
        "check 'own' of shape/left: line 1, column 15: there is no column vv; known: v",
    ),
    "an unknown table": (
        sql(LEFT.replace("left_side", "left_sides")),
        "check 'own' of shape/left: line 1, column 53: there is no table shape.left_sides",
    ),
    "an unknown function": (
        sql(LEFT.replace("COUNT(*)", "COUNTT(*)")),
        "check 'own' of shape/left: line 1, column 11: COUNTT is not translated for DuckDB; write COUNT",
    ),
    "a query that reads a file": (
        sql(LEFT.replace("shape.left_side", "read_text('notes.txt')")),
        "check 'own' of shape/left: line 1, column 53: READ_TEXT reads what is no table of the warehouse",
    ),
    "a query of a parquet file": (
        sql(LEFT.replace("shape.left_side", "read_parquet('notes.parquet')")),
        "line 1, column 53: READ_PARQUET reads what is no table of the warehouse",
    ),
    "a file in the place of a table": (
        sql(LEFT.replace("shape.left_side", "'notes.csv'")),
        "line 1, column 53: SQL that BigQuery's grammar does not allow: 'notes.csv' is no table of a dataset; write ",
    ),
    "a path in the place of a table": (
        sql(LEFT.replace("shape.left_side", "`./notes.csv`")),
        "line 1, column 53: './notes.csv' is no table of a dataset; write dataset.table",
    ),
    "a table of no dataset": (
        sql(LEFT.replace("shape.left_side", "left_side")),
        "line 1, column 53: 'left_side' is no table of a dataset; write dataset.table",
    ),
    "a list where a date belongs": (
        sql(LEFT.replace("d IN UNNEST(@days)", "d = @days")),
        "an ARRAY does not compare with a value: write IN UNNEST(…)",
    ),
    "a date where a list belongs": (
        sql(LEFT.replace("UNNEST(@days)", "UNNEST(@first)")),
        "check 'own' of shape/left: ",
    ),
    "a zone that does not exist": (
        sql(LEFT.replace("GROUP BY", "AND d < DATE(TIMESTAMP '2024-01-01 00:00:00+00', 'Europe/Nowhere') GROUP BY")),
        "there is no time zone 'Europe/Nowhere': write a name such as America/New_York",
    ),
    "two statements": (
        sql(f"{LEFT}; {LEFT}"),
        "checks[1].query: line 1, column 106: expected one SQL statement, found 2",
    ),
    "a statement that attaches": (
        sql("ATTACH 'other.duckdb' AS other"),
        "checks[1].query: line 1, column",
    ),
    "a statement that copies": (
        sql("COPY shape.left_side TO 'copy.csv'"),
        "checks[1].query: a check reads: write one SELECT",
    ),
    "a statement that loads": (
        sql("LOAD httpfs"),
        "checks[1].query: a check reads: write one SELECT",
    ),
    "a condition with a comment at its end": (
        of_calendar(condition="game_status = 3 -- final"),
        "calendar.condition: a comment hides the end",
    ),
    "a condition whose comment never ends": (
        of_calendar(condition="game_status = 3 /* final"),
        "calendar.condition: ",
    ),
    "a condition that goes on": (
        of_calendar(condition="TRUE GROUP BY 1"),
        "calendar.condition: write one expression",
    ),
    "a condition that leaves its brackets": (
        of_calendar(condition="TRUE) OR (TRUE"),
        "calendar.condition: line 1, column",
    ),
    "two statements in a number": (
        of_calendar(numbers={"games": "COUNT(*); SELECT 1"}),
        "calendar.numbers.games: line 1, column 11: expected one SQL statement, found 2",
    ),
    "a number with a parameter": (
        of_calendar(numbers={"games": "COUNTIF(game_date = @days)"}),
        "calendar.numbers.games: unknown parameter @days; the calendar has none",
    ),
    "an unknown column of the condition": (
        of_calendar(condition="game_state = 3"),
        "calendar.condition: line 1, column 1: there is no column game_state; did you mean 'game_status'?",
    ),
    "an unknown function of a number": (
        of_calendar(numbers={"games": "COUNTT(*)"}),
        "calendar.numbers.games: line 1, column 1: COUNTT is not translated for DuckDB",
    ),
    "an unknown column of an entity list": (
        of_calendar(entities={"teams": ["home_team", "guest"]}),
        "calendar.entities.teams[1]: there is no column guest",
    ),
    "an unknown field of the report": (
        of_report(critical=[{"processor": "shape/left", "columns": ["k", "vv"]}]),
        "report.critical[0]: shape.left_side has no column vv; known: d, k, v",
    ),
    "a mean of texts": (
        of_report(averages=[{"processor": "shape/left", "columns": ["v", "k"]}]),
        "report.averages[0]: ",
    ),
    "a score that is none": (
        of_report(quality=[{"processor": "shape/left", "column": "k"}]),
        "report.quality[0]: ",
    ),
    "a compared key that the tables lack": (
        of_report(compared=[{"key": "player", "processor": "shape/left", "against": "raw/a"}]),
        "report.compared[0]: shape.left_side has no column player",
    ),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_what_is_not_there_is_refused_before_anything_is_written(
    tmp_path: Path, change: Callable[[Document], object], message: str
) -> None:
    world = world_of(tmp_path, change)
    asked = RunRequest(Selection(seasons=("2023-24",)), str(world.pipeline_file), str(world.source))
    with HomePreview(world.home, world.source) as environment:
        for look in (plan_only, preflight_only):
            with pytest.raises(InputError, match=re.escape(message)):
                look(asked, environment)
    with (
        HomeStart(world.home, world.source, world.options) as environment,
        pytest.raises(InputError, match=re.escape(message)),
    ):
        start(asked, environment)
    assert not world.home.root.exists()


@pytest.mark.parametrize("command", ["plan", "preflight", "run", "start"])
def test_every_command_that_plans_refuses_with_status_2(tmp_path: Path, command: str) -> None:
    change, message = WRONG["nulls of a misspelt column"]
    with site_of(tmp_path, change) as site:
        assert_refused(ask(site, command), message)
        assert not site.world.home.root.exists()


def test_check_refuses_with_status_2_and_needs_no_source(tmp_path: Path) -> None:
    change, message = WRONG["nulls of a misspelt column"]
    with site_of(tmp_path, change) as site:
        assert_refused(site.call("check", "--pipeline", str(site.world.pipeline_file)), message)
        assert not site.world.home.root.exists()


def test_check_of_a_sound_file_says_what_it_looked_at(tmp_path: Path) -> None:
    with site_of(tmp_path, sql(LEFT)) as site:
        done = site.call("check", "--pipeline", str(site.world.pipeline_file))
        assert (done.code, done.err) == (0, "")
        assert done.out == "pipeline.yaml: 4 phases, 9 processors, 9 checks; nothing is wrong\n"
        document = site.call("check", "--pipeline", str(site.world.pipeline_file), "--json").document
        assert document == {
            "pipeline": "world",
            "counts": {"phases": 4, "processors": 9, "checks": 9},
            "lines": [],
        }
        assert not site.world.home.root.exists()


def test_check_refuses_a_word_of_the_calendar_without_its_schedule(tmp_path: Path) -> None:
    def change(document: Document) -> None:
        document["calendar"]["condition"] = "FARM_FINGERPRINT(game_id) > 0"

    with site_of(tmp_path, change) as site:
        answer = site.call("check", "--pipeline", str(site.world.pipeline_file))
        assert_refused(answer, "FARM_FINGERPRINT is not translated for DuckDB; write TO_HEX(MD5(…))")
        assert "pipeline.yaml:" in answer.err


def test_check_says_what_it_could_not_bind(tmp_path: Path) -> None:
    with site_of(tmp_path, sql(LEFT), with_schema=False) as site:
        done = site.call("check", "--pipeline", str(site.world.pipeline_file))
        assert done.code == 0
        assert (
            "WARN statements 3 of checks and SELECTs: not bound yet, as there is no raw.a, raw.b, shape.left_side"
            in done.out
        )


def test_the_place_is_that_of_the_word_in_the_file(tmp_path: Path) -> None:
    query = f"{LEFT.replace(' FROM', chr(10) + 'FROM')} HAVING SUM(vv) > 0"
    with site_of(tmp_path, sql("THE QUERY")) as site:
        lines = site.world.pipeline_file.read_text().splitlines()
        at = next(n for n, line in enumerate(lines) if "THE QUERY" in line)
        indent = " " * (lines[at].index("query") + 2)
        block = [lines[at].replace("THE QUERY", "|"), *(indent + line for line in query.splitlines())]
        lines[at : at + 1] = block
        site.world.pipeline_file.write_text("\n".join(lines))
        column = lines[at + 2].index("vv") + 1
        answer = ask(site, "plan")
        assert_refused(answer, f"pipeline.yaml:{at + 3}:{column}: check 'own' of shape/left: line 2, column ")


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    def both(document: Document) -> None:
        check_of_left({"check": "nulls", "column": "vv"})(document)
        sql(LEFT.replace("COUNT(*)", "SUM(ww)"))(document)

    with site_of(tmp_path, both) as site:
        answer = ask(site, "plan")
        assert_refused(answer, "has no column vv")
        assert "there is no column ww" in answer.err


def test_a_sound_file_with_scripts_is_bound_and_nothing_is_said(tmp_path: Path) -> None:
    with site_of(tmp_path, sql(LEFT)) as site:
        assert site.call(*site.selecting("plan"), "--json").document["warnings"] == []
        lines = site.call(*site.selecting("preflight"), "--json").document["lines"]
        assert "statements" not in {line["check"] for line in lines}
        assert not site.world.home.root.exists()


def test_without_scripts_a_plan_says_what_is_not_bound_and_a_start_refuses_before_a_run_is_written(
    tmp_path: Path,
) -> None:
    with site_of(tmp_path, check_of_left({"check": "nulls", "column": "vv"}), with_schema=False) as site:
        (warning,) = site.call(*site.selecting("plan"), "--json").document["warnings"]
        assert "not bound yet, as there is no" in warning
        assert_refused(ask(site, "run"), "shape.left_side has no column vv; known: d, k, v")
        assert site("runs", "--json").document == []


def test_a_script_that_is_not_there_is_named(tmp_path: Path) -> None:
    with site_of(tmp_path, lambda document: None) as site:
        (site.folder / "schema" / "world.sql").unlink()
        assert_refused(ask(site, "plan"), "schema/world.sql")


def test_a_run_whose_stored_check_this_version_refuses_halts_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, dates=2, change=sql(LEFT.replace("COUNT(*) > 0", "COUNT(*) >= CHAR_LENGTH('')")))
    with world.open() as embedded:
        run = world.begin(embedded)
        monkeypatch.setattr(known, "KNOWN", known.KNOWN - {"CHAR_LENGTH", "LENGTH"})
        monkeypatch.setattr(dialect, "_TRANSLATIONS", {})  # another version is another process
        with pytest.raises(HaltError, match=r"LENGTH is not translated for DuckDB.*Correct the check in the pipeline"):
            embedded.drive(run.run_id)
        assert embedded.state.plan(run.run_id).pipeline == world.pipeline


OWN = (
    "SELECT d, count(*) FILTER (v < 0) = 0 AS ok, 'v' AS detail FROM shape.left_side "
    "WHERE d IN (SELECT unnest($days)) GROUP BY ALL"
)


def own(query: str) -> Callable[[Document], object]:
    """Give ``shape/left`` a check in DuckDB's own SQL."""
    return check_of_left({"check": "sql", "name": "own", "dialect": "duckdb", "query": query})


def test_duckdbs_own_sql_is_taken_as_it_is_and_the_plan_says_so(tmp_path: Path) -> None:
    world = world_of(tmp_path, own(OWN))
    asked = RunRequest(Selection(seasons=("2023-24",)), str(world.pipeline_file), str(world.source))
    with HomePreview(world.home, world.source) as environment:
        (line,) = (str(line) for line in plan_only(asked, environment).known)
    assert line.startswith("WARN dialect: duckdb check 'own' of shape/left: is taken as it is")
    assert world.run().status is RunStatus.COMPLETED


def test_a_calendar_in_duckdbs_own_sql_gives_the_same_dates(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    numbers = {"games": "count(*) FILTER (game_date IS NOT NULL)"}
    ours = World(tmp_path / "a", dates=2)
    duckdbs = World(
        tmp_path / "b", dates=2, change=of_calendar(dialect="duckdb", condition="game_status == 3", numbers=numbers)
    )
    assert duckdbs.calendar() == ours.calendar()
    assert duckdbs.run().status is RunStatus.COMPLETED


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (own(OWN.replace("v < 0", "vv < 0")), 'DuckDB cannot bind it: Referenced column "vv" not found'),
        (own(OWN.replace("shape.left_side", "read_text('notes.txt')")), "check 'own' of shape/left: "),
        (
            own(OWN.replace("$days", "$dates")),
            "unknown parameter $dates; known: $days (a list of dates)",
        ),
        (own(f"{OWN}; {OWN}"), "expected one SQL statement, found 2"),
        (own("SELECT d, TRUE AS ok FROM shape.left_side"), "the SELECT must name the column 'detail'"),
        (own("COPY shape.left_side TO 'copy.csv'"), "a check reads: write one SELECT"),
    ],
)
def test_duckdbs_own_sql_is_bound_too(tmp_path: Path, change: Callable[[Document], object], message: str) -> None:
    test_what_is_not_there_is_refused_before_anything_is_written(tmp_path, change, message)


def test_a_plan_without_dialects_is_stored_as_before(tmp_path: Path) -> None:
    stored = World(tmp_path, dates=1, change=sql(LEFT)).pipeline.model_dump_json(by_alias=True)
    assert ("dialect" in stored, "schema_files" in stored) == (False, False)
