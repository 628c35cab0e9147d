"""What looks like a secret is taken out of a text, and nothing else."""

import pytest

from phasegate.domain.redaction import REDACTED, redacted

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJlbWFpbCI6InNhQHgifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Authorization: Bearer {JWT}", f"Authorization: Bearer {REDACTED}"),
        ("authorization: bearer 0123456789abcdef0123", f"authorization: bearer {REDACTED}"),
        ("Basic dXNlcjpwYXNzd29yZA== was refused", f"Basic {REDACTED} was refused"),
        (f"the token {JWT} has ended", f"the token {REDACTED} has ended"),
        ("ya29.a0AfB_byC-longer and more", f"{REDACTED} and more"),
        (f"key AI{'za'}SyA-1234567890123456789012345678901 is not valid", f"key {REDACTED} is not valid"),
        (f"client GOC{'SPX'}-0123456789_abcdefghij is unknown", f"client {REDACTED} is unknown"),
        ("postgresql://me:hunter22@db/x failed", f"postgresql://{REDACTED}@db/x failed"),
        ("GET /o?a=1&X-Goog-Signature=abcdef0123&b=2", f"GET /o?a=1&X-Goog-Signature={REDACTED}&b=2"),
        ('{"access_token": "abcdefgh", "rows": 3}', f'{{"access_token": {REDACTED}", "rows": 3}}'),
        ("x-api-key: abcdef123456", f"x-api-key: {REDACTED}"),
        ("my_api_key=abcdef123456", f"my_api_key={REDACTED}"),
        ("password: hunter22222", f"password: {REDACTED}"),
        ('password = "correct horse battery" was wrong', f'password = {REDACTED}" was wrong'),
        ("aws_secret_access_key=abcdef123456", f"aws_secret_access_key={REDACTED}"),
        ("private_key=abcdef123456", f"private_key={REDACTED}"),
        ("accessToken=abcdef123456", f"accessToken={REDACTED}"),
        ("ghp_0123456789012345678901234567890123456789", REDACTED),
        ("https://u:p/w@host/x", f"https://{REDACTED}@host/x"),
        (r"{\"password\": \"hunter2222\"}", rf"{{\"password\": {REDACTED}\"}}"),
        ("client_secret=abcdefgh;", f"client_secret={REDACTED};"),
        ("api-key=abcdefgh", f"api-key={REDACTED}"),
        ("a\n-----BEGIN PRIVATE KEY-----\nMII\nabc\n-----END PRIVATE KEY-----\nb", f"a\n{REDACTED}\nb"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII cut o", REDACTED),
    ],
)
def test_a_secret_is_taken_out(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "player_boxscores: 14 of 16 rows",
        "unexpected token: 'something' at line 3",
        "token: expired",
        "https://worker.example:8080/run answered 503",
        "keys=7, tokens: 12",
        "a bearer of news",
        "nba-20261121-080129-d262/2023-10-24/phase_1_scrapers/nbac_schedule/1/17",
        "0123456789abcdef0123456789abcdef: a digest",
        "HTTP 401: basic authentication is needed",
        "assert password is None",
        "risk-adjusted-points-of-the-whole-season",
        "task-000000000000000000000000",
        "SG. Smith and SF. Jones: 2 players",
        "glossary-of-the-terms-that-follow",
        "10:AA is no time of day",
        "MOST of the rows. Some columns. None of the tables",
        "https://discord.com/api/webhooks is not reachable",
        "sort?sig=3",
    ],
)
def test_other_words_stay_as_they_are(text: str) -> None:
    assert redacted(text) == text


MADE_UP = "MadeUpForThisTest0123456789abcdefghij"
"""Letters that are nobody's key. The forms below are put together here, so that no scanner takes them for real ones."""


@pytest.mark.parametrize(
    ("before", "token"),
    [
        ("", "1/" + f"/0{MADE_UP}"),
        ("", "AK" + "IA" + "MADEUPFORTESTING"),
        ("", "AS" + "IA" + "MADEUPFORTESTING"),
        ("", "abc" + "8Q" + f"~{MADE_UP}"),
        ("https://x.blob.core.windows.net/c?sv=2024&sig=", f"{MADE_UP}%3D"),
        ("DefaultEndpointsProtocol=https;AccountKey=", f"{MADE_UP}=="),
        ("Endpoint=sb://x/;SharedAccessKey=", f"{MADE_UP}="),
        ("", "git" + f"hub_pat_{MADE_UP}"),
        ("", "gl" + f"pat-{MADE_UP}"),
        ("", "xo" + f"xb-0123456789-{MADE_UP}"),
        ("", "xo" + f"xe.xo{'xp'}-1-{MADE_UP}"),
        ("", "xa" + f"pp-1-{MADE_UP}"),
        ("https://hooks.slack.com/", f"services/T0/B0/{MADE_UP}"),
        ("https://discord.com/api/webhooks/", f"123456789012345678/{MADE_UP}"),
        ("", "M" + f"{MADE_UP[:24]}.abcdef.{MADE_UP}"),
        ("https://x.webhook.office.com/", f"webhookb2/{MADE_UP}@x/IncomingWebhook/y"),
        ("", "123456789" + f":AA{MADE_UP[:33]}"),
        ("", "sk" + f"-proj-{MADE_UP}"),
        ("", "sk" + f"_live_{MADE_UP}"),
        ("", "whs" + f"ec_{MADE_UP}"),
        ("", "hf" + f"_{MADE_UP}"),
        ("", "np" + f"m_{MADE_UP}"),
        ("", "py" + f"pi-{MADE_UP}"),
        ("", "dckr" + f"_pat_{MADE_UP}"),
        ("", "dop" + f"_v1_{'0a' * 32}"),
        ("", "da" + f"pi{'0a' * 16}"),
        ("", "hv" + f"s.{MADE_UP}"),
        ("", "S" + f"G.{MADE_UP[:22]}.{MADE_UP}"),
        ("", "S" + f"K{'0a' * 16}"),
    ],
)
@pytest.mark.parametrize(("left", "right"), [("", ""), ("sent ", " and refused"), ('{"k": "', '"}'), ("a\n", "\nb")])
def test_the_common_forms_of_cloud_and_chat_tokens_are_known(before: str, token: str, left: str, right: str) -> None:
    found = redacted(f"{left}{before}{token}{right}")
    assert found == f"{left}{before}{REDACTED}{right}"


def test_what_was_redacted_stays_as_it_is() -> None:
    text = "Bearer 0123456789abcdef0123, token=abcdefgh"
    assert redacted(redacted(text)) == redacted(text)
