"""The warehouse is lost and the state kept: nothing goes on by what the state remembers, and nothing ends with 0."""

import shlex
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from tests.endtoend.test_command_line import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site of the test's own."""
    made = Site(tmp_path)
    yield made
    made.close()


def lose(site: Site) -> None:
    """The warehouse and its log are gone."""
    for path in site.home.glob("warehouse.duckdb*"):
        path.unlink()


def empty_tables(site: Site) -> None:
    """The tables are there, of an earlier backup: nothing is in them."""
    with duckdb.connect(str(site.home / "warehouse.duckdb")) as connection:
        for table in ("raw.a", "raw.b", "shape.left_side", "shape.right_side", "shape.ahead", "final.total"):
            connection.execute(f"DELETE FROM {table}")


def half_done(site: Site) -> None:
    """Run ``r`` is interrupted when its first two phases are done on every date, and no later one is."""
    document = site.world.pipeline_file.read_text()
    assert "all_succeeded" in document
    site.world.pipeline_file.write_text(
        document.replace(
            "  - check: all_succeeded\n    phase: raw\n",
            "  - check: all_succeeded\n    phase: raw\n  - check: approval\n",
        )
    )
    assert site.run().code == 3
    assert site.status()["phases"]["raw"]["passed"] == 6


LOSSES = [lose, empty_tables]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_run_that_is_not_over_releases_nothing_on_rows_that_are_gone(
    site: Site, loss: Callable[[Site], None]
) -> None:
    half_done(site)
    loss(site)
    answer = site("approve", "r", "shape", "--why", "go")
    assert (answer.code, "Traceback" in answer.err) == (3, False), answer.err
    assert "run 'r' does not go on: the tables no longer hold what it found right (a of 2024-01-01, " in answer.err
    assert "give it up with `phasegate --home home cancel r`" in answer.err
    assert set(site.status()["phases"]["shape"].items()) >= {("pending", 6), ("released", 0)}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_the_message_advises_makes_again_what_was_lost(site: Site, loss: Callable[[Site], None]) -> None:
    half_done(site)
    loss(site)
    assert site.run().code == 3
    assert site("cancel", "r").code == 0
    words = site.selecting("run", "--season", "2023-24", "--phases", "fetch..raw", "--json")
    answer = site.call(*words)
    assert (answer.code, answer.document["tables"]["raw.a"]) == (0, {"rows": 24, "dates": 6})
    assert answer.document["report"]["agrees"]


def test_a_run_that_is_not_over_goes_on_when_its_rows_are_there(site: Site) -> None:
    half_done(site)
    assert site("approve", "r", "shape", "--why", "go").code == 0


def test_a_completed_run_whose_rows_are_gone_does_not_end_with_0_again(site: Site) -> None:
    assert site.run().code == 0
    lose(site)
    answer = site.run()
    assert answer.code == 1
    assert "verified: Not complete" in answer.out
    assert "Run r: completed, and its report does not bear that out." in answer.out
    said = "next: where the report names the calendar, mend the schedule or its source; then "
    (line,) = [line for line in answer.out.splitlines() if line.startswith(said)]
    assert site("watch", "r").code == 1
    again = site.call(*shlex.split(line.removeprefix(said))[1:], "--json")
    assert (again.code, again.document["report"]["agrees"]) == (0, True)


@pytest.mark.parametrize("command", [("verify", "r"), ("run",)], ids=lambda words: words[0])
def test_another_warehouse_is_said_and_then_known(site: Site, command: tuple[str, ...]) -> None:
    assert site.run().code == 0
    (site.folder / "other").mkdir()
    other = Site(site.folder / "other")
    assert other.run().code == 0
    shutil.copy(other.home / "warehouse.duckdb", site.home / "warehouse.duckdb")
    words = site.selecting("run") if command == ("run",) else ["--home", "home", *command]
    sentence = "warehouse.duckdb is not the warehouse that this home knows"
    assert sentence in site.call(*words).err
    assert (sentence in site.call(*words).err) is (command[0] == "verify")


def test_a_home_of_an_earlier_version_takes_the_warehouse_that_it_finds(site: Site) -> None:
    assert site.run().code == 0
    with duckdb.connect(str(site.home / "warehouse.duckdb")) as connection:
        connection.execute("DROP SCHEMA phasegate CASCADE")
    with sqlite3.connect(site.home / "state.sqlite") as connection:
        connection.execute("DROP TABLE known_warehouse")
    connection.close()
    answer = site.run()
    assert (answer.code, "not the warehouse" in answer.err) == (0, False)
    lose(site)
    assert "not the warehouse" in site.run().err


def test_a_started_run_that_lost_its_rows_is_no_success_either(site: Site) -> None:
    half_done(site)
    lose(site)
    answer = site.call(*site.selecting("start", "--season", "2023-24", "--run-id", "r"))
    assert (answer.code, "the tables no longer hold what it found right" in answer.err) == (3, True), answer.err
