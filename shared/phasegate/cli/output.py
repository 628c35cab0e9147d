"""Commands print the answer on standard output, and all else on standard error."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from phasegate.domain.foreign_text import escaped_lines

if TYPE_CHECKING:
    from phasegate.domain.state.run import RunStatus
    from phasegate.ports import ReportNote
    from phasegate.report.summary import Summary

EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class EndReport:
    """This is the report on a run that has ended, as its summary names it."""

    agrees: bool
    """Whether nothing is missing, and tables, state and plan agree."""

    verdict: str
    """The same in a sentence."""

    page: str
    """Where its page lies: a path, or an address in the object store."""


def end_report(
    notes: "Sequence[ReportNote]", finished_at: datetime | None, place: Callable[[str], str]
) -> EndReport | None:
    """Return the newest report on the end at which a run is now; None: not made yet.

    A run that a retry opened again ends once more, and what was reported on its earlier end says nothing of this one.

    notes: of the reports on the run, in the order in which they were made.
    place: from the name of a page in the object store to where people find it.
    """
    made = [n for n in notes if n.is_final and (finished_at is None or n.at >= finished_at)]
    return EndReport(made[-1].agrees, made[-1].verdict, place(f"{made[-1].place}/report.html")) if made else None


def exit_status(status: "RunStatus", report: EndReport | None) -> int:
    """Return the exit status of a run that has come to rest: no run ends with 0 that its report calls not complete."""
    is_contradicted = report is not None and not report.agrees
    return 1 if is_contradicted and status.exit_status == 0 else status.exit_status


def say(text: str) -> None:
    """Tell whoever watches; standard output is for the answer."""
    show(text, aside=True)


def show(text: str, *, aside: bool = False) -> None:
    """Print lines, in which nothing stands that a terminal obeys. aside: on standard error."""
    typer.echo(escaped_lines(text), err=aside)


def write_json(document: Any) -> None:
    """Print one JSON document on standard output."""
    lines = json.dumps(document, indent=2, ensure_ascii=False).split("\n")
    typer.echo("\n".join(line if line.isprintable() else _json_escaped(line) for line in lines))


def _json_escaped(line: str) -> str:
    """A line of JSON in which a terminal obeys nothing either: JSON itself lets marks of direction stand."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def show_summary(found: "Summary", report: EndReport | None, unreported: str | None, as_json: bool) -> None:
    """Print the summary of a run. unreported: what people read where there is no report; None: nothing."""
    from phasegate.report.summary import summary_document, summary_text

    if as_json:
        document = summary_document(found, is_borne_out=report is None or report.agrees)
        write_json({**document, "report": asdict(report) if report else None})
        return
    if report is not None:
        show(f"verified: {report.verdict}\nreport: {report.page}")
    elif unreported is not None:
        show(unreported)
    show(summary_text(found, is_borne_out=report is None or report.agrees))
