"""A change that is refused changes nothing: a run that cannot go on stays as it is, as the next command finds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.endtoend.test_bad_input import assert_refused, contents
from tests.endtoend.test_command_line import Answer, Site
from tests.endtoend.test_lost_warehouse import lose

OWN_WORKER = """from tests.endtoend.test_command_line import build
"""

RANGE = {"check": "range", "name": "sane", "column": "v", "min": 0, "max": 500}


def change(document: dict[str, Any]) -> None:
    """The worker lies beside the file; ``raw.a`` has a range, and ``final`` waits for a person."""
    document["workers"]["world"]["factory"] = "own_worker:build"
    document["phases"][1]["processors"][0]["checks"] += [dict(RANGE)]
    document["phases"][3]["gates"].append({"check": "approval"})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site with a run that waits for a person and has a date that a check blocks."""
    (tmp_path / "own_worker.py").write_text(OWN_WORKER)
    made = Site(tmp_path, change)
    data = made.world.data()
    data["a"]["2024-01-02"][0]["v"] = 1000
    made.world.rewrite(data)
    assert made.run().code == 3
    yield made
    made.close()


CHANGES: dict[str, tuple[str, ...]] = {
    "retry": ("retry", "r"),
    "approve": ("approve", "r", "final"),
    "waive": ("waive", "r", "--date", "2024-01-02", "--check", "sane", "--until", "2099-12-31", "--why", "known"),
}


def break_worker(site: Site) -> None:
    """The worker cannot be imported."""
    (site.folder / "own_worker.py").write_text("import no_such_module\n")


@pytest.mark.parametrize("words", CHANGES.values(), ids=CHANGES)
def test_a_run_whose_worker_cannot_be_imported_stays_as_it_is(site: Site, words: tuple[str, ...]) -> None:
    break_worker(site)
    before, home = site.status(), contents(site.home)
    assert_refused(site(*words), "cannot load own_worker:build: ModuleNotFoundError: No module named 'no_such_module'")
    assert contents(site.home) == home
    assert site.status() == before


def test_once_the_worker_is_mended_the_refused_command_does_what_it_says(site: Site) -> None:
    break_worker(site)
    assert site(*CHANGES["retry"]).code == 2
    (site.folder / "own_worker.py").write_text(OWN_WORKER)
    data = site.world.data()
    data["a"]["2024-01-02"][0]["v"] = 1
    site.world.rewrite(data)
    assert site(*CHANGES["retry"]).code == 3
    assert site(*CHANGES["approve"]).code == 0


def test_a_drained_run_whose_worker_cannot_be_imported_is_not_resumed(site: Site) -> None:
    assert site("drain", "r").code == 0
    break_worker(site)
    home = contents(site.home)
    assert_refused(site("resume", "r"), "cannot load own_worker:build")
    assert contents(site.home) == home
    assert site.status()["status"] == "draining"


def test_what_is_decided_of_a_run_that_is_held_needs_no_worker(site: Site) -> None:
    assert site("pause", "r").code == 0
    break_worker(site)
    done = site(*CHANGES["approve"])
    assert (done.code, "the run is paused; go on with: phasegate --home home resume r" in done.err) == (0, True)


@pytest.mark.parametrize("words", CHANGES.values(), ids=CHANGES)
def test_a_run_in_whose_home_another_one_is_driven_stays_as_it_is(site: Site, words: tuple[str, ...]) -> None:
    site.hold.touch()
    site.begin(*site.selecting("run", "--season", "2023-24", "--run-id", "s", "--reprocess", "all", "--alongside"))
    until_driven(site, "s")
    run = site("status", "r", "--json").document
    assert_refused(site(*words, "--alongside"), "run s; wait until that run has ended, then try again")
    assert site("status", "r", "--json").document == run


def until_driven(site: Site, run_id: str) -> None:
    """Wait until a process drives a run."""
    for _ in range(1000):
        if "no process drives it" not in site("status", run_id).out and site("status", run_id).code == 0:
            return
    raise AssertionError("nobody drives it")


def failed(site: Site) -> Answer:
    """A finished run ``q`` over two phases, of which one date has failed."""
    site.world.misbehave(raw__b__0=["fail:bug"])
    words = site.selecting(
        "run", "--season", "2023-24", "--phases", "fetch..raw", "--run-id", "q", "--reprocess", "all"
    )
    return site.call(*words, "--alongside")


def test_a_finished_run_whose_rows_are_gone_is_not_begun_again_and_the_remedy_works(site: Site) -> None:
    assert failed(site).code == 1
    lose(site)
    before = site("status", "q", "--json").document
    answer = site("retry", "q", "--alongside")
    assert (answer.code, "cancel" in answer.err) == (3, False), answer.err
    assert "type its `phasegate --home home run` again under another --run-id, or none" in answer.err
    assert site("status", "q", "--json").document == before
    site.world.misbehave()
    words = site.selecting(
        "run", "--season", "2023-24", "--phases", "fetch..raw", "--alongside", "--dates", "2024-01-01"
    )
    assert site.call(*[w for w in words if w not in ("--season", "2023-24")]).code == 0


@pytest.mark.parametrize("command", ["resume", "run"])
def test_a_drained_run_whose_rows_are_gone_stays_drained(site: Site, command: str) -> None:
    assert site("drain", "r").code == 0
    lose(site)
    answer = site("resume", "r") if command == "resume" else site.run()
    assert (answer.code, "run 'r' does not go on" in answer.err) == (3, True), answer.err
    assert site.status()["status"] == "draining"
