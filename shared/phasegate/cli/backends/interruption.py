"""Ctrl-C interrupts a run that is followed in the foreground, and ends at once what only looks at one."""

import os
import signal
import threading
from contextlib import suppress
from typing import Any

from phasegate.cli.output import EXIT_INTERRUPTED, say

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def leave_at_once() -> None:
    """From now on Ctrl-C ends the process, wherever it is: no library that it calls can hold the exception back."""
    signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(EXIT_INTERRUPTED))


class Interruption:
    """Ctrl-C (or SIGTERM) asks for a drain; a second one leaves at once. Nothing is lost either way.

    Signals are heard by a thread of their own: the main thread may be held up in a library or by a worker, and Python
    would tell it of them only afterwards. Once asked, this goes on to the end of the process.
    """

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, Any] = {}

    def is_asked(self) -> bool:
        """Tell whether somebody asked to stop."""
        return self._asked

    def __enter__(self) -> "Interruption":
        """Take over the signals."""
        heard, self._told = os.pipe()
        os.set_blocking(self._told, False)
        # The way to the thread first: a signal that comes in between is told of, and none is lost.
        self._told_before = signal.set_wakeup_fd(self._told, warn_on_full_buffer=False)
        threading.Thread(target=self._listen, args=(heard,), name="signals", daemon=True).start()
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, lambda _number, _frame: None)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back, unless one came: then this process is about to end."""
        if self._asked:
            return
        signal.set_wakeup_fd(self._told_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._told)

    def _listen(self, heard: int) -> None:
        with os.fdopen(heard, "rb", buffering=0) as signals:
            while number := signals.read(1):
                if number[0] in _SIGNALS:
                    self._handle()

    def _handle(self) -> None:
        if self._asked:
            os._exit(EXIT_INTERRUPTED)
        self._asked = True
        with suppress(OSError, ValueError):  # Nobody may be there to read it: the next signal is heard all the same.
            say("draining: what runs is waited for until its deadline; once more leaves at once")
