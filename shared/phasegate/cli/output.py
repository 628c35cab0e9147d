"""Commands print the answer on standard output, and all else on standard error."""

import json
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
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

    contradictions: int = 0
    """Findings in which tables hold something else than state says."""

    def bears_out(self, status: "RunStatus") -> bool:
        """Tell whether it agrees with the word of a run that ended so: one that failed says itself that something is
        missing."""
        return self.agrees or (status.exit_status != 0 and not self.contradictions)


def end_report(
    notes: "Sequence[ReportNote]", finished_at: datetime | None, place: Callable[[str], str]
) -> EndReport | None:
    """Return the newest report on the end at which a run is now; None: not made yet.

    A run that a retry opened again ends once more, and what was reported on its earlier end says nothing of this one.

    notes: of the reports on the run, in the order in which they were made.
    place: from the name of a page in the object store to where people find it.
    """
    from phasegate.domain.operations.audit import between_state_and_tables

    made = [n for n in notes if n.is_final and (finished_at is None or n.at >= finished_at)]
    if not made:
        return None
    last = made[-1]
    page = place(f"{last.place}/report.html")
    return EndReport(last.agrees, last.verdict, page, between_state_and_tables(last.kinds))


def exit_status(status: "RunStatus", report: EndReport | None) -> int:
    """Return the exit status of a run that has come to rest: no run ends with 0 that its report calls not complete."""
    is_contradicted = report is not None and not report.agrees
    return 1 if is_contradicted and status.exit_status == 0 else status.exit_status


_WITH_COMMANDS = frozenset({"command", "commands", "next", "note", "remedy", "waits_for"})
"""The keys of JSON documents under which sentences of ours stand, with commands to type."""


class _Printed:
    """Commands are written without options that come before them: who writes them need not know of any. Here they get
    those that were typed, so that they work as they are printed.
    """

    begins = re.compile("(?!)")
    """Where a command is written; nowhere, until it is known which there are."""

    options = ""
    """What was typed before the command, for a shell, with a blank behind it."""


def complete_commands(names: Iterable[str], options: Sequence[str]) -> None:
    """Have these commands printed with the options that were typed before this one: which home, which backend."""
    _Printed.begins = re.compile(rf"(?<![\w./-])phasegate (?=(?:{'|'.join(map(re.escape, names))})\b)")
    _Printed.options = f"{shlex.join(options)} " if options else ""


def as_printed(text: str) -> str:
    """Return a text with its commands as they are to be typed, and nothing in it that a terminal obeys."""
    return escaped_lines(_completed(text))


def _completed(text: str) -> str:
    return _Printed.begins.sub(lambda _: f"phasegate {_Printed.options}", text) if _Printed.options else text


def say(text: str) -> None:
    """Tell whoever watches; standard output is for the answer."""
    show(text, aside=True)


def show(text: str, *, aside: bool = False) -> None:
    """Print lines, in which nothing stands that a terminal obeys. aside: on standard error."""
    typer.echo(as_printed(text), err=aside)


def write_json(document: Any) -> None:
    """Print one JSON document on standard output."""
    lines = json.dumps(_with_options(document), indent=2, ensure_ascii=False).split("\n")
    typer.echo("\n".join(line if line.isprintable() else _json_escaped(line) for line in lines))


def _with_options(document: Any, *, is_ours: bool = False) -> Any:
    """A document with its commands as they are to be typed; what others say in it stays as it is."""
    if isinstance(document, dict):
        return {k: _with_options(v, is_ours=is_ours or k in _WITH_COMMANDS) for k, v in document.items()}
    if isinstance(document, list | tuple):
        return [_with_options(each, is_ours=is_ours) for each in document]
    return _completed(document) if is_ours and isinstance(document, str) else document


def _json_escaped(line: str) -> str:
    """A line of JSON in which a terminal obeys nothing either: JSON itself lets marks of direction stand."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def show_summary(found: "Summary", report: EndReport | None, unreported: str | None, as_json: bool) -> None:
    """Print the summary of a run. unreported: what people read where there is no report; None: nothing."""
    from phasegate.report.summary import summary_document, summary_text

    is_borne_out = report is None or report.bears_out(found.report.status)
    if as_json:
        document = summary_document(found, is_borne_out=is_borne_out)
        write_json({**document, "report": asdict(report) if report else None})
        return
    if report is not None:
        show(f"verified: {report.verdict}\nreport: {report.page}")
    elif unreported is not None:
        show(unreported)
    show(summary_text(found, is_borne_out=is_borne_out))
