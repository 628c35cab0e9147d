"""The log of a run: the conductor's line a pass, everybody's warnings, and logging as it was before when it ends."""

import logging
from pathlib import Path

import pytest

from phasegate.cli.backends.run_log import CONDUCTOR, RunLog


def said(tmp_path: Path, *, is_verbose: bool = False) -> str:
    """What stands in the log after the conductor and a worker spoke."""
    with RunLog(tmp_path / "reports" / "r.log", is_verbose=is_verbose):
        logging.getLogger(CONDUCTOR).info("pass: 3 proofs")
        logging.getLogger("phasegate.services.running.runner").info("the worker ended")
        logging.getLogger("a.worker").warning("password=hunter2 is old")
    return (tmp_path / "reports" / "r.log").read_text()


def test_the_log_holds_the_passes_and_warnings_without_secrets_and_nothing_else(tmp_path: Path) -> None:
    first, second = said(tmp_path).splitlines()
    assert first.endswith(f"{CONDUCTOR} pass: 3 proofs")
    assert "is old" in second and "hunter2" not in second


@pytest.mark.parametrize("is_verbose", [False, True])
def test_the_same_is_told_on_standard_error_on_wish(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], is_verbose: bool
) -> None:
    log = said(tmp_path, is_verbose=is_verbose)
    assert capsys.readouterr().err == (log if is_verbose else "")


def test_logging_is_as_it_was_before_when_the_run_has_ended(tmp_path: Path) -> None:
    root, conductor = logging.getLogger(), logging.getLogger(CONDUCTOR)
    before = (root.handlers[:], root.level, conductor.level, logging.raiseExceptions)
    said(tmp_path)
    assert (root.handlers[:], root.level, conductor.level, logging.raiseExceptions) == before
