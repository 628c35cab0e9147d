"""These are the errors that a person is meant to read.

Every message says what was wrong, where, and what to do about it. The command line turns each
class into an exit status; an HTTP entry point turns it into a response code.
"""

from collections.abc import Callable


class PhasegateError(Exception):
    """Every error that Phasegate raises on purpose descends from this one."""


class InputError(PhasegateError):
    """A file, flag, name or date given by the user is wrong. Nothing was written. Exit 2, HTTP 400."""


class StatementRefused(InputError):
    """A SQL statement cannot be read, names what is not there, or is not known to mean here what it means in BigQuery.

    sentence: what is wrong, and what to write in its place. line, column: where in the statement, from 1; None: it is
    about no one part of it.
    """

    def __init__(self, sentence: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(sentence if line is None else f"line {line}, column {column}: {sentence}")
        self.sentence, self.line, self.column = sentence, line, column

    def __reduce__(self) -> tuple[type["StatementRefused"], tuple[object, ...]]:
        """Be made again of what it was made of."""
        return type(self), (self.sentence, self.line, self.column)


class TypesDoNotFit(StatementRefused):
    """A statement puts values beside each other whose types have nothing in common, which BigQuery refuses too: of
    other columns it may be answered."""


class TableNotThere(StatementRefused):
    """A statement names a table that is not there. table: which one."""

    def __init__(self, table: str, sentence: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(sentence, line, column)
        self.table = table

    def __reduce__(self) -> tuple[type["StatementRefused"], tuple[object, ...]]:
        """Be made again of what it was made of."""
        return type(self), (self.table, self.sentence, self.line, self.column)


class EvaluationError(InputError):
    """A statement is sound, and a value that it met made it fail: a cast, a division by zero. Of other rows it may be
    answered."""


class NoSchedule(InputError):
    """What a schedule is read from is not there."""


class NothingStale(InputError):
    """What is stale was asked to be made again, and nothing is."""


class HaltError(PhasegateError):
    """The run cannot go on until a person acts (a full disk, a damaged file). Exit 3, HTTP 503."""


class ReadsTooMuch(HaltError):
    """A statement would read more than a person allowed, and was not run. Tried again it is refused again."""


class CommitTooLarge(PhasegateError):
    """One commit would take more than the store takes at once. Nothing was written; that of fewer dates is smaller."""


class HomeInUse(InputError):
    """Another process holds the home folder's engine lock or its warehouse."""


class StaleFence(PhasegateError):
    """A write was refused because the partition already carries a higher fence. HTTP 409."""


YIELDS_NOTHING = "and this attempt yields 0: nothing was changed"
"""How the message of a ``WouldEmpty`` ends. It comes from a worker as text, and ``explain`` knows it by that."""
NOBODYS = "which no attempt wrote"
"""What it says of rows that carry no fence; known in the same way."""


class WouldEmpty(PhasegateError):
    """A write was refused because it would leave nothing where rows stand.

    partition: what was to be written. fence: that of the write. rows: how many stand there. is_fenced: whether an
    attempt wrote them. empty: deletes them after all and returns how many there were; whoever refuses gives it.
    """

    def __init__(
        self, message: str, partition: object = None, fence: int = 0, rows: int = 0, is_fenced: bool = True
    ) -> None:
        super().__init__(message, partition, fence, rows, is_fenced)
        self.partition, self.fence, self.rows, self.is_fenced = partition, fence, rows, is_fenced
        self.empty: Callable[[], int] = lambda: 0

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[type["WouldEmpty"], tuple[object, ...]]:
        """Leave out ``empty``, which belongs to the process of its warehouse."""
        return type(self), self.args


class TransientError(PhasegateError):
    """An operation failed in a way that a later try may mend. HTTP 503."""


class NoAnswer(TransientError):
    """A request was sent and nothing came back: what it asked for may still be done."""


class UnknownRun(InputError):
    """A run is named that is not there."""


class NameIsTaken(InputError):
    """A new run may not have this name, though no run has it: one that had it was forgotten not long ago."""


class UnreadableRun(InputError):
    """What is stored of one run cannot be read by this version of the program. Every other run goes on."""
