"""``forget`` as it is typed: runs that are over go, and what they made stays."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endtoend.test_bad_input import assert_refused, contents
from tests.endtoend.test_command_line import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with the finished run ``r``."""
    made = Site(tmp_path_factory.mktemp("forgetting"))
    assert made.run().code == 0
    yield made
    made.close()


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "nothing": (("forget",), "say which: a run, or --older-than DAYS"),
    "both": (("forget", "r", "--older-than", "3"), "say which: a run, or --older-than DAYS"),
    "an unknown run": (("forget", "q", "--yes"), "unknown run 'q'; known: r"),
    "days that are none": (("forget", "--older-than", "-1", "--yes"), "--older-than: -1 is below 0"),
    "more than a hundred years": (("forget", "--older-than", "999999", "--yes"), "--older-than: 999999 is above 36500"),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_forgotten_is_refused_and_nothing_is_written(
    site: Site, words: tuple[str, ...], message: str
) -> None:
    before = contents(site.home)
    assert_refused(site(*words), message)
    assert contents(site.home) == before


def test_a_run_is_shown_first_and_forgotten_by_the_command_that_is_printed(site: Site) -> None:
    shown = site("forget", "r")
    assert (shown.code, len(site("runs", "--json").document)) == (0, 1)
    assert "forget it with: phasegate --home home forget r --yes" in shown.out
    young = site("forget", "--older-than", "1", "--json")
    assert (young.code, young.document) == (
        0,
        {"runs": [], "left_out": [], "is_done": False, "command": None, "delete_reports": None},
    )
    page = site.home / "reports" / "r" / "report.html"
    tables = site.world.tables()
    log = site.home / "reports" / "r.log"
    assert log.exists()
    done = site("forget", "--older-than", "0", "--yes", "--json")
    assert (done.code, [each["run_id"] for each in done.document["runs"]]) == (0, ["r"])
    assert site("runs", "--json").document == []
    assert page.exists() and site.world.tables() == tables
    subprocess.run(["/bin/sh", "-c", done.document["delete_reports"]], check=True)
    assert not page.parent.exists() and not log.exists() and site.world.tables() == tables


def test_the_command_that_deletes_the_reports_is_printed_when_they_are_left(tmp_path: Path) -> None:
    made = Site(tmp_path / "a folder")
    try:
        assert made.run().code == 0
        last = made("forget", "r", "--yes").out.splitlines()[-1]
        assert last.startswith("delete the reports, when nobody needs them any more, with: rm -r -- '")
        subprocess.run(["/bin/sh", "-c", last.partition(" with: ")[2]], check=True)
        assert list((made.home / "reports").iterdir()) == []
    finally:
        made.close()


def test_a_run_that_is_not_over_is_refused_by_name_and_left_out_by_age(tmp_path: Path) -> None:
    made = Site(tmp_path)
    try:
        process = made.run_held()
        assert_refused(made("forget", "r", "--yes"), "run 'r' cannot be forgotten: it is running; end it first with")
        assert made("forget", "--older-than", "0", "--yes", "--json").document["runs"] == []
        made.release()
        assert process.wait(60) == 0
    finally:
        made.close()
