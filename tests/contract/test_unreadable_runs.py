"""A run that this version cannot read stops nothing but itself, in every state."""

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.errors import UnreadableRun
from phasegate.domain.plan import compile_plan
from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import AttemptKey, Reported
from phasegate.domain.state.run import DesiredState, RunStatus, UnreadableDocument
from phasegate.services.reading.earlier_runs import finished_in, made_from_another_source
from phasegate.services.reading.listing import run_documents
from tests.contract.conftest import DAYS, NOW, Backend, EmbeddedBackend, create
from tests.contract.firestore import FirestoreBackend
from tests.contract.spoiling import Change, change_stored, lost, minor_key, more_key, newer_layout, stored
from tests.unit.builders import observing, plan, reported, run


@pytest.fixture(params=["embedded", "firestore"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A state with the runs ``bad``, ``good`` and ``later``, in SQLite and in Firestore."""
    made: Any
    if request.param == "firestore":
        request.getfixturevalue("firestore_emulator")
        made = FirestoreBackend()
    else:
        made = EmbeddedBackend(tmp_path)
    for created, run_id in enumerate(("good", "bad", "later")):
        create(made.state, run_id, created=created)
    yield made
    if isinstance(made, EmbeddedBackend):
        made.close()


READS = {
    "run": lambda state: state.run("bad"),
    "plan": lambda state: state.plan("bad"),
    "board": lambda state: state.board("bad"),
}
SPOILT: list[tuple[str, Change]] = [
    ("run", newer_layout), ("run", more_key), ("run", lost),
    ("plan", newer_layout), ("plan", lost),
    ("board", newer_layout), ("board", lost),
]  # fmt: skip


@pytest.mark.parametrize(("what", "change"), SPOILT, ids=[f"{what} {change.__name__}" for what, change in SPOILT])
def test_one_unreadable_run_is_listed_with_its_remedy_and_the_others_as_ever(
    backend: Backend, what: str, change: Change
) -> None:
    change_stored(backend.state, what, "bad", change)
    backend.reopen()
    with pytest.raises(UnreadableRun, match=r"of run 'bad' .*use the version of the program that made it"):
        READS[what](backend.state)
    listed = run_documents(backend.state.listed_runs())
    statuses = {each["run_id"]: each["status"] for each in listed}
    assert statuses == {"later": "running", "bad": "unreadable", "good": "running"}
    (reason,) = [each["reason"] for each in listed if each["run_id"] == "bad"]
    assert "use the version of the program that made it" in reason
    assert {"good", "later"} <= set(backend.state.unfinished())
    assert {run.run_id for run in backend.state.runs()} >= {"good", "later"}


@pytest.mark.parametrize(("change", "is_readable"), [(more_key, False), (minor_key, True)])
def test_a_plan_in_a_home_with_a_key_more_is_listed_as_it_is_read(
    tmp_path: Path, change: Change, is_readable: bool
) -> None:
    made = EmbeddedBackend(tmp_path)
    create(made.state, "bad")
    change_stored(made.state, "plan", "bad", change)
    made.reopen()
    (listed,) = run_documents(made.state.listed_runs())
    assert listed["status"] == ("running" if is_readable else "unreadable")
    with nullcontext() if is_readable else pytest.raises(UnreadableRun):
        made.state.plan("bad")
    made.close()


def test_what_is_known_of_an_unreadable_document_is_given_all_the_same(backend: Backend) -> None:
    change_stored(backend.state, "run", "bad", more_key)
    (found,) = [each for each in backend.state.every_run() if isinstance(each, UnreadableDocument)]
    assert (found.run_id, found.pipeline, found.source) == ("bad", "world", None)
    assert "sponsor: unknown key" in found.reason


def test_a_fact_that_cannot_be_read_is_its_runs_alone(backend: Backend) -> None:
    key = AttemptKey(DAYS[0], "raw", "a", 1)
    backend.state.record("bad", [(key, reported())])
    backend.state.record("good", [(key, reported())])
    _spoil_fact(backend)
    backend.reopen()
    with pytest.raises(UnreadableRun, match="the record of 2024-01-01 of run 'bad' cannot be read"):
        backend.state.dates("bad", [DAYS[0]])
    assert isinstance(backend.state.dates("good", [DAYS[0]])[DAYS[0]].attempt("raw", "a", 1).reported, Reported)


def _spoil_fact(backend: Backend) -> None:
    if isinstance(backend, EmbeddedBackend):
        backend._current.execute("UPDATE facts SET doc = '{\"status\": \"unheard of\"}' WHERE run_id = 'bad'")
    else:
        state: Any = backend.state
        state._date("bad", DAYS[0]).set({"tasks": {"raw": {"a": {"1": {"reported": [{"status": "unheard of"}]}}}}})


def test_a_key_of_a_newer_minor_version_is_ignored_and_stays_when_the_run_is_changed(backend: Backend) -> None:
    change_stored(backend.state, "run", "bad", minor_key)
    change_stored(backend.state, "board", "bad", minor_key)
    assert backend.state.run("bad").desired_state is DesiredState.RUNNING
    backend.state.change_run("bad", lambda r: r.model_copy(update={"desired_state": DesiredState.PAUSED}))
    there = stored(backend.state, "bad")
    assert (there["wanted"], there["sponsor"], there["schema_minor"]) == ("paused", "ann", 7)
    assert backend.state.board("bad")[0].status is RunStatus.RUNNING


def test_below_the_top_of_a_document_no_key_is_ignored(backend: Backend) -> None:
    approval = {"id": "1", "phase": "raw", "by": "ann", "at": NOW.isoformat(), "second_by": "bob"}
    change_stored(backend.state, "run", "bad", lambda document: document.update(schema_minor=7, approvals=[approval]))
    with pytest.raises(UnreadableRun, match=r"approvals.0.second_by: unknown key"):
        backend.state.run("bad")


def test_what_this_version_writes_has_no_key_that_the_version_before_would_refuse(backend: Backend) -> None:
    assert "schema_minor" not in stored(backend.state, "good")
    assert "schema_minor" not in plan().model_dump()


def test_listing_runs_and_asking_which_dates_they_cover_compiles_no_plan(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phasegate.adapters.state_base.compile_plan", lambda _: pytest.fail("a plan was compiled"))
    assert len(run_documents(backend.state.listed_runs())) == 3
    assert made_from_another_source(backend.state, "world", "/elsewhere", DAYS) == frozenset(DAYS)
    other_dates = [day + timedelta(days=400) for day in DAYS]
    assert finished_in(backend.state, "world", other_dates) == {}


# Topics


def listening_run(backend: Backend, run_id: str, topic: str) -> None:
    """A run that observes the topic."""

    def change(document: dict[str, Any]) -> None:
        observing(document)
        document["phases"][1]["dispatch"]["observed"]["topic"] = topic

    frozen = plan(change)
    made = run(run_id=run_id, created_at=NOW)
    assert backend.state.create_run(made, frozen, Board.blank(run_id, compile_plan(frozen), NOW))


def test_a_topic_finds_the_unfinished_runs_that_listen_and_no_plan_is_compiled(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id, topic in (("hears", "raw-done"), ("over", "raw-done"), ("elsewhere", "other-done")):
        listening_run(backend, run_id, topic)
    board, version = backend.state.board("over")
    board.status = RunStatus.COMPLETED
    backend.state.commit("over", board, version, {})
    board, version = backend.state.board("hears")
    backend.state.commit("hears", board, version, {})
    backend.reopen()
    monkeypatch.setattr("phasegate.adapters.state_base.compile_plan", lambda _: pytest.fail("a plan was compiled"))
    assert backend.state.listening("raw-done") == ["hears"]
    assert backend.state.listening("nobodys") == []


def test_a_run_that_an_earlier_version_began_is_found_by_its_topic(backend: Backend) -> None:
    listening_run(backend, "before", "raw-done")
    change_stored(backend.state, "board", "before", lambda document: document.pop("topics", None))
    assert "before" in backend.state.listening("raw-done")


def test_an_unreadable_run_that_listens_is_found_by_its_topic(backend: Backend) -> None:
    listening_run(backend, "newer", "raw-done")
    change_stored(backend.state, "plan", "newer", newer_layout)
    assert backend.state.listening("raw-done") == ["newer"]
