"""Driving a run in the foreground: the display, Ctrl-C, and the summary at the end."""

import logging
import os
import signal
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from phasegate.cli import options

if TYPE_CHECKING:
    from phasegate.bootstrap import Embedded
    from phasegate.domain.state.run import Run

EXIT_INTERRUPTED = 130


def drive_and_summarise(embedded: "Embedded", run: "Run", as_json: bool) -> int:
    """Drive a run with a live display, print its summary, return the exit status."""
    from phasegate.cli.display import Display
    from phasegate.cli.verify import report_at_end
    from phasegate.report.summary import summarise, summary_document, summary_text

    log = embedded.home.reports / f"{run.run_id}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    logging.raiseExceptions = False
    logging.basicConfig(filename=log, level=logging.WARNING, format="%(asctime)s %(name)s %(message)s", force=True)
    with Interruption() as interruption, Display(run.run_id, embedded.state.index(run.run_id)) as display:
        embedded.drive(run.run_id, stop=interruption.is_asked, progress=display.show)
    found = summarise(embedded.state, embedded.warehouse, run.run_id, embedded.clock.now())
    verified = report_at_end(embedded, run.run_id) if found.report.status.is_final else None
    if as_json:
        options.write_json({**summary_document(found), "report": verified})
    else:
        if verified is not None:
            typer.echo(f"verified: {verified['verdict']}\nreport: {verified['page']}")
        typer.echo(summary_text(found))
    if interruption.is_asked() and not found.report.status.is_at_rest:
        say(f"interrupted; the same command resumes, or: phasegate resume {run.run_id}")
        return EXIT_INTERRUPTED
    return found.report.status.exit_status


class Interruption:
    """Ctrl-C (or SIGTERM) asks for a drain; a second one leaves at once. Nothing is lost either way."""

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, Any] = {}

    def is_asked(self) -> bool:
        """Whether somebody asked to stop."""
        return self._asked

    def __enter__(self) -> "Interruption":
        """Take over the signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            os._exit(EXIT_INTERRUPTED)
        self._asked = True
        say("draining: what runs is waited for; once more leaves at once")


def say(text: str) -> None:
    """Tell whoever watches; standard output is for the answer."""
    typer.echo(text, err=True)
