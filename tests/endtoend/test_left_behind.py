"""A run of some phases, or dates, says what it leaves behind, and prints the command that mends it."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endtoend.test_command_line import Site

DAY = "2024-01-02"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose season is done."""
    made = Site(tmp_path)
    first = made.call(*made.selecting("run", "--season", "2023-24"), "--run-id", "first")
    assert first.code == 0 and "left behind" not in first.out, first.err
    yield made
    made.close()


def change_the_source(site: Site) -> None:
    """A value of one date."""
    data = site.world.data()
    data["a"][DAY][0]["v"] = 400
    site.world.rewrite(data)


def test_a_run_of_the_first_phases_names_what_was_made_from_them(site: Site) -> None:
    change_the_source(site)
    again = ("--dates", DAY, "--phases", "fetch..raw", "--reprocess", "all")
    run = site.call(*site.selecting("run", *again), "--run-id", "again")
    assert run.code == 0, run.err
    assert f"left behind, older than what this run made: shape/left, shape/ahead on {DAY}" in run.out
    printed = next(line for line in run.out.splitlines() if line.startswith("next: ")).removeprefix("next: ")
    mended = site(*shlex.split(printed)[1:])
    assert mended.code == 0 and "left behind" not in mended.out, mended.err
    assert site.call(*site.selecting("verify", "--season", "2023-24", "--json")).code == 0


def test_a_run_of_one_date_names_the_dates_whose_windows_have_it(site: Site) -> None:
    change_the_source(site)
    run = site.call(*site.selecting("run", "--dates", DAY, "--reprocess", "all"), "--json")
    left = {ref: days for ref, days in run.document["left_behind"].items() if days}
    assert set(left) == {"shape/ahead", "final/total"}
    assert all(day > DAY for days in left.values() for day in days)


def test_a_first_run_leaves_nothing_behind(tmp_path: Path) -> None:
    site = Site(tmp_path)
    try:
        run = site.call(*site.selecting("run", "--season", "2023-24", "--phases", "fetch..raw"))
        assert run.code == 0 and "left behind" not in run.out
    finally:
        site.close()
