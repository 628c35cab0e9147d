"""Answers that are lost on the way: the call was applied, its sender does not know, and sends it again."""

from collections.abc import Callable
from typing import Any

import pytest
from google.api_core.exceptions import ServiceUnavailable
from phasegate.domain.state.board import BoardLetter
from phasegate.ports import ClaimRequest

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

    def losing(*arguments: Any, retry: Any, **named: Any) -> Any:
        def once() -> Any:
            answer = commit(*arguments, **named)
            if not lost:
                lost.append(answer)
                raise ServiceUnavailable("the connection broke")
            return answer

        return retry(once)()

    patch.setattr(api, "commit", losing)


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
