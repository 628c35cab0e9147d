"""Ctrl-C interrupts a run that is followed in the foreground, and ends at once what only looks at one."""

import os
import signal
from types import FrameType
from typing import Any

from phasegate.cli.output import EXIT_INTERRUPTED, say


def leave_at_once() -> None:
    """From now on Ctrl-C ends the process, wherever it is: no library that it calls can hold the exception back."""
    signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(EXIT_INTERRUPTED))


class Interruption:
    """Ctrl-C (or SIGTERM) asks for a drain; a second one leaves at once. Nothing is lost either way."""

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, Any] = {}

    def is_asked(self) -> bool:
        """Tell whether somebody asked to stop."""
        return self._asked

    def __enter__(self) -> "Interruption":
        """Take over the signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            os._exit(EXIT_INTERRUPTED)
        self._asked = True
        say("draining: what runs is waited for; once more leaves at once")
