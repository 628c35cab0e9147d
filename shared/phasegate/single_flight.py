"""One piece of work serves all who ask for it at the same time."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class _Flight(Generic[Value]):
    def __init__(self) -> None:
        self.landed = threading.Event()
        self.value: Value | None = None
        self.error: BaseException | None = None


class SingleFlight(Generic[Value]):
    """A single flight is work that is shared by threads which ask for the same.

    A caller gets the outcome of work that began after it asked, never of work that was already under way: what it
    learns is as fresh as by its own work, also after a write of its own. Without a crowd each works by itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flying: dict[Hashable, _Flight[Value]] = {}
        self._waiting: dict[Hashable, _Flight[Value]] = {}

    def get(self, key: Hashable, work: Callable[[], Value]) -> Value:
        """Return the outcome of ``work``, or of the same work by another thread. Raises what the work raised."""
        with self._lock:
            flying, flight = self._flying.get(key), self._waiting.get(key)
            leads = flight is None
            if flight is None:
                flight = _Flight[Value]()
                (self._waiting if flying else self._flying)[key] = flight
        if leads:
            if flying is not None:
                flying.landed.wait()
                with self._lock:
                    self._flying[key] = self._waiting.pop(key)
            self._fly(key, flight, work)
        else:
            flight.landed.wait()
        if flight.error is not None:
            raise flight.error
        return flight.value  # type: ignore[return-value]  # no error: there is one

    def _fly(self, key: Hashable, flight: _Flight[Value], work: Callable[[], Value]) -> None:
        try:
            flight.value = work()
        except BaseException as error:
            flight.error = error
        finally:
            with self._lock:
                if self._flying.get(key) is flight:
                    del self._flying[key]
            flight.landed.set()
