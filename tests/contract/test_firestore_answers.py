"""Answers that are lost on the way, and changes that meet another: what was applied is known as one's own."""

from collections.abc import Callable
from typing import Any

import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.cloud.firestore import Query, WriteBatch

from phasegate.adapters.gcp.firestore import documents
from phasegate.adapters.gcp.firestore.state import UNTIL_ALONE
from phasegate.adapters.gcp.retries import retry_within
from phasegate.domain.errors import TransientError
from phasegate.domain.state.board import BoardLetter
from phasegate.domain.state.facts import AttemptKey, Dispatched
from phasegate.domain.state.run import Run
from phasegate.ports import ClaimRequest, QuarantineRecord
from tests.contract.conftest import DAYS, NOW, create
from tests.contract.firestore import FirestoreBackend
from tests.contract.test_state import key, request


@pytest.fixture
def backend(firestore_emulator: object) -> FirestoreBackend:
    """A state with the run ``r``."""
    made = FirestoreBackend()
    create(made.state)
    return made


def lose_the_first_answer(patch: pytest.MonkeyPatch, backend: FirestoreBackend) -> None:
    """The first commit from now on is applied, and answered with an error that Google's client takes for passing."""
    api = backend.state._client._firestore_api  # type: ignore[attr-defined]
    commit: Callable[..., Any] = api.commit
    lost: list[object] = []

    def losing(*arguments: Any, retry: Any = None, **named: Any) -> Any:
        def once() -> Any:
            answer = commit(*arguments, **named)
            if not lost:
                lost.append(answer)
                raise ServiceUnavailable("the connection broke")
            return answer

        return (retry or retry_within(5.0))(once)()

    patch.setattr(api, "commit", losing)


def test_what_is_in_quarantine_is_counted_there_and_no_record_is_read(
    backend: FirestoreBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.state.quarantine([QuarantineRecord(f"q{n}", "r", "no such claim", "{}", NOW) for n in range(3)])
    monkeypatch.delattr(documents, "read_quarantine")
    for reading in ("get", "stream"):
        monkeypatch.delattr(Query, reading)
    assert (backend.state.count_quarantined("r"), backend.state.count_quarantined(None)) == (3, 0)


def test_what_is_written_of_many_dates_is_written_in_pages(
    backend: FirestoreBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, commit = list[int](), WriteBatch.commit

    def noting(batch: WriteBatch, *arguments: Any, **named: Any) -> Any:
        sizes.append(len(batch))
        return commit(batch, *arguments, **named)

    monkeypatch.setattr("phasegate.adapters.gcp.firestore.state.DATES_IN_A_BATCH", 2)
    monkeypatch.setattr(WriteBatch, "commit", noting)
    days, sent = DAYS[:5], Dispatched(1, 1, (), NOW)
    backend.state.record("r", [(AttemptKey(day, "raw", "a", 1), sent) for day in days])
    backend.state.mark_at_rest("r", days)
    assert sizes == [2, 2, 1] * 2
    found = backend.state.dates("r", days)
    assert [found[day].attempt("raw", "a", 1).dispatched for day in days] == [sent] * 5


def test_a_commit_of_the_conductor_whose_answer_was_lost_is_its_own(
    backend: FirestoreBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    board, version = backend.state.board("r")
    board.set_letter("raw", 0, BoardLetter.PASSED)
    lose_the_first_answer(monkeypatch, backend)
    assert backend.state.commit("r", board, version, {})
    assert not backend.state.commit("r", board, version, {}), "another one on the same version loses"


def test_a_claim_whose_answer_was_lost_belongs_to_who_made_it(
    backend: FirestoreBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_the_first_answer(monkeypatch, backend)
    wanted: ClaimRequest = request(key())
    (mine,) = backend.state.claim("r", [wanted], NOW)
    assert mine is not None and mine.key.day == DAYS[0]
    assert backend.state.claim("r", [wanted], NOW) == [None]
    assert backend.state.claims("r", [key()]) == {key(): mine}


def raised(run: Run) -> Run:
    """A change that builds on what is there."""
    return run.model_copy(update={"epoch": run.epoch + 1})


def test_a_change_of_a_run_whose_answer_was_lost_is_made_once(
    backend: FirestoreBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_the_first_answer(monkeypatch, backend)
    backend.state.change_run("r", raised)
    assert backend.state.run("r").epoch == 2


def test_a_change_of_a_run_that_met_another_one_is_made_anew_on_it(backend: FirestoreBackend) -> None:
    seen: list[int] = []

    def meeting(run: Run) -> Run:
        seen.append(run.epoch)
        if len(seen) == 1:
            backend.beside().change_run("r", raised)
        return run.model_copy(update={"why": "a reason"})

    changed = backend.state.change_run("r", meeting)
    assert (changed.epoch, changed.why, seen) == (2, "a reason", [1, 2])


def test_a_change_of_a_run_that_always_meets_another_one_is_given_up_in_the_end(
    backend: FirestoreBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = backend.beside()

    def meeting(run: Run) -> Run:
        beside.change_run("r", raised)
        return run.model_copy(update={"why": "never written"})

    monkeypatch.setattr("phasegate.adapters.gcp.firestore.state.UNTIL_ALONE", UNTIL_ALONE.with_timeout(0))
    with pytest.raises(TransientError, match="run 'r' is being changed by others all the time; try again"):
        backend.state.change_run("r", meeting)
    assert (backend.state.run("r").epoch, backend.state.run("r").why) == (2, "")
