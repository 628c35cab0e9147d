"""``rollback`` as it is typed: shown first, deleted with ``--yes``, and made again by the next run."""

import json
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from nba_worker.sample import write_sample
from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.leases import SqliteLeases
from tests.conftest import NBA_PIPELINE
from tests.endtoend.test_bad_input import SEASON, assert_refused, contents
from tests.endtoend.test_command_line import Answer, Site

LEFT = "shape.left_side"
INPUTS = "--pipeline pipeline.yaml --source source"


def change(document: dict[str, Any]) -> None:
    """Another system writes ``left`` too."""
    document["phases"][2]["processors"][0]["output"]["other_writer"] = "the nightly job"


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with one completed run; for tests that change nothing."""
    made = Site(tmp_path_factory.mktemp("used"), change)
    assert made.run().code == 0
    yield made
    made.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The same, for one test alone."""
    made = Site(tmp_path, change)
    assert made.run().code == 0
    yield made
    made.close()


def roll_back(site: Site, *words: str) -> Answer:
    """Type the command for the world's pipeline and source."""
    return site.call(*site.selecting("rollback", *words))


def tables(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every table of a home but the history, without the fences."""
    connection = duckdb.connect(str(home / "warehouse.duckdb"), read_only=True)
    try:
        names = connection.execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables ORDER BY 1"
        ).fetchall()
        found: dict[str, list[tuple[Any, ...]]] = {}
        for (name,) in names:
            columns = [row[0] for row in connection.execute(f"DESCRIBE {name}").fetchall()]
            if "_fence" in columns:
                found[name] = connection.execute(f"SELECT * EXCLUDE (_fence) FROM {name} ORDER BY ALL").fetchall()
        return found
    finally:
        connection.close()


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "no phase": (SEASON, "say which phase to roll back: --phase P (known: fetch, raw, shape, final)"),
    "an unknown phase": ((*SEASON, "--phase", "shap"), "--phase: unknown phase 'shap'; did you mean 'shape'?"),
    "a phase number too high": ((*SEASON, "--phase", "9"), "--phase: unknown phase '9'"),
    "phases backwards": ((*SEASON, "--phase", "4..1"), "--phase: phases '4..1': 4 comes after 1"),
    "an unknown processor": (
        (*SEASON, "--phase", "shape", "--processor", "lft"),
        "--processor: unknown processor 'lft' of phase shape; did you mean 'left'?",
    ),
    "a processor of another phase": (
        (*SEASON, "--phase", "shape", "--processor", "total"),
        "--processor: unknown processor 'total' of phase shape",
    ),
    "no dates": (("--phase", "shape"), "say which dates: --season S, or --from D --to D, or --dates D,D"),
    "an unknown season": (("--season", "2023-25", "--phase", "shape"), "unknown season '2023-25'; did you mean"),
    "a date without a game": (
        ("--dates", "2024-01-09", "--phase", "shape"),
        "2024-01-09 is not a date of the schedule",
    ),
    "a malformed date": (("--dates", "1/2/24", "--phase", "shape"), "--dates: '1/2/24' is not a date"),
    "an empty selection": (
        ("--dates", "2024-01-01", "--exclude", "2024-01-01", "--phase", "shape"),
        "no dates selected",
    ),
    "a live date that is not selected": (
        (*SEASON, "--phase", "shape", "--include-live", "2024-02-01"),
        "--include-live: 2024-02-01 is not a date of the selection",
    ),
    "a name that is none": ((*SEASON, "--phase", "shape", "--by", " "), "--by: say who decides this"),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_and_nothing_is_written(used: Site, words: tuple[str, ...], message: str) -> None:
    before = contents(used.home)
    assert_refused(roll_back(used, *words, "--yes"), message)
    assert contents(used.home) == before


def test_a_home_without_anything_is_refused_and_stays_so(tmp_path: Path) -> None:
    made = Site(tmp_path)
    assert_refused(roll_back(made, *SEASON, "--phase", "shape", "--yes"), "no warehouse here yet")
    assert not made.home.exists()


def test_without_yes_it_is_shown_with_what_follows_and_nothing_is_deleted(used: Site) -> None:
    before = tables(used.home)
    answer = roll_back(used, *SEASON, "--phase", "shape")
    assert (answer.code, answer.err) == (0, "")
    assert "rollback of shape, 6 dates from 2024-01-01 to 2024-01-06: this would be deleted" in answer.out
    lines = [" ".join(line.split()) for line in answer.out.splitlines()]
    assert f"shape/left {LEFT} 24 6 2024-01-01 2024-01-06" in lines
    assert "final/total final.total 4 4 2024-01-03 2024-01-06" in lines
    delete = f"phasegate --home home rollback {INPUTS} --phase shape --season 2023-24 --yes"
    assert f"nothing was deleted yet; to delete: {delete}" in lines
    assert (
        f"to delete what was built from it: phasegate --home home rollback {INPUTS} --phase final --season 2023-24"
        in lines
    )
    assert f"to make all of it anew: phasegate --home home run {INPUTS} --season 2023-24" in lines
    assert tables(used.home) == before
    assert not (used.home / "objects" / "rollbacks").exists()


def test_json_is_one_document_with_the_same_numbers(used: Site) -> None:
    answer = roll_back(used, "--dates", "2024-01-02", "--phase", "shape", "--processor", "left", "--json")
    document = answer.document
    assert (answer.code, document["is_done"], document["rows"], document["objects"], document["record"]) == (
        0, False, 4, 0, None,
    )  # fmt: skip
    assert document["outputs"] == [
        {"processor": "shape/left", "kind": "table", "name": LEFT, "rows": 4, "dates": 1, "first": "2024-01-02",
         "last": "2024-01-02"}
    ]  # fmt: skip
    assert [(each["processor"], each["first"], each["last"]) for each in document["stale"]] == [
        ("shape/right", "2024-01-02", "2024-01-02"),
        ("shape/ahead", "2024-01-03", "2024-01-05"),
        ("final/total", "2024-01-03", "2024-01-05"),
    ]
    later = "--dates 2024-01-02,2024-01-03,2024-01-04,2024-01-05"
    assert document["commands"] == {
        "delete": f"phasegate --home home rollback {INPUTS} --phase shape --processor left --dates 2024-01-02 --yes",
        "delete_stale": f"phasegate --home home rollback {INPUTS} --phase shape..final --processor final/total "
        f"--processor shape/ahead --processor shape/right {later}",
        "make_anew": f"phasegate --home home run {INPUTS} {later}",
    }


def test_objects_that_nobody_needs_are_made_anew_by_the_command_that_is_printed_and_by_no_other(site: Site) -> None:
    """A run ended with 1 once, and said that they had been there when it was planned."""
    document = roll_back(site, *SEASON, "--phase", "fetch", "--yes", "--json").document
    assert (document["objects"], document["rows"]) == (12, 0)
    assert document["commands"]["make_anew"] == (
        f"phasegate --home home run {INPUTS} --season 2023-24 --phases fetch..final --reprocess all"
    )
    missing = site("run", *INPUTS.split(), *SEASON, "--json")
    assert (missing.code, missing.document["report"]["agrees"]) == (0, True)
    assert missing.document["tasks"]["not_needed"] == 12
    assert not list((site.home / "objects").rglob("*.jsonl"))
    again = site(*document["commands"]["make_anew"].split()[1:], "--json")
    assert (again.code, again.document["status"], again.document["report"]["agrees"]) == (0, "completed", True)
    assert len(list((site.home / "objects").rglob("*.jsonl"))) == 12


def test_the_help_advises_what_the_command_itself_prints(site: Site) -> None:
    shown = " ".join(site.call("rollback", "--help").out.split())
    assert (
        "the command that is printed makes all of it anew, with --reprocess all where a run of what is missing" in shown
    )
    assert "--reprocess missing" not in shown


def test_the_commands_that_it_names_are_taken(site: Site) -> None:
    before = tables(site.home)
    typed = roll_back(site, "--dates", "2024-01-02", "--phase", "shape", "--processor", "left", "--json").document
    for key in ("delete_stale", "delete", "make_anew"):
        answer = site(*typed["commands"][key].split()[1:], "--json")
        assert answer.code == 0, answer
    assert tables(site.home) == before
    assert site.call(*site.selecting("verify", *SEASON)).code == 0


def test_a_rollback_is_made_good_by_the_next_run_and_told_by_the_old_runs_verification(site: Site) -> None:
    before = tables(site.home)
    assert site("verify", "r").code == 0
    done = roll_back(
        site, *SEASON, "--phase", "shape..final", "--yes", "--why", "wrong", "--by", "ann", "--json"
    ).document
    assert (done["is_done"], done["rows"]) == (True, 58)
    assert {each["processor"]: each["deleted"] for each in done["outputs"]} == {
        "shape/left": 24, "shape/right": 24, "shape/ahead": 6, "final/total": 4,
    }  # fmt: skip
    record = json.loads((site.home / "objects" / done["record"] / "intended.json").read_text())
    assert (record["by"], record["why"]) == ("ann", "wrong")
    assert {name: len(rows) for name, rows in tables(site.home).items() if name[0] in "sf"} == dict.fromkeys(
        ("final.total", LEFT, "shape.right_side", "shape.ahead"), 0
    )
    verified = site("verify", "r")
    assert verified.code == 1 and "passed but empty" in verified.out
    again = roll_back(site, *SEASON, "--phase", "shape..final", "--yes", "--json")
    assert (again.code, again.document["outputs"], again.document["is_done"]) == (0, [], False)
    assert "nothing to delete" in roll_back(site, *SEASON, "--phase", "shape..final").out
    planned = site.call(*site.selecting("plan", *SEASON, "--json")).document["phases"]
    assert [planned[phase]["tasks_to_run"] for phase in ("fetch", "raw", "shape")] == [0, 0, 18]
    assert site.call(*site.selecting("run", *SEASON, "--run-id", "again")).code == 0
    assert tables(site.home) == before
    assert site("verify", "again").code == 0


def test_a_run_that_is_not_over_is_named_and_no_hindrance_once_cancelled(site: Site) -> None:
    site.spoil()
    site.hold.touch()
    going = site.begin(*site.selecting("run", *SEASON, "--run-id", "going", "--reprocess", "all"))
    site.until(lambda s: (site.home / "engine.lock").read_text().endswith("run going"))
    assert_refused(roll_back(site, *SEASON, "--phase", "raw"), "is in use by process")
    going.kill()
    going.wait()
    site.release()
    for more in ((), ("--yes",)):
        assert_refused(
            roll_back(site, *SEASON, "--phase", "raw", *more),
            "run 'going' is not over (running) and holds raw on 6 of these dates, 2024-01-01 to 2024-01-06; let it "
            "come to its end, or: phasegate --home home cancel going",
        )
    assert site("cancel", "going").code == 0
    assert roll_back(site, *SEASON, "--phase", "raw").code == 0


def test_a_date_that_another_system_writes_now_is_left_alone(site: Site) -> None:
    now = datetime.now(UTC)
    database = Database(site.home / "state.sqlite")
    SqliteLeases(database).take(LEFT, site.world.days[2], "nightly", now + timedelta(hours=1), now)
    database.close()
    before = contents(site.home / "objects"), tables(site.home)
    assert_refused(
        roll_back(site, *SEASON, "--phase", "shape", "--yes"),
        f"{LEFT} of 2024-01-03 is being written by nightly until",
    )
    assert (contents(site.home / "objects"), tables(site.home)) == before
    assert roll_back(site, *SEASON, "--exclude", "2024-01-03", "--phase", "shape", "--yes").code == 0


def test_live_dates_are_refused_unless_they_are_named_or_left_out(tmp_path: Path) -> None:
    made = Site(tmp_path, lambda document: document.update(live_window=30))
    today = datetime.now(UTC).date()
    data = made.world.data()
    data["games"][str(today)] = 2
    made.world.rewrite(data)
    schedule = duckdb.connect()
    path = made.world.source / "schedule.parquet"
    schedule.execute(f"CREATE TABLE s AS SELECT * FROM '{path}'")
    schedule.execute("INSERT INTO s VALUES ('2023-24', ?, 'T0', 'T1', 3)", [today])
    schedule.execute(f"COPY s TO '{path}' (FORMAT parquet)")
    schedule.close()
    assert made.run("--exclude-live").code == 0
    assert_refused(roll_back(made, *SEASON, "--phase", "final"), f"{today}: the live pipeline writes these dates")
    assert roll_back(made, *SEASON, "--phase", "final", "--exclude-live", "--json").document["dates"] == 6
    named = roll_back(made, *SEASON, "--phase", "final", "--include-live", str(today), "--json").document
    assert named["dates"] == 7
    assert named["commands"]["delete"].endswith(f"--season 2023-24 --yes --include-live {today}")


def test_a_phase_of_a_sample_season_comes_back_as_it_was(tmp_path: Path) -> None:
    source, home = tmp_path / "games", tmp_path / "home"
    write_sample(source, seasons=["2023-24"])
    made = Site(tmp_path / "site")
    chosen = ["--pipeline", str(NBA_PIPELINE), "--source", str(source), "--from", "2023-10-24", "--to", "2023-11-01"]

    def typed(command: str, *words: str) -> Answer:
        return made.call("--home", str(home), command, *chosen, *words)

    assert typed("run", "--run-id", "first").code == 0
    before = tables(home)
    done = typed("rollback", "--phase", "4", "--yes", "--json").document
    gone = [each["name"] for each in done["outputs"]]
    assert (len(gone), done["rows"]) == (5, sum(len(before[name]) for name in gone))
    emptied = tables(home)
    assert {name for name in before if emptied[name] != before[name]} == set(gone)
    assert not any(emptied[name] for name in gone)
    planned = typed("plan", "--json").document["phases"]
    assert [planned[phase]["tasks_to_run"] for phase in list(planned)[:3]] == [0, 0, 0]
    assert planned["phase_4_precompute"]["dates_to_run"] > 0
    # What was built from the rows is published already: the printed command names it.
    assert done["commands"]["make_anew"].count("--allow-destructive phase_6_exports/") == 3
    assert made.call(*shlex.split(done["commands"]["make_anew"])[1:]).code == 0
    assert tables(home) == before


def test_rows_where_nothing_is_due_go_by_the_commands_that_explain_prints(site: Site) -> None:
    before = tables(site.home)
    connection = duckdb.connect(str(site.home / "warehouse.duckdb"))
    connection.execute("INSERT INTO final.total VALUES ('2024-01-01', 'all', 7, 1)")
    connection.close()
    planned = site.call(*site.selecting("plan", *SEASON), "--json").document
    assert planned["rows_where_none_are_right"] == {"final/total": ["2024-01-01"]}
    assert site.call(*site.selecting("run", *SEASON, "--run-id", "again"), "--json").code == 1
    (root,) = site("explain", "again", "--json").document["roots"]
    rollback, _, retry = root["remedy"].partition(" deletes what stands there, then: ")
    assert site(*rollback.split()[1:]).code == 0
    assert site(*retry.split()[1:]).code == 0
    assert tables(site.home) == before
