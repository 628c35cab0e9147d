"""A failure costs an attempt or none, and says when the task is tried again."""

import zlib
from collections.abc import Sequence
from datetime import timedelta

from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.spec.pipeline import FailurePolicy

_FREE = frozenset({ErrorClass.THROTTLE})
MOST_THROTTLES = 30
"""Throttled attempts of one task before it fails: 5 hours at the longest default backoff. Their facts lie in the date's
document, which holds 1 MiB (Firestore quotas)."""

_HOPELESS = frozenset({ErrorClass.BUG, ErrorClass.UNRECOVERABLE})


def costs_an_attempt(error_class: ErrorClass) -> bool:
    """Tell whether a failure is counted: a throttle is the warehouse's or the source's word about load, not about this
    task."""
    return error_class not in _FREE


def may_retry(error_class: ErrorClass, failures: Sequence[ErrorClass], policy: FailurePolicy) -> bool:
    """Tell whether one more attempt is made after these failures, the last of which is of ``error_class``.

    "Not yet" has an allowance of its own, and so have throttles; the others share one.
    """
    if error_class in _HOPELESS:
        return False
    if error_class in _FREE:
        return sum(not costs_an_attempt(each) for each in failures) < MOST_THROTTLES
    not_yet = failures.count(ErrorClass.NOT_YET)
    if error_class is ErrorClass.NOT_YET:
        return not_yet <= policy.not_yet_retries
    return sum(map(costs_an_attempt, failures)) - not_yet <= policy.retries


def backoff(policy: FailurePolicy, attempt: int, identity: str) -> timedelta:
    """Return the wait before the attempt that follows attempt number ``attempt``: doubling, capped, with jitter.

    The jitter takes off up to half and is a pure function of the identity, so that a decision made twice is the
    same decision.
    """
    ceiling = min(policy.max_backoff_seconds, policy.first_backoff_seconds * 2.0 ** min(attempt - 1, 30))
    share = zlib.crc32(f"{identity}#{attempt}".encode()) / 0xFFFFFFFF
    return timedelta(seconds=ceiling * (1 - share / 2))
