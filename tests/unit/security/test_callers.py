"""Who may call a function: tokens signed with a key of our own stand for those that Google signs."""

import base64
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from google.auth import crypt, jwt

from phasegate.adapters.gcp.http.callers import REMOVED, Callers, Refused
from phasegate.domain.errors import TransientError
from tests.unit.security.keys import CERTIFICATE, PRIVATE_KEY

ACCOUNT = "phasegate-tasks@demo.iam.gserviceaccount.com"
HOST = "runner-abc-uc.a.run.app"


def by_our_certificate(token: str, audiences: Sequence[str]) -> Mapping[str, Any]:
    claims: Mapping[str, Any] = jwt.decode(token, certs=CERTIFICATE, audience=list(audiences))
    return claims


def token(**changes: object) -> str:
    now = int(time.time())
    claims = {
        "iss": "https://accounts.google.com",
        "aud": f"https://{HOST}",
        "iat": now,
        "exp": now + 3600,
        "email": ACCOUNT,
        "email_verified": True,
        **changes,
    }
    return jwt.encode(crypt.RSASigner.from_string(PRIVATE_KEY), claims).decode()


def callers() -> Callers:
    return Callers({ACCOUNT}, {f"https://{HOST}"}, by_our_certificate)


def refusal(authorization: str) -> Refused:
    with pytest.raises(Refused) as raised:
        callers().require(authorization)
    return raised.value


@pytest.mark.parametrize("audience", [f"https://{HOST}", f"https://{HOST}/"])
def test_an_account_that_may_call_is_let_through(audience: str) -> None:
    callers().require(f"Bearer {token(aud=audience)}")


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic dTpw"])
def test_a_request_without_a_token_is_nobodys(authorization: str) -> None:
    assert refusal(authorization).status == 401


def test_another_account_is_refused_by_name() -> None:
    refused = refusal(f"Bearer {token(email='editor@example.com')}")
    assert (refused.status, str(refused)) == (403, "editor@example.com may not call this function")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://worker-abc-uc.a.run.app"},
        {"exp": int(time.time()) - 60, "iat": int(time.time()) - 3660},
        {"iss": "https://accounts.example.com"},
        {"email_verified": False},
    ],
)
def test_a_token_that_is_for_another_service_or_out_of_date_or_of_another_issuer_is_refused(
    changes: dict[str, object],
) -> None:
    assert refusal(f"Bearer {token(**changes)}").status == 401


def test_a_token_whose_claims_were_changed_after_signing_is_refused() -> None:
    header, _, signature = token().split(".")
    forged = base64.urlsafe_b64encode(json.dumps({"email": ACCOUNT}).encode()).decode().rstrip("=")
    assert refusal(f"Bearer {header}.{forged}.{signature}").status == 401


def test_a_token_that_cloud_run_verified_is_read_without_its_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SERVICE", "runner")
    callers().require(f"Bearer {token().rpartition('.')[0]}.{REMOVED}")
    assert refusal(f"Bearer {token(email='editor@example.com').rpartition('.')[0]}.{REMOVED}").status == 403
    assert refusal(f"Bearer nonsense.{REMOVED}").status == 401
    elsewhere = token(aud="https://worker-abc-uc.a.run.app").rpartition(".")[0]
    assert refusal(f"Bearer {elsewhere}.{REMOVED}").status == 401


def test_away_from_cloud_run_a_token_without_a_signature_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("K_SERVICE", raising=False)
    assert refusal(f"Bearer {token().rpartition('.')[0]}.{REMOVED}").status == 401


def test_certificates_out_of_reach_are_a_reason_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("K_SERVICE", raising=False)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pytest.raises(TransientError, match="certificates"):
        Callers({ACCOUNT}, {f"https://{HOST}"}).require(f"Bearer {token()}")
