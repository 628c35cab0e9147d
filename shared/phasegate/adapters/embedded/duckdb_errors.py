"""What an error of DuckDB means for who asked the warehouse: which of Phasegate's own errors it is, and what to do."""

from pathlib import Path

import duckdb

from phasegate.adapters.embedded.dialect.functions import reason
from phasegate.domain.errors import EvaluationError, HaltError, HomeInUse, InputError, PhasegateError, TransientError

_DAMAGE = (
    "Corrupt",
    "Could not read enough bytes",
    "replaying WAL",
    "not a valid DuckDB database",
    "Is a directory",
)
"""What DuckDB says of a file in which bytes are wrong or missing, in errors of several classes."""


_OF_A_VALUE = (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException)
"""What DuckDB raises where a value cannot be cast, or is beyond its type, and where the function ``error`` is called.
Statements that it does not understand are errors of other classes."""


def explained_at_opening(error: duckdb.Error, path: Path) -> PhasegateError:
    """Return what an error means that opening the warehouse at ``path`` met. Nothing was asked yet: what is not about
    the file's surroundings is wrong inside it."""
    if "Permission denied" in (text := str(error)) or "Read-only file system" in text:
        return InputError(f"the warehouse {path} cannot be opened for writing: {_line(text)}")
    if "version number" in text:
        return InputError(f"the warehouse {path} was written by another version of DuckDB; use that. {_line(text)}")
    found = explained(error, path)
    return found if isinstance(found, HaltError | HomeInUse) else _damaged(path, text)


def _damaged(path: Path, text: str) -> HaltError:
    log = f"{path}.wal"
    what, beside = (log, "") if "WAL" in text else (path, f" (and {log}, if it is there)")
    return HaltError(
        f"the warehouse is damaged: move {what}{beside} away, then run the same command again; what is lost with it is "
        f"found missing, and made again. DuckDB says: {_line(text)}"
    )


def _line(text: str) -> str:
    return text.splitlines()[0]


def explained(error: duckdb.Error, path: Path) -> PhasegateError:
    """Return what an error means that a statement over the warehouse at ``path`` met."""
    text = str(error)
    line = _line(text)
    if "No space left" in text:
        return HaltError(f"the disk of the warehouse {path} is full: make room, then run the same command again")
    if any(word in text for word in _DAMAGE) and (isinstance(error, duckdb.IOException) or type(error) is duckdb.Error):
        return _damaged(path, text)
    if isinstance(error, duckdb.IOException):
        if "set lock" in text:
            return HomeInUse(
                f"the warehouse {path} is in use by another process: wait until that run has ended, or stop it, "
                f"or choose another --home. DuckDB says: {line}"
            )
        if "No files found" in text or "No such file" in text:
            return InputError(f"a file that the warehouse needs is not there: {line}")
        return TransientError(f"the warehouse {path} could not be read or written: {line}")
    if isinstance(error, duckdb.TransactionException | duckdb.OutOfMemoryException | duckdb.InterruptException):
        return TransientError(f"the warehouse {path} could not finish the statement: {line}")
    if isinstance(error, duckdb.FatalException | duckdb.InternalException | duckdb.SerializationException):
        return HaltError(
            f"DuckDB failed on the warehouse {path}: {line}; run the same command again, and when it fails again, move "
            f"{path} (and {path}.wal, if it is there) away first: what is lost is found missing, and made again"
        )
    if isinstance(error, _OF_A_VALUE):
        return EvaluationError(f"the warehouse could not evaluate the statement: {reason(line)}")
    return InputError(f"the warehouse refused the statement: {line}")
