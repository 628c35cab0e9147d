"""Every store of state writes runs, plans and boards alike, and reads them back here; ``fact_codec`` has the rest.

A document that this program cannot read is refused, whatever is wrong with it, as one run's: UnreadableRun.
"""

import json
import zlib
from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from phasegate.domain.errors import UnreadableRun
from phasegate.domain.plan import PLAN_MINOR, PLAN_VERSION, Plan, PlanScope
from phasegate.domain.state.board import BOARD_VERSION, Board
from phasegate.domain.state.run import RUN_MINOR, RUN_VERSION, Run, UnreadableDocument

Document = dict[str, Any]
Read = TypeVar("Read")
Model = TypeVar("Model", bound=BaseModel)

REMEDY = "use the version of the program that made it, which can also cancel it; every other run goes on"

DAMAGE = (ValueError, LookupError, TypeError, AttributeError, EOFError, OSError, RecursionError, zlib.error)
"""What a document of another shape does to whatever reads it: pydantic, JSON, gzip and our own lines."""


def readable(what: str, run_id: object, read: Callable[[], Read]) -> Read:
    """Read something that is stored of a run. Raises UnreadableRun, with the remedy, for whatever cannot be read."""
    try:
        return read()
    except DAMAGE as error:
        raise UnreadableRun(f"the {what} of run '{run_id}' cannot be read ({_sentence(error)}); {REMEDY}") from error


def run_of(run_id: str, document: Document) -> Run:
    """Return the run of its document. Raises UnreadableRun for another version, and for what cannot be read."""
    _refuse_other_version("run", run_id, document, RUN_VERSION)
    return readable("document", run_id, lambda: Run.model_validate(_known(Run, document, RUN_MINOR)))


def run_from_json(run_id: str, text: str) -> Run:
    """Return the run of its document as JSON; raises as ``run_of`` does."""
    return run_of(run_id, readable("document", run_id, lambda: json_object(text)))


def run_or_reason(run_id: str, read: Callable[[], Document]) -> Run | UnreadableDocument:
    """Return a run among others: one that cannot be read is told of, and stands in the way of none."""
    document: Document = {}
    try:
        document = readable("document", run_id, read)
        return run_of(run_id, document)
    except UnreadableRun as error:
        pipeline, source = (each if isinstance(each := document.get(n), str) else None for n in ("pipeline", "source"))
        return UnreadableDocument(run_id, str(error), pipeline, source)


def changed_run(document: Document, run: Run) -> Document:
    """Return the document of a run that was changed: what a newer version has put there, and this one did not read,
    stays."""
    return {**document, **run.model_dump(mode="json")}


def plan_of(run_id: str, document: Document) -> Plan:
    """Return the plan of its document. Raises UnreadableRun for another version, and for what cannot be read."""
    require_plan_version(run_id, document)
    return readable("plan", run_id, lambda: Plan.model_validate(_known(Plan, document, PLAN_MINOR)))


def plan_from_json(run_id: str, text: str | bytes) -> Plan:
    """Return the plan of its document as JSON; raises as ``plan_of`` does."""
    return plan_of(run_id, readable("plan", run_id, lambda: json_object(text)))


def scope_from_json(run_id: str, text: str) -> PlanScope:
    """Return the scope of a plan's document as JSON, of which other keys may be missing; raises as ``plan_of`` does
    for another version and an unknown key."""
    document = readable("plan", run_id, lambda: json_object(text))
    require_plan_version(run_id, document)
    return readable("plan", run_id, lambda: _scope_of(document))


def _scope_of(document: Document) -> PlanScope:
    if unknown := _known(Plan, document, PLAN_MINOR).keys() - Plan.model_fields.keys():
        raise ValueError(f"{min(unknown)}: unknown key")
    scope = PlanScope(tuple(document["phases"]), tuple(map(date.fromisoformat, document["days"])))
    if not all(scope) or not all(isinstance(phase, str) for phase in scope.phases):
        raise ValueError("phases and dates are expected")
    return scope


def require_plan_version(run_id: str, document: Document) -> None:
    """Refuse a document of another version than this program reads: raises UnreadableRun."""
    _refuse_other_version("plan", run_id, document, PLAN_VERSION)


def board_of(run_id: str, document: Document) -> Board:
    """Return the board of its document. Raises UnreadableRun for another version, and for what cannot be read."""
    _refuse_other_version("board", run_id, document, BOARD_VERSION)
    return readable("board", run_id, lambda: Board.from_document(document))


def board_from_json(run_id: str, text: str) -> Board:
    """Return the board of its document as JSON; raises as ``board_of`` does."""
    return board_of(run_id, readable("board", run_id, lambda: json_object(text)))


def json_object(text: str | bytes) -> Document:
    """Return the object of a JSON text. Raises ValueError or TypeError for what is none."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError(f"an object is expected, and {type(found).__name__} is there")
    return found


def _known(model: type[Model], document: Document, minor: int) -> Document:
    """The keys of a document that its model has, where a newer minor version has written it; else all of them."""
    if not isinstance(written := document.get("schema_minor", 0), int) or written <= minor:
        return document
    known = {name for field, info in model.model_fields.items() for name in (field, info.alias)}
    return {key: value for key, value in document.items() if key in known}


def _refuse_other_version(what: str, run_id: object, document: Document, known: int) -> None:
    version = document.get("schema_version")
    if version != known:
        raise UnreadableRun(f"the {what} of run '{run_id}' has version {version}, this program reads {known}; {REMEDY}")


def _sentence(error: BaseException) -> str:
    """What is wrong, in a line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        what = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        return f"{'.'.join(map(str, first['loc'])) or 'document'}: {what}"
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
