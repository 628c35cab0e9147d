"""While a process drives a run, what the services log goes to the run's log file, and on wish to standard error."""

import logging
import sys
from pathlib import Path

from phasegate.domain.redaction import redacted
from phasegate.telemetry.logs import OneLine

CONDUCTOR = "phasegate.services.running.conductor"
"""Its one line a pass says how a run goes on; all other loggers are heard from warnings on."""


class RunLog:
    """A run log listens as a context manager; logging is as it was before when it ends.

    Raises OSError for a file that cannot be written.
    """

    def __init__(self, file: Path, *, is_verbose: bool) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._handlers: list[logging.Handler] = [logging.FileHandler(file, encoding="utf-8")]
        if is_verbose:
            self._handlers.append(_ToStandardError())
        for handler in self._handlers:
            handler.setFormatter(_WithoutSecrets("%(asctime)s %(name)s %(message)s"))

    def __enter__(self) -> "RunLog":
        """Begin to listen."""
        root, conductor = logging.getLogger(), logging.getLogger(CONDUCTOR)
        self._before = (root.handlers[:], root.level, conductor.level, logging.raiseExceptions)
        root.handlers[:] = self._handlers
        root.setLevel(logging.WARNING)
        conductor.setLevel(logging.INFO)
        logging.raiseExceptions = False
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        root, conductor = logging.getLogger(), logging.getLogger(CONDUCTOR)
        root.handlers[:], root_level, conductor_level, logging.raiseExceptions = self._before
        root.setLevel(root_level)
        conductor.setLevel(conductor_level)
        for handler in self._handlers:
            handler.close()


class _WithoutSecrets(OneLine):
    """A record is one line, and nothing that looks like a secret is written."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return redacted(super().format(record))


class _ToStandardError(logging.Handler):
    """Writes on what is standard error at that moment: the live display puts its own there."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record as one line."""
        print(self.format(record), file=sys.stderr, flush=True)  # noqa: T201 - the command line's own output
