"""What a table would be made with now is asked of its worker, or of the SELECT in the plan, where a record says what it
was made with."""

import logging
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache

from phasegate.domain.decisions.stale import Records
from phasegate.domain.errors import PhasegateError
from phasegate.domain.plan import PlanIndex, TaskSpec
from phasegate.domain.protocol.worker import Said
from phasegate.domain.spec.dispatch import Observed
from phasegate.domain.spec.pipeline import Pipeline, Processor
from phasegate.ports import Worker
from phasegate.worker.statement import hash_of_statement

_log = logging.getLogger(__name__)

AskWorkers = Callable[[Collection[str]], Mapping[str, Said]]
"""Asks workers, by their names in the pipeline file. One that cannot be asked is absent from the answer."""


def ask_nobody(_: Collection[str]) -> Mapping[str, Said]:
    """Ask no worker."""
    return {}


def asked_once(ask_workers: AskWorkers) -> AskWorkers:
    """Ask each worker once, whatever it answers, and however often it is asked for."""
    known: dict[str, Said] = {}

    def ask(names: Collection[str]) -> Mapping[str, Said]:
        if new := sorted(set(names).difference(known)):
            known.update({name: {} for name in new} | dict(ask_workers(new)))
        return {name: known[name] for name in names}

    return ask


def said_by(workers: Mapping[str, Worker]) -> dict[str, Said]:
    """Ask these workers. One that cannot be asked is warned of: the versions of the pipeline file decide about what it
    made."""
    said: dict[str, Said] = {}
    for name, worker in workers.items():
        try:
            said[name] = worker.made_with()
        except PhasegateError as error:
            warn_unasked(name, error)
    return said


def warn_unasked(name: str, error: PhasegateError) -> None:
    """Warn that a worker could not be asked."""
    _log.warning("worker '%s' could not be asked whether it makes its rows with something else now: %s", name, error)


def made_with_now(index: PlanIndex, records: Records, ask_workers: AskWorkers) -> dict[str, str]:
    """Find what would make the tables now of which a record says what made them, by ref; what nobody says is absent."""
    tasks = [
        (task, task.dispatch)
        for task in index.tasks
        if not isinstance(task.dispatch, Observed) and any(r.made_with for r in records.get(task.ref, {}).values())
    ]
    said = ask_workers({dispatch.worker for task, dispatch in tasks if task.spec.sql is None})
    found = {
        task.ref: _word(task, said.get(dispatch.worker, {}).get(dispatch.path, {}))
        if task.spec.sql is None
        else made_with_of(index.plan.pipeline, task.spec)
        for task, dispatch in tasks
    }
    return {ref: word for ref, word in found.items() if word}


def made_with_of(pipeline: Pipeline, processor: Processor) -> str:
    """Return what a processor that is a SELECT makes its rows with: the hash of the statement."""
    return _hash(pipeline.select_of(processor))


_hash = lru_cache(maxsize=512)(hash_of_statement)


def _word(task: TaskSpec, of_path: Mapping[str, str]) -> str:
    """What is said of a task's processor, by its name or another one of it."""
    return next((of_path[name] for name in (task.processor, *task.spec.aliases) if name in of_path), "")
