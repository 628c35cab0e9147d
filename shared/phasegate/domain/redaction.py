"""Redaction takes out of a text what looks like a secret: others' words end in state, logs and reports, which many may
read."""

import re

REDACTED = "[redacted]"

_SECRETS = re.compile(
    r"""
    -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z\ ]*PRIVATE\ KEY-----|\Z)   # a private key
    | \beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?                                            # a JSON web token (RFC 7519)
    | \bya29\.[\w.-]+                                                                   # Google's access tokens
    | \bAIza[\w-]{35}                                                                   # Google's API keys
    | \bGOCSPX-[\w-]{20,}                                                               # Google's client secrets
    | (?<=://)[^/\s:@]+:[^\s@]+(?=@)                                                    # user and password in a URL
    | (?:(?<=bearer\ )|(?<=basic\ ))[\w.~+/=-]{16,}                                     # an Authorization header
    | \bgh[pousr]_\w{30,}                                                               # GitHub's tokens
    | (?<![\w-])(?P<name>
        \\?["']?(?:[\w-]*(?:password|passwd|secret|signature|(?:api|access|private|secret)[_-]?key|[_-]token)|accesstoken)
        \\?["']?\s*[=:]\s* | \\?["']?token(?:\\?["']\s*:|\\?["']?\s*=)\s*
      )(?:\\?"[^"\\]{6,}|'[^']{6,}|[^\s"'&,;}\\]{6,})                                    # name=value, "name": "value"
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)


def redacted(text: str) -> str:
    """Put ``[redacted]`` where the text holds a key, a token, a password or a signature in one of the usual forms.

    A guess: it knows forms, not secrets. ``token: word`` is left alone, parsers speak so. What is kept out of messages
    in the first place needs no luck.
    """
    return _SECRETS.sub(lambda found: f"{found['name'] or ''}{REDACTED}", text) if text else text
