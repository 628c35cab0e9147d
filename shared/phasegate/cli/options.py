"""Several commands share these options, and read their texts alike."""

import getpass
import re
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from phasegate.domain.calendar.relative_dates import AskedDay, read_asked_day, read_past_days
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.domain.protocol.written_dates import read_day

PipelineOption = Annotated[
    Path | None,
    typer.Option("--pipeline", help="Pipeline file (default: pipeline.yaml here, then the one used last)."),
]
SourceOption = Annotated[Path | None, typer.Option("--source", help="Source folder.")]
SeasonOption = Annotated[list[str] | None, typer.Option("--season", help="Season, for example 2023-24 (repeatable).")]
FromOption = Annotated[str | None, typer.Option("--from", help="First date, YYYY-MM-DD or yesterday.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Last date, YYYY-MM-DD or yesterday.")]
PastOption = Annotated[
    str | None, typer.Option("--last", help="The last days up to yesterday, for example 7d, or weeks, 2w.")
]
DatesOption = Annotated[str | None, typer.Option("--dates", help="Dates D,D,… or @FILE with one per line.")]
ExcludeOption = Annotated[str | None, typer.Option("--exclude", help="Dates to leave out, D,D,….")]
PhasesOption = Annotated[str | None, typer.Option("--phases", help="A..B: names, or numbers from 1.")]
ReprocessOption = Annotated[
    str, typer.Option("--reprocess", help="missing (judged by the tables), stale, failed or all.")
]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="Profile of the pipeline file.")]
IncludeLiveOption = Annotated[
    str | None,
    typer.Option("--include-live", help="Selected dates inside the live window to work on all the same, D,D,…."),
]
ExcludeLiveOption = Annotated[
    bool, typer.Option("--exclude-live", help="Leave out the selected dates inside the live window.")
]
AllowDestructiveOption = Annotated[
    list[str] | None, typer.Option("--allow-destructive", help="Destructive processor that may run (repeatable).")
]
AlongsideOption = Annotated[
    bool, typer.Option("--alongside", help="Work also on what another unfinished run works on.")
]
WhyOption = Annotated[str, typer.Option("--why", help="The reason, kept with the run.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who decides this; default: the name of this account.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", help="Tell each pass of the conductor on standard error (embedded mode).")
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]


def selection(
    seasons: list[str] | None, first: str | None, last: str | None, dates: str | None, exclude: str | None
) -> Selection:
    """Return the selection of the shared options. Raises InputError for a malformed date."""
    return Selection(
        seasons=tuple(dict.fromkeys(seasons or ())),
        first=parse_day(first, "--from") if first else None,
        last=parse_day(last, "--to") if last else None,
        dates=parse_days(dates, "--dates"),
        exclude=parse_days(exclude, "--exclude"),
    )


def parse_days(text: str | None, flag: str) -> tuple[date, ...]:
    """Read dates of ``D,D,…`` or of the file behind ``@FILE``."""
    if not text:
        return ()
    if text.startswith("@"):
        path = Path(text[1:])
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{flag}: {path} cannot be read: {error}") from error
    return tuple(parse_day(word, flag) for word in re.split(r"[\s,]+", text) if word)


def parse_day(text: str, flag: str) -> date:
    """Read a plain date. Raises InputError."""
    try:
        return read_day(text)
    except ValueError as error:
        raise InputError(
            f"{flag}: '{text}' is not a date ({error}); write YYYY-MM-DD, for example 2024-01-15"
        ) from error


def parse_asked_day(text: str, flag: str) -> AskedDay:
    """Read a plain date, or ``yesterday``. Raises InputError."""
    try:
        return read_asked_day(text)
    except ValueError as error:
        raise InputError(
            f"{flag}: '{text}' is not a date ({error}); write YYYY-MM-DD, for example 2024-01-15, or yesterday"
        ) from error


def parse_past_days(text: str) -> int:
    """Read a number of days or weeks of ``--last``, as days. Raises InputError."""
    try:
        return read_past_days(text)
    except ValueError as error:
        raise InputError(f"--last: {error}") from error


def signed(by: str | None) -> str:
    """Say who decides: the name that was given, or this account's."""
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
