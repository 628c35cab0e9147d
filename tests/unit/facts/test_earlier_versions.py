"""What the version before wrote is read as it was meant."""

import json
from typing import Any

from phasegate.adapters.fact_codec import cell_from_json, cell_to_json
from phasegate.adapters.gcp.firestore.documents import cell_document, read_date, read_run, run_document
from phasegate.domain.plan import compile_plan
from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import BLOCK, Cell, GroupState, Verdict
from phasegate.domain.state.run import Run
from tests.unit.builders import NOW, days, plan, run

VERDICT = Verdict(BLOCK, "rows", "a", 4, 2, "2 of 4 rows")
CELL = Cell(1, {"raw": GroupState(1, NOW, "b", NOW, (VERDICT,))})


def without(document: Any, *names: str) -> Any:
    """A document as it was before these keys were added, however deep they lie."""
    if isinstance(document, dict):
        return {key: without(value, *names) for key, value in document.items() if key not in names}
    return [without(each, *names) for each in document] if isinstance(document, list | tuple) else document


def test_a_board_without_waivers_and_approvals() -> None:
    board = Board.blank("r", compile_plan(plan()), NOW)
    assert Board.from_document(without(board.to_document(), "waivers", "approved")) == board


def test_a_run_without_waivers_and_approvals() -> None:
    text = json.dumps(without(json.loads(run().model_dump_json()), "waivers", "approvals"))
    assert Run.model_validate_json(text) == run()
    assert read_run("r", without(run_document(run()), "waivers", "approvals")) == run()


def test_a_verdict_without_threshold_fingerprint_and_waiver() -> None:
    added = ("threshold", "fingerprint", "waived_by")
    assert cell_from_json(json.dumps(without(json.loads(cell_to_json(CELL)), *added))) == CELL
    (day,) = days(1)
    assert read_date("r", day, {"cells": {"raw": without(cell_document(CELL), *added)}}).cells == {"raw": CELL}
