"""Every store of state writes facts and cells alike, and reads them back here."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from phasegate.adapters.state_codec import Document
from phasegate.domain.state.facts import FACT_NAMES, Cell, Fact

_FACTS: Mapping[str, type[Fact]] = {name: kind for kind, name in FACT_NAMES.items()}


class _Adapters(dict[type[Any], TypeAdapter[Any]]):
    """What reads and writes a type; made when it is first needed, as that takes a millisecond each."""

    def __missing__(self, kind: type[Any]) -> TypeAdapter[Any]:
        return self.setdefault(kind, TypeAdapter(kind))


_ADAPTERS = _Adapters()


def fact_to_json(fact: Fact) -> str:
    """Write a fact as a JSON document."""
    return _ADAPTERS[type(fact)].serializer.to_json(fact, warnings=False).decode()


def fact_from_json(name: str, text: str) -> Fact:
    """Return the fact stored under a field's name. Raises ValueError for a document of another shape."""
    fact: Fact = _ADAPTERS[_FACTS[name]].validator.validate_json(text)
    return fact


def fact_of(name: str, document: Document) -> Fact:
    """Return the fact of a document of Python's values, stored under a field's name."""
    fact: Fact = _ADAPTERS[_FACTS[name]].validate_python(document)
    return fact


def cell_to_json(cell: Cell) -> str:
    """Write a cell as a JSON document."""
    return _ADAPTERS[Cell].dump_json(cell, by_alias=True).decode()


def cell_to_document(cell: Cell) -> Document:
    """Return a cell as a document of Python's values: dictionaries, lists of verdicts, ``datetime``."""
    document: Document = _ADAPTERS[Cell].dump_python(cell, by_alias=True)
    return document


def cell_from_json(text: str) -> Cell:
    """Return the cell of a JSON document. Raises ValueError for a document of another shape."""
    cell: Cell = _ADAPTERS[Cell].validate_json(text)
    return cell


def cell_of(document: Document) -> Cell:
    """Return the cell of a document of Python's values."""
    cell: Cell = _ADAPTERS[Cell].validate_python(document)
    return cell
