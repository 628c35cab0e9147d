"""One thing in Google Cloud is examined here, also when it is not there or may not be seen."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from google.api_core import exceptions

from phasegate.adapters.gcp.http.errors import HTTP_ERRORS, message_of
from phasegate.domain.operations.preflight import PreflightLine, failed, passed, unanswered, warned

PATIENCE_SECONDS = 10.0
"""How long one thing is asked for: a person waits for a start, and there are some twenty things to ask."""


def examine(check: str, subject: str, role: str, wrong: Callable[[], Iterable[tuple[str, str]]]) -> list[PreflightLine]:
    """Return the lines about one thing: a FAIL for each (detail, remedy) that is wrong with it, else a PASS.

    role: what an identity needs in order to see it; without it there is a WARN, because nothing was seen.
    """
    try:
        found = list(wrong())
    except exceptions.NotFound:
        return [failed(check, subject, "is not there", "apply the deployment (`phasegate stack up` on one machine)")]
    except (exceptions.Forbidden, exceptions.Unauthorized) as error:
        return [warned(check, subject, f"not checked: {message_of(error)}", f"grant {role} to who asks")]
    except HTTP_ERRORS as error:
        return [unanswered(check, subject, message_of(error))]
    return [failed(check, subject, *each) for each in found] or [passed(check, subject, "is as it must be")]


def differences(found: Iterable[tuple[str, object, object]]) -> Iterator[tuple[str, str]]:
    """Yield (detail, remedy) for each (name, value, value that must be) whose two values differ."""
    for name, value, due in found:
        if value != due:
            yield f"{name} is {value}", f"it must be {due}: apply the deployment"


def seconds(span: Any) -> float:
    """Return the seconds of a duration: the clients annotate Google's Duration, and give a timedelta."""
    return float(span.total_seconds())


def is_emulated(variable: str) -> bool:
    """Whether a service is an emulator, which knows nothing of rights and quotas."""
    return bool(os.environ.get(variable))


def emulated(check: str, subject: str) -> PreflightLine:
    """Return a line for what an emulator cannot answer."""
    return warned(check, subject, "not checked: an emulator", "check it in the project that you deploy to")
