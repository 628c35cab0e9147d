"""Documents as commit 8e42da0 stored them: each is read, and nothing in it is lost when it is written again."""

import json
from typing import Any

import pytest

from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.plan import Plan
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import Run
from tests.golden.laid import DATA, golden

NAMES = sorted(path.stem for path in (DATA / "documents").glob("*.json"))
RUNS, PLANS, BOARDS = ([n for n in NAMES if n.endswith(kind)] for kind in ("-run", "-plan", "-board"))


def text_of(name: str) -> str:
    """A document as it was stored."""
    return (DATA / "documents" / f"{name}.json").read_text(encoding="utf-8")


def lost(stored: Any, written: Any, path: str = "") -> list[str]:
    """Where a document says what the one written again does not say. A new key there is no loss."""
    if isinstance(stored, dict) and isinstance(written, dict):
        return [
            each
            for key, value in stored.items()
            for each in (lost(value, written[key], f"{path}.{key}") if key in written else [f"{path}.{key}"])
        ]
    if isinstance(stored, list) and isinstance(written, list) and len(stored) == len(written):
        pairs = enumerate(zip(stored, written, strict=True))
        return [each for n, (one, other) in pairs for each in lost(one, other, f"{path}[{n}]")]
    return [] if stored == written else [path]


def test_every_kind_of_document_is_there() -> None:
    assert (len(RUNS), len(PLANS), len(BOARDS)) == (5, 4, 5)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_read_and_written_again(name: str) -> None:
    run = Run.model_validate_json(text_of(name))
    assert lost(json.loads(text_of(name)), run.model_dump(mode="json")) == []


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_is_read_and_written_again(name: str) -> None:
    plan = Plan.model_validate_json(text_of(name))
    again = json.loads(plan.model_dump_json(by_alias=True))
    assert lost(json.loads(text_of(name)), again) == []
    assert Plan.model_validate_json(json.dumps(again)) == plan


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_read_and_written_again(name: str) -> None:
    stored = json.loads(text_of(name))
    board = Board.from_document(stored)
    assert lost(stored, board.to_document()) == []
    assert Board.from_document(board.to_document()) == board


def test_the_plan_of_the_reference_pipeline_names_its_worker_as_it_did() -> None:
    assert json.loads(text_of("nba-plan"))["pipeline"]["workers"]["nba"]["factory"] == "workers.nba.service:build"


@pytest.mark.parametrize("name", ["nba", "takings"])
def test_a_pipeline_file_says_what_it_said(name: str) -> None:
    pipeline = load_pipeline(DATA / name / "pipeline.yaml")
    assert lost(golden(f"documents/{name}-pipeline.json"), pipeline.model_dump(mode="json", by_alias=True)) == []
