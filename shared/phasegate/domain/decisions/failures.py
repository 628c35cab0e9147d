"""A failure costs an attempt or none, and says when the task is tried again."""

import zlib
from collections.abc import Sequence
from datetime import timedelta

from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.spec.pipeline import FailurePolicy
from phasegate.domain.state.unsound import Failure

_FREE = frozenset({ErrorClass.THROTTLE})
MOST_THROTTLES = 16
"""Throttled attempts of one task before it fails: 4 hours at the longest default backoff. Their facts lie in the date's
document, which holds 1 MiB (Firestore quotas)."""

REFUSED_AGAIN = (timedelta(minutes=1), timedelta(minutes=4))
"""The waits before a worker that was refused to the runner (401, 403, 404) is tried again."""

_HOPELESS = frozenset({ErrorClass.BUG, ErrorClass.UNRECOVERABLE})


def costs_an_attempt(error_class: ErrorClass) -> bool:
    """Tell whether a failure is counted: a throttle is the warehouse's or the source's word about load, not about this
    task."""
    return error_class not in _FREE


def may_retry(failures: Sequence[Failure], policy: FailurePolicy) -> bool:
    """Tell whether one more attempt is made after these failures, of which there is at least one.

    "Not yet" has an allowance of its own, and so have throttles and refusals; the others share one.
    """
    last, refused = failures[-1], _refusals(failures)
    if _is_refusal(last):
        return refused <= len(REFUSED_AGAIN)
    if last.error_class in _HOPELESS:
        return False
    classes = [each.error_class for each in failures]
    if last.error_class in _FREE:
        return sum(not costs_an_attempt(each) for each in classes) < MOST_THROTTLES
    not_yet = classes.count(ErrorClass.NOT_YET)
    if last.error_class is ErrorClass.NOT_YET:
        return not_yet <= policy.not_yet_retries
    return sum(map(costs_an_attempt, classes)) - not_yet - refused <= policy.retries


def wait(policy: FailurePolicy, failures: Sequence[Failure], identity: str) -> timedelta:
    """Return the wait before the attempt that follows these failures. identity: see ``backoff``."""
    refused = _refusals(failures)
    if _is_refusal(failures[-1]):
        return REFUSED_AGAIN[min(refused, len(REFUSED_AGAIN)) - 1]
    return backoff(policy, len(failures) - refused, identity)


def _refusals(failures: Sequence[Failure]) -> int:
    return sum(map(_is_refusal, failures))


def _is_refusal(failure: Failure) -> bool:
    return failure.http_status is not None and not failure.needs_a_person


def backoff(policy: FailurePolicy, attempt: int, identity: str) -> timedelta:
    """Return the wait before the attempt that follows attempt number ``attempt``: doubling, capped, with jitter.

    The jitter takes off up to half and is a pure function of the identity, so that a decision made twice is the
    same decision.
    """
    ceiling = min(policy.max_backoff_seconds, policy.first_backoff_seconds * 2.0 ** min(attempt - 1, 30))
    share = zlib.crc32(f"{identity}#{attempt}".encode()) / 0xFFFFFFFF
    return timedelta(seconds=ceiling * (1 - share / 2))
