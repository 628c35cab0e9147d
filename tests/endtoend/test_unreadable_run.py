"""A home with a run that another version wrote: its other runs and new ones go on, and it is listed."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.endtoend.test_command_line import Site

FIRST = ("--dates", "2024-01-01")
THEN = ("--dates", "2024-01-02")
REMEDY = "use the version of the program that made it"


def change(site: Site, table: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a stored document of the run ``r``."""
    with closing(sqlite3.connect(site.home / "state.sqlite")) as connection, connection:
        (text,) = connection.execute(f"SELECT doc FROM {table} WHERE run_id = 'r'").fetchone()
        document = json.loads(text)
        change(document)
        connection.execute(f"UPDATE {table} SET doc = ? WHERE run_id = 'r'", (json.dumps(document),))


def newer(document: dict[str, Any]) -> None:
    """As a later version would write it."""
    document["schema_version"] = 9


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A home in which the run ``r`` has ended."""
    made = Site(tmp_path)
    assert made.call(*made.selecting("run", *FIRST, "--run-id", "r")).code == 0
    return made


@pytest.mark.parametrize("table", ["runs", "plans", "boards"])
def test_it_is_listed_with_its_remedy_and_a_new_run_goes_to_its_end(site: Site, table: str) -> None:
    change(site, table, newer)
    done = site.call(*site.selecting("run", *THEN, "--run-id", "new"))
    assert done.code == 0, done.err
    listed = site("runs", "--json").document
    assert [(each["run_id"], each["status"]) for each in listed] == [("new", "completed"), ("r", "unreadable")]
    assert REMEDY in listed[1]["reason"]
    assert [REMEDY in line for line in site("runs").out.splitlines()] == [False, True]


def test_its_status_is_a_sentence_or_a_document_and_waits_for_a_person(site: Site) -> None:
    change(site, "runs", lambda document: document.update(sponsor="ann"))
    answer, shown = site("status", "r", "--json"), site("status", "r")
    assert (answer.code, answer.document["run_id"], answer.document["status"]) == (3, "r", "unreadable")
    assert "sponsor: unknown key" in answer.document["reason"]
    assert (shown.code, shown.out.startswith("r  unreadable  ")) == (3, True)


@pytest.mark.parametrize("words", [("explain", "r"), ("verify", "r"), ("retry", "r"), ("cancel", "r"), ("resume", "r")])
def test_what_can_not_be_done_with_it_is_refused_in_one_sentence(site: Site, words: tuple[str, ...]) -> None:
    change(site, "runs", newer)
    done = site(*words)
    assert (done.code, REMEDY in done.err, "Traceback" in done.err) == (2, True, False)


def test_rows_that_it_may_have_made_from_another_source_are_made_again(site: Site) -> None:

    def planned() -> Any:
        return site.call(*site.selecting("plan", *FIRST, "--json")).document["tasks"]

    before = planned()
    change(site, "runs", lambda document: document.update(sponsor="ann"))
    assert planned() == before
    change(site, "runs", lambda document: document.update(source="/elsewhere"))
    assert planned()["run"] == before["expected"] - before["nothing_due"] > before["run"]


def test_a_rollback_waits_for_nobody_who_is_over_and_for_whoever_may_be_at_work(site: Site) -> None:
    change(site, "plans", newer)
    selected = site.selecting("rollback", *FIRST)
    assert site.call(*selected, "--phase", "raw").code == 0
    change(site, "boards", lambda document: document.update(status="running"))
    refused = site.call(*selected, "--phase", "raw", "--yes")
    assert (refused.code, "until then nobody knows what it works on" in refused.err) == (2, True)
