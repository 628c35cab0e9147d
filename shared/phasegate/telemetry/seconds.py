"""Seconds are counted for the piece of work that they are spent for, whoever spends them on its behalf."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class StopWatch:
    """A stopwatch adds up the time that is spent on its subject, in seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """The seconds so far."""


_proofs: ContextVar[StopWatch | None] = ContextVar("phasegate_seconds_of_proofs", default=None)


@contextmanager
def timing_proofs() -> Iterator[StopWatch]:
    """Count the seconds that are spent on proofs within, in this thread."""
    watch = StopWatch()
    token = _proofs.set(watch)
    try:
        yield watch
    finally:
        _proofs.reset(token)


@contextmanager
def proving() -> Iterator[None]:
    """Tell whoever counts that what is done within is done to prove what tables hold, or to judge it."""
    watch = _proofs.get()
    begun = time.perf_counter()
    try:
        yield
    finally:
        if watch is not None:
            watch.seconds += time.perf_counter() - begun
