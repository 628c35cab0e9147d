"""Requests that were made of commit 8e42da0: each finds the run that it began, and no second one is begun."""

import shutil
from pathlib import Path

import pytest

from tests.golden.laid import Site, golden, identity_of, takings_site

REQUESTS = golden("requests.json")
WAITING = sorted(run for run, asked in REQUESTS.items() if asked["site"] == "takings" and run != "lacking")


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The home with a run for each request, all of which wait for an approval, in one folder for all tests."""
    return takings_site(tmp_path_factory.mktemp("takings"))


@pytest.mark.parametrize("run_id", sorted(REQUESTS))
def test_the_stored_hash_is_made_of_the_request_and_the_whole_pipeline(run_id: str) -> None:
    asked = REQUESTS[run_id]
    pipeline = golden(f"documents/{asked['site']}-pipeline.json")
    assert identity_of(asked["request"], pipeline) == asked["request_hash"]


@pytest.mark.parametrize("run_id", WAITING)
def test_the_same_request_finds_its_run_which_waits_on(laid: Site, run_id: str) -> None:
    before = laid.runs()
    done = laid(*REQUESTS[run_id]["words"])
    assert (done.returncode, f"resuming run {run_id}" in done.stderr) == (3, True), done.stderr
    assert laid.runs() == before


def test_an_absolute_source_is_the_same_request(laid: Site) -> None:
    words = [str(laid.folder / word) if word == "source" else word for word in REQUESTS["season"]["words"]]
    assert "resuming run season" in laid(*words).stderr


def test_a_permit_changes_nothing_of_what_is_asked_for(laid: Site) -> None:
    done = laid(*REQUESTS["season"]["words"], "--include-live", "2024-01-01")
    assert "resuming run season" in done.stderr, done.stderr


def test_the_run_ids_of_other_requests_are_refused(laid: Site) -> None:
    done = laid(*REQUESTS["season"]["words"], "--run-id", "range")
    assert (done.returncode, "was asked for differently" in done.stderr) == (2, True), done.stderr


def test_a_request_that_nobody_made_begins_a_run(laid: Site, tmp_path: Path) -> None:
    shutil.copytree(laid.folder, tmp_path / "site")
    site = Site(tmp_path / "site", "home")
    before = site.runs()
    words = ["run", "--pipeline", "pipeline.yaml", "--source", str(laid.folder / "source"), "--dates", "2024-01-01"]
    assert site(*words, "--run-id", "new").returncode == 2, "others wait over the same date"
    assert site(*words, "--run-id", "new", "--alongside").returncode == 3
    assert site.runs() == sorted([*before, "new"])


def test_an_approval_brings_a_waiting_run_to_its_end(laid: Site, tmp_path: Path) -> None:
    site = takings_site(tmp_path)
    approved = site("approve", "profile", "publish", "--by", "ann")
    assert approved.returncode == 0, approved.stderr
    assert site.asked("status", "profile")["status"] == "completed"


def test_a_retry_of_the_blocked_run_is_asked_for_and_blocked_again(tmp_path: Path) -> None:
    site = takings_site(tmp_path)
    words = ("retry", "lacking", "--why", "once more")
    assert site(*words).returncode == 2, "others wait over the same date"
    retried = site(*words, "--alongside")
    assert retried.returncode == 1, retried.stderr
    assert site.asked("status", "lacking")["status"] == "completed_with_failures"
