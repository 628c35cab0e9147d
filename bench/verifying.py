"""The verifier alone, over the home that the seasons' bench leaves behind."""

import time
from datetime import UTC, datetime
from pathlib import Path

from phasegate.adapters.embedded.home import Home
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.state import open_state
from phasegate.bootstrap import open_warehouse
from phasegate.report.verifier import files_of
from phasegate.report.verify.compose import VerifierInputs, report_on_run


def measure_verifier(root: Path) -> tuple[int, float, int]:
    """Verify the newest run of a home; returns (dates, seconds, bytes of the HTML page)."""
    home = Home(root)
    state, warehouse = open_state(home), open_warehouse(home)
    begun = time.perf_counter()
    ground = VerifierInputs(state, warehouse, FolderObjectStore(home.objects))
    report = report_on_run(ground, state, state.runs()[0].run_id, datetime.now(UTC))
    page = files_of(report)["report.html"]
    seconds = time.perf_counter() - begun
    warehouse.close()
    assert report.agrees, report.verdict
    return report.dates, seconds, len(page)
