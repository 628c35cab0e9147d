"""What a task costs in operations on Google Cloud where dates travel together, counted at the adapters as
``tests/contract/test_operations.py`` counts it.
"""

import argparse
import json
import os
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from bench.ground import BATCH, Ground
from phasegate.stack.emulators import FIRESTORE, start_emulator
from tests.contract.counted_cloud import count_operations, driven

AT_ONCE = 16
"""Deliveries at a time."""


def operations(ground: Ground) -> None:
    """Writes, reads, Cloud Tasks and messages a task."""
    dates, bounds = ground.sizes.operations_dates, ground.bounds
    cost = Counter(ground.today.measure("bench.operations", "--dates", dates, "--batch", BATCH).document)
    told = f"a task, {dates} dates in batches of {BATCH}"
    bounds.reach(f"Firestore writes {told}", cost["writes"], "", most=1.6)
    bounds.reach(f"Firestore reads {told}", cost["reads"], "", most=0.6)
    bounds.check(f"Cloud Tasks {told}", sum(n for kind, n in cost.items() if kind.endswith("tasks")), "", most=0.10)
    bounds.check(f"messages {told}", cost["messages"], "", most=0.06)
    ground.bounds.details["operations"] = dict(cost)


def main() -> None:
    """Count once, and print the operations a task as JSON, by kind."""
    parser = argparse.ArgumentParser(prog="python -m bench.operations", description=main.__doc__)
    parser.add_argument("--dates", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True, help="dates a call")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        server = start_emulator(FIRESTORE, Path(folder))
        try:
            server.wait_until_ready()
            os.environ[FIRESTORE.variable] = FIRESTORE.setting(server.port)
            counted = count_operations(patch)
            cost = driven(counted, Path(folder), dates=given.dates, at_once=AT_ONCE, dates_at_once=given.batch)
        finally:
            server.stop()
    print(json.dumps(cost))


if __name__ == "__main__":
    main()
