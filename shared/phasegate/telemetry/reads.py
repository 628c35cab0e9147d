"""Reads are counted for the piece of work that they are made for, whoever makes them on its behalf.

A warehouse that is told what a statement read says so here; a counter hears of all that was read within it, in its own
thread and in those that were given its context.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from phasegate.domain.state.reads import Reads


class ReadCounter:
    """A counter hears of statements. Thread-safe."""

    def __init__(self) -> None:
        self._sizes: list[int] = []

    def add(self, size: int) -> None:
        """Count a statement that read so many bytes."""
        self._sizes.append(size)

    @property
    def reads(self) -> Reads:
        """Sum up what was read so far."""
        return Reads(len(self._sizes), sum(self._sizes))


_counters: ContextVar[tuple[ReadCounter, ...]] = ContextVar("phasegate_read_counters", default=())


@contextmanager
def counting_reads() -> Iterator[ReadCounter]:
    """Count what is read within; a counter around this one hears of it too."""
    counter = ReadCounter()
    token = _counters.set((*_counters.get(), counter))
    try:
        yield counter
    finally:
        _counters.reset(token)


def note_read(size: int) -> None:
    """Tell whoever counts that a statement read so many bytes."""
    for counter in _counters.get():
        counter.add(size)
