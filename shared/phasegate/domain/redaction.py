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
    | \b1//0[\w-]{30,}                                                                  # Google's refresh tokens
    | (?-i:\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b)                                     # Amazon's access keys
    | (?-i:(?<![\w~.-])[\w~.-]{3}\dQ~[\w~.-]{31,})                                      # Microsoft's client secrets
    | (?<=[?&]sig=)[\w%+/=-]{16,}                                                       # a shared access signature
    | \bgh[pousr]_\w{30,} | \bgithub_pat_\w{22,}                                        # GitHub's tokens
    | \bgl(?:pat|[cdfpr]t|cbt|ptt|soat|imt)-[\w-]{20,}                                  # GitLab's tokens
    | \bxox[a-z](?:\.xox[a-z])?-[\w-]{10,} | \bxapp-\d-[\w-]{10,}                       # Slack's tokens
    | (?<=hooks\.slack\.com/)(?:services|workflows|triggers)/[\w/-]{16,}                # Slack's web hooks
    | (?<=/api/webhooks/)\d{5,}/[\w-]{20,}                                              # Discord's web hooks
    | (?-i:\b[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,})                                   # Discord's bots
    | (?<=webhook\.office\.com/)webhookb2/[^\s"']{16,}                                  # Teams' web hooks
    | (?<!\d)\d{8,10}:AA[\w-]{32,}                                                      # Telegram's bots
    | \bsk-[\w-]{20,} | \b[rs]k_(?:live|test)_\w{16,} | \bwhsec_[\w+/=]{16,}           # keys of paid services
    | \bhf_\w{30,} | \bnpm_\w{30,} | \bpypi-[\w-]{30,} | \bdckr_pat_[\w-]{20,}          # keys of registries
    | \bdo[opr]_v1_[0-9a-f]{40,} | \bdapi[0-9a-f]{32} | \bhv[sbr]\.[\w-]{20,}            # of platforms
    | \bSG\.[\w-]{16,}\.[\w-]{16,} | (?-i:\bSK[0-9a-f]{32}\b)                          # SendGrid, Twilio
    | (?<![\w-])(?P<name>
        \\?["']?(?:[\w-]*(?:password|passwd|secret|signature|(?:api|access|account|private|secret|storage)[_-]?key|[_-]token)|accesstoken)
        \\?["']?\s*[=:]\s* | \\?["']?token(?:\\?["']\s*:|\\?["']?\s*=)\s*
      )(?:\\?"[^"\\]{6,}|'[^']{6,}|[^\s"'&,;}\\]{6,})                                    # name=value, "name": "value"
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)


SHORTEST = 8
"""A text of fewer characters, a version for example, holds no form; most texts of an event are such."""


def redacted(text: str) -> str:
    """Put ``[redacted]`` where the text holds a key, a token, a password or a signature in one of the usual forms.

    A guess: it knows forms, not secrets. ``token: word`` is left alone, parsers speak so. What is kept out of messages
    in the first place needs no luck.
    """
    if len(text) < SHORTEST:
        return text
    return _SECRETS.sub(lambda found: f"{found['name'] or ''}{REDACTED}", text)
