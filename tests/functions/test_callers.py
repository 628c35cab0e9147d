"""Functions whose callers are named refuse everybody else, and write nothing."""

import pytest

from phasegate import entrypoints
from phasegate.adapters.gcp.http.callers import Refused
from phasegate.domain.errors import TransientError
from tests.functions.conftest import Calls, task
from tests.unit.security.test_callers import ACCOUNT, HOST, by_our_certificate, token

FUNCTIONS = ("starter", "dispatcher", "runner", "conductor", "sweeper", "verifier", "listener")
MESSAGE = {"message": {"data": "e30="}, "subscription": "projects/demo/subscriptions/s"}


class KnowsOne:
    """Lets ``Bearer mine`` through."""

    def __init__(self, accounts: frozenset[str], audiences: frozenset[str]) -> None:
        assert accounts == {"tasks@demo.example", "push@demo.example"}
        assert audiences == {"https://here.example"}

    def require(self, authorization: str) -> None:
        """See the class that this one stands for."""
        if authorization == "Bearer unreachable":
            raise TransientError("Google's certificates are out of reach")
        if authorization != "Bearer mine":
            raise Refused(403, "somebody@else.example may not call this function")


def set_up(**settings: str) -> None:
    """Change the settings of the deployment."""
    here = entrypoints.deployment()
    here.settings = here.settings.model_validate({**here.settings.model_dump(), **settings})


@pytest.fixture
def guarded(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Functions that two accounts may call."""
    set_up(callers="tasks@demo.example, push@demo.example", audiences="https://here.example")
    monkeypatch.setattr(entrypoints, "Callers", KnowsOne)
    return calls


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_stranger_is_refused_by_every_function_and_nothing_is_written(guarded: Calls, name: str) -> None:
    before = guarded.everything()
    body = MESSAGE if name == "listener" else {"run_id": "r"}
    status, answer = guarded.post(name, body, {"Authorization": "Bearer other"})
    assert (status, answer) == (403, {"error": "somebody@else.example may not call this function"})
    assert (guarded.everything(), guarded.backend.state.quarantined(None)) == (before, [])


def test_a_token_beside_which_another_was_checked_is_refused(guarded: Calls) -> None:
    before = guarded.everything()
    both = {"Authorization": "Bearer mine", "X-Serverless-Authorization": "Bearer of-an-editor"}
    assert guarded.post("conductor", {"run_id": "r"}, both)[0] == 401
    assert guarded.everything() == before


def test_a_named_caller_is_served(guarded: Calls) -> None:
    assert guarded.post("conductor", {"run_id": "r"}, {"Authorization": "Bearer mine"})[0] == 200


def test_a_delivery_is_to_come_again_while_certificates_are_out_of_reach(guarded: Calls) -> None:
    assert guarded.post("conductor", {"run_id": "r"}, {"Authorization": "Bearer unreachable"})[0] == 503


def test_health_is_for_everybody_whom_the_platform_lets_through(guarded: Calls) -> None:
    assert guarded.client("runner").get("/health").get_json()["service"] == "runner"


def test_without_named_callers_whoever_reaches_a_function_is_served(calls: Calls) -> None:
    assert calls.post("conductor", {"run_id": "r"})[0] == 200


def test_a_token_for_a_host_that_the_caller_chose_is_refused(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(callers=ACCOUNT, audiences=f"https://{HOST}")
    monkeypatch.setattr("phasegate.adapters.gcp.http.callers._verified_by_google", by_our_certificate)
    for host in ("elsewhere.example", HOST):
        for audience, allowed in ((f"https://{host}", host == HOST), (f"https://{HOST}", True)):
            headers = {"Authorization": f"Bearer {token(aud=audience)}", "Host": "elsewhere.example"}
            status, _ = calls.post("conductor", {"run_id": "r"}, headers)
            assert status == (200 if allowed else 401), audience


def test_where_callers_are_named_and_no_address_is_nobody_is_let_through(calls: Calls) -> None:
    set_up(callers=ACCOUNT)
    before = calls.everything()
    status, answer = calls.post("conductor", {"run_id": "r"}, {"Authorization": f"Bearer {token()}"})
    assert (status, "PHASEGATE_AUDIENCES: is not set" in answer["error"]) == (500, True)
    assert calls.everything() == before


def test_no_request_can_say_where_a_worker_is(calls: Calls) -> None:
    elsewhere = {"workers": {"world": {"url": "https://elsewhere.example"}}}
    before = calls.everything()
    assert calls.post("starter", {"season": "2023-24", **elsewhere})[0] == 400
    for name, body in (("runner", task(calls)), ("dispatcher", {"run_id": "r", "dates": [str(calls.world.days[0])]})):
        status, answer = calls.post(name, {**body, **elsewhere})
        assert (status, "workers: unknown key" in answer["error"]) == (400, True)
    assert calls.everything() == before
