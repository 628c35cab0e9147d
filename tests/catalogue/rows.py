"""Rows of the catalogue whose scenarios need emulators."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

Mutation = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Row:
    """A scenario, the fixtures of the emulators that it needs, and what turns it red."""

    scenario: Callable[[Path, pytest.MonkeyPatch], None]
    needs: tuple[str, ...]
    mutations: tuple[Mutation, ...]


Act = Callable[[Row], None]
"""Runs the scenario of a row."""


@dataclass(frozen=True)
class Mutated:
    """A row, and one of its mutations."""

    row: str
    mutate: Mutation

    def __str__(self) -> str:
        return f"{self.row}-{self.mutate.__name__.lstrip('_')}"


def mutations_of(rows: Mapping[str, Row]) -> list[Mutated]:
    """Every mutation of the rows."""
    return [Mutated(name, mutation) for name, row in rows.items() for mutation in row.mutations]
