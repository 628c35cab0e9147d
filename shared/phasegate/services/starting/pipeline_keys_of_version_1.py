"""A pipeline had these keys when version 1 of a request's identity was in use (up to commit 8e42da0).

They are frozen: a key that was added since is no part of that identity, or a run begun then would not be found.
"""

from collections.abc import Mapping

Keys = Mapping[str, "Keys | None"]
"""The keys of one mapping, each with the keys of what it holds; ``*``: any key, chosen in the file; None: a value that
counts as a whole. Where there are several kinds of a thing (checks, gates, outputs), the keys of all of them."""


def _values(names: str) -> dict[str, Keys | None]:
    """Keys whose values count as a whole."""
    return dict.fromkeys(names.split())


_CHECKS = _values("name severity check exactly at_least key calendar processor keys column at_most min max query")

_PROCESSORS: Keys = {
    **_values("name aliases needs reads may_be_empty bootstrap available_from source_dates destructive queue"),
    "output": _values("kind table date_column keys fence_column other_writer path"),
    "checks": _CHECKS,
}

_OBSERVED: Keys = {
    **_values("topic statuses errors ignore timeout_seconds"),
    "fields": _values("date processor status id rows message error"),
}

_PHASES: Keys = {
    **_values("name released_with"),
    "dispatch": {
        **_values("worker path date_field processor_field results timeout_seconds queue"),
        "observed": _OBSERVED,
    },
    "gates": _values("for check phase processors dates days scope"),
    "failure": _values(
        "retries not_yet_retries first_backoff_seconds max_backoff_seconds then tolerated_dates tolerated_percent brake"
    ),
    "limits": _values("active_dates"),
    "checks": _CHECKS,
    "processors": _PROCESSORS,
}

PIPELINE_KEYS: Keys = {
    **_values("schema_version pipeline description timezone live_window history_table"),
    "calendar": {
        **_values(
            "table date_column season_column condition left_out numbers entities playoffs bootstrap_days",
        ),
        "sources": {"*": _values("table date_column file otherwise")},
    },
    "workers": {"*": _values("factory url version")},
    "queues": {"*": _values("max_per_second max_concurrent min_backoff_seconds max_backoff_seconds")},
    "profiles": {"*": {**_values("phases canary"), "ramp": _values("active_dates until_finished")}},
    "phases": _PHASES,
    "report": {
        **_values("table"),
        "critical": _values("processor columns"),
        "averages": _values("processor columns"),
        "quality": _values("processor column"),
        "compared": _values("key processor against"),
    },
}
