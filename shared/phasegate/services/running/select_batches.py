"""The SELECTs of a batch are run one after the other."""

from collections.abc import Sequence

from phasegate.domain.protocol.worker import WorkerRequest
from phasegate.ports import Warehouse
from phasegate.services.running.sql_processors import PlannedSelect, run_select
from phasegate.worker.service import Answer


def run_selects(
    selects: Sequence[PlannedSelect], requests: Sequence[WorkerRequest], warehouse: Warehouse
) -> list[Answer]:
    """Answer requests for dates of one processor by running its SELECTs. Raises HaltError when the disk is full."""
    return [run_select(select, request, warehouse) for select, request in zip(selects, requests, strict=True)]
