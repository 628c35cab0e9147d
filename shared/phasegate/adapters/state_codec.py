"""Every store of state writes runs, plans, boards, facts and cells alike, and reads them back here.

A document that another version of the program wrote is refused, with one text for all of them.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from phasegate.domain.errors import InputError
from phasegate.domain.plan import PLAN_VERSION, Plan
from phasegate.domain.state.board import BOARD_VERSION, Board
from phasegate.domain.state.facts import FACT_NAMES, Cell, Fact
from phasegate.domain.state.run import RUN_VERSION, Run

Document = dict[str, Any]

_FACTS: Mapping[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for kind, name in FACT_NAMES.items()}
_CELL = TypeAdapter(Cell)


def run_of(document: Document) -> Run:
    """Return the run of its document. Raises InputError for another version."""
    _refuse_other_version("run", document.get("run_id"), document, RUN_VERSION)
    return Run.model_validate(document)


def plan_of(run_id: str, document: Document) -> Plan:
    """Return the plan of its document. Raises InputError for another version."""
    require_plan_version(run_id, document)
    return Plan.model_validate(document)


def require_plan_version(run_id: str, document: Document) -> None:
    """Refuse a document of another version than this program reads: raises InputError."""
    _refuse_other_version("plan", run_id, document, PLAN_VERSION)


def board_of(run_id: str, document: Document) -> Board:
    """Return the board of its document. Raises InputError for another version, and for one that cannot be read."""
    _refuse_other_version("board", run_id, document, BOARD_VERSION)
    try:
        return Board.from_document(document)
    except ValueError as error:
        raise InputError(f"the board of run '{run_id}' is damaged: {error}") from error


def _refuse_other_version(what: str, run_id: object, document: Document, known: int) -> None:
    version = document.get("schema_version")
    if version != known:
        raise InputError(
            f"the {what} of run '{run_id}' has version {version}, this program reads {known}; "
            "use the program that made it"
        )


def fact_to_json(fact: Fact) -> str:
    """Write a fact as a JSON document."""
    return to_json(fact).decode()


def fact_from_json(name: str, text: str) -> Fact:
    """Return the fact stored under a field's name. Raises ValueError for a document of another shape."""
    fact: Fact = _FACTS[name].validate_json(text)
    return fact


def fact_of(name: str, document: Document) -> Fact:
    """Return the fact of a document of Python's values, stored under a field's name."""
    fact: Fact = _FACTS[name].validate_python(document)
    return fact


def cell_to_json(cell: Cell) -> str:
    """Write a cell as a JSON document."""
    return _CELL.dump_json(cell, by_alias=True).decode()


def cell_to_document(cell: Cell) -> Document:
    """Return a cell as a document of Python's values: dictionaries, lists of verdicts, ``datetime``."""
    document: Document = _CELL.dump_python(cell, by_alias=True)
    return document


def cell_from_json(text: str) -> Cell:
    """Return the cell of a JSON document. Raises ValueError for a document of another shape."""
    return _CELL.validate_json(text)


def cell_of(document: Document) -> Cell:
    """Return the cell of a document of Python's values."""
    return _CELL.validate_python(document)
