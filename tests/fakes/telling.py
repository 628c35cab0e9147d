"""A warehouse and a state that stand in for BigQuery's and Firestore's where reads are counted."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from phasegate import telemetry
from phasegate.domain.state.reads import Reads
from phasegate.ports import Parameter, State, Warehouse

STATEMENT = 1_000
"""Bytes that every statement is said to have read."""


class TellingWarehouse:
    """Tells of every SELECT, as the warehouse of a deployment does. ``asked``: how many there were."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse, self.asked = warehouse, 0

    def query(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> list[Any]:
        """See the port."""
        self._tell(1)
        return self._warehouse.query(sql, parameters)

    def ask(self, questions: Sequence[tuple[str, Mapping[str, Parameter]]]) -> list[Any]:
        """See the port."""
        self._tell(len(questions))
        return self._warehouse.ask(questions)

    def _tell(self, statements: int) -> None:
        self.asked += statements
        for _ in range(statements):
            telemetry.note_read(STATEMENT)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)


def keep_reads_in(state: State, patch: pytest.MonkeyPatch) -> dict[str, Reads]:
    """Have a state keep what was read, by run, as that of a deployment does."""
    kept: dict[str, Reads] = {}

    def add(run_id: str, reads: Reads) -> None:
        kept[run_id] = kept.get(run_id, Reads()).plus(reads)

    patch.setattr(state, "add_reads", add)
    patch.setattr(state, "reads", lambda run_id: kept.get(run_id, Reads()))
    return kept
