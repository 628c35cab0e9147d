"""A worker in this process is foreign code: whatever it does becomes an answer, or an error that says what it did."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phasegate.adapters.factories import call_factory, load_factory
from phasegate.domain.errors import InputError, PhasegateError, TransientError
from phasegate.domain.foreign_text import is_interruption, told
from phasegate.domain.protocol.worker import ErrorClass, Offered, Said, read_offered, read_said
from phasegate.ports import ObjectStore, Warehouse, Worker


class InProcessWorker:
    """An in-process worker is the ``Worker`` port over an object that a factory made. ``sys.exit()`` below it ends a
    call and not the run.
    """

    def __init__(self, name: str, worker: Worker) -> None:
        self._name, self._worker = name, worker

    def prepare(self) -> None:
        """See the port. Raises InputError with the reason for what is no PhasegateError."""
        try:
            self._worker.prepare()
        except BaseException as error:
            if isinstance(error, PhasegateError) or is_interruption(error):
                raise
            raise InputError(f"worker '{self._name}' could not prepare: {told(error)}") from error

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """See the port. An answer of another shape is a bug, and so is a 202. Raises PhasegateError."""
        try:
            answer = self._worker.handle(path, body)
        except BaseException as error:
            if isinstance(error, PhasegateError) or is_interruption(error):
                raise
            raise TransientError(f"the worker raised {told(error)}") from error
        if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], int)):
            return bug(f"the worker's answer is no pair of status and body but a {type(answer).__name__}")
        status, content = answer
        if not isinstance(content, dict):
            return bug(f"the body of the worker's answer is no dictionary but a {type(content).__name__}")
        if status == 202:
            return bug(
                "the worker answered 202, but the event that would report its end cannot reach a run in embedded mode; "
                "let it answer when the work is done, or run with --backend gcp"
            )
        return status, content

    def made_with(self) -> Said:
        """See the port. Raises InputError with the reason for what is no PhasegateError."""
        return read_said(self._word("made_with", "what it makes rows with"))

    def offered_batches(self) -> Offered | None:
        """Say how the worker takes several dates in one request, as a ``WorkerService`` knows it; None: it does not
        say. Raises InputError with the reason for what is no PhasegateError.
        """
        return read_offered(self._word("offered_batches", "how it takes several dates"))

    def _word(self, method: str, what: str) -> object:
        """What a method of the worker returns that it need not have; None: it has none."""
        say = getattr(self._worker, method, None)
        if not callable(say):
            return None
        try:
            return say()
        except BaseException as error:
            if isinstance(error, PhasegateError) or is_interruption(error):
                raise
            raise InputError(f"worker '{self._name}' could not say {what}: {told(error)}") from error


def make_in_process(
    name: str,
    factory: str,
    pipeline_file: Path | None,
    source: Path | None,
    warehouse: Warehouse,
    objects: ObjectStore,
) -> InProcessWorker:
    """Make the worker that a pipeline file names, in this process. Raises InputError when it cannot be made."""
    try:
        worker: Worker = call_factory(factory, load_factory(pipeline_file, factory), source, warehouse, objects)
        if not all(callable(getattr(worker, method, None)) for method in ("prepare", "handle")):
            raise InputError(f"{factory} made a {type(worker).__name__}, which is no worker: no prepare and handle")
    except InputError as error:
        raise InputError(f"worker '{name}': {error}") from error
    return InProcessWorker(name, worker)


def bug(message: str) -> tuple[int, dict[str, Any]]:
    """Make the answer of a worker that is at fault."""
    return 500, {"error_class": ErrorClass.BUG.value, "message": message}
