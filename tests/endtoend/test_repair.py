"""``phasegate repair`` names what was made from something that has changed since, and makes it again."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endtoend.test_command_line import Answer, Site
from tests.world import World, drive

DAY = "2024-01-02"
SEASON = ("--season", "2023-24")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose season is done, and whose source changed on one date since; its raw tables were loaded again."""
    made = Site(tmp_path)
    assert made.run().code == 0
    data = made.world.data()
    data["a"][DAY][0]["v"] = 400
    made.world.rewrite(data)
    again = ("--dates", DAY, "--phases", "fetch..raw", "--reprocess", "all", "--run-id", "again")
    assert made.call(*made.selecting("run", *again)).code == 0
    yield made
    made.close()


def refused(answer: Answer) -> str:
    """What a refusal says: one sentence, and nothing on standard output."""
    assert (answer.code, answer.out) == (2, "") and answer.err.count("\n") == 1, answer
    return answer.err


def test_it_names_every_cell_with_its_reason_and_runs_nothing(site: Site) -> None:
    before = site("runs", "--json").document
    found = site.call(*site.selecting("repair", *SEASON, "--json"))
    assert found.code == 0, found.err
    since = f"raw/a of {DAY} holds something else since"
    assert found.document["stale"] == {"shape/left": {DAY: since}, "shape/ahead": {DAY: since}}
    assert found.document["also"] == {
        "shape/right": {DAY: "built_on"},
        "shape/ahead": {f"2024-01-0{n}": "built_on" for n in (3, 4, 5)},
        "final/total": {f"2024-01-0{n}": "built_on" for n in (3, 4, 5)},
        "final/note": {f"2024-01-0{n}": "no_output" for n in (2, 3, 4, 5)},
    }
    told = site.call(*site.selecting("repair", *SEASON))
    assert told.code == 0 and f"  {DAY} shape/left: {since}\n" in told.out
    assert site("runs", "--json").document == before


def test_the_printed_command_makes_them_again_as_a_clean_run_would(site: Site, tmp_path: Path) -> None:
    told = site.call(*site.selecting("repair", *SEASON)).out
    printed = next(line for line in told.splitlines() if line.startswith("to make them again: ")).partition(": ")[2]
    assert site.call(*shlex.split(printed)[1:]).code == 0
    clean = World(tmp_path / "clean")
    clean.rewrite(site.world.data())
    drive(clean)
    assert site.world.tables() == clean.tables()
    nothing = site.call(*site.selecting("repair", *SEASON))
    assert (nothing.code, nothing.out) == (
        0,
        "nothing to repair: no table of these dates was made from what has changed since, or by another version of "
        "its worker, or holds what does not pass\n",
    )
    assert site.call(*site.selecting("repair", *SEASON, "--yes", "--json")).document["stale"] == {}
    assert site.call(*site.selecting("verify", *SEASON, "--json")).code == 0


def test_a_run_stands_for_its_dates_and_phases(site: Site) -> None:
    assert "nothing to repair" in site("repair", "again").out
    assert site("repair", "r", "--json").document["stale"].keys() == {"shape/left", "shape/ahead"}
    assert site("repair", "r", "--yes").code == 0
    assert "nothing to repair" in site("repair", "r").out


def test_a_plan_names_what_is_stale_and_a_run_of_it_leaves_other_dates_alone(site: Site) -> None:
    plan = site.call(*site.selecting("plan", *SEASON, "--json")).document
    assert plan["stale"].keys() == {"shape/left", "shape/ahead"} and plan["why"]["stale"] == 2
    stale = site.call(*site.selecting("plan", *SEASON, "--reprocess", "stale", "--json")).document
    assert (stale["first"], stale["last"]) == (DAY, "2024-01-05")
    assert stale["why"] == {**plan["why"], "no_output": 4}, "one for each date"
    assert f"  {DAY} shape/ahead: raw/a of {DAY} holds" in site.call(*site.selecting("plan", *SEASON)).out
    assert site.call(*site.selecting("run", *SEASON, "--reprocess", "stale")).code == 0
    again = site.call(*site.selecting("run", *SEASON, "--reprocess", "stale"))
    assert "--reprocess stale: nothing on these dates was made from what has changed since" in refused(again)


def test_a_run_that_is_not_over_is_in_the_way(site: Site) -> None:
    site.hold.touch()
    going = site.begin(*site.selecting("run", *SEASON, "--run-id", "going", "--reprocess", "all"))
    site.until(lambda s: (site.home / "engine.lock").read_text().endswith("run going"))
    for words in (site.selecting("repair", *SEASON), ["--home", "home", "repair", "r"]):
        assert "is in use by process" in refused(site.call(*words))
    going.kill()
    going.wait()
    site.release()
    assert "run 'going' is not over" in refused(site("repair", "going"))
    for more in ((), ("--yes",)):
        said = refused(site.call(*site.selecting("repair", *SEASON, *more)))
        assert "run 'going' is not over and has shape/left and 4 more on 4 of these dates" in said
    assert site("cancel", "going").code == 0
    assert site("repair", "going").code == 0, "a cancelled run is in nobody's way, whoever drove it"


def test_what_to_repair_is_said_once(site: Site) -> None:
    assert "name a run, or dates with their pipeline; not both" in refused(site("repair", "r", *SEASON))
    assert "unknown run 'nobody'" in refused(site("repair", "nobody"))
