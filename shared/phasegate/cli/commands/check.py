"""The commands check, calendar and preflight say whether a pipeline file is right, what a run would be expected to do,
and whether it may start; nothing is written.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasegate.cli import options
from phasegate.cli.backend import CommandBackend
from phasegate.cli.output import show, write_json
from phasegate.cli.request import request_of
from phasegate.cli.selecting import OverrideOptions, Selecting, takes_groups
from phasegate.cli.session import Session
from phasegate.domain.errors import InputError

if TYPE_CHECKING:
    from phasegate.domain.messages.run_request import RunRequest

DateOption = Annotated[str | None, typer.Option("--date", help="One date: what is expected of each processor on it.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""

    @app.command()
    def check(
        context: typer.Context, pipeline: options.PipelineOption = None, as_json: options.JsonOption = False
    ) -> None:
        """Check a pipeline file and every statement of it; no source is needed, and no date."""
        session: Session = context.obj
        _show_check(session.backend, session.pipeline(pipeline), as_json)

    @app.command()
    @takes_groups
    def calendar(
        context: typer.Context,
        chosen: Selecting,
        profile: options.ProfileOption = None,
        day: DateOption = None,
        as_json: options.JsonOption = False,
    ) -> None:
        """Show what is expected of every processor per date, and why nothing is; without a selection of all dates."""
        session: Session = context.obj
        _show_calendar(session.backend, request_of(session, chosen, OverrideOptions(), profile), day, as_json)

    @app.command()
    @takes_groups
    def preflight(
        context: typer.Context,
        chosen: Selecting,
        override_options: OverrideOptions,
        profile: options.ProfileOption = None,
        as_json: options.JsonOption = False,
    ) -> None:
        """Check everything that must be true before a start. Status 1 when a line is FAIL."""
        session: Session = context.obj
        _show_preflight(session.backend, request_of(session, chosen, override_options, profile), as_json)


def _show_check(backend: CommandBackend, file: Path, as_json: bool) -> None:
    from phasegate.report.preflight import check_document, check_text

    pipeline, lines = backend.check(file)
    if as_json:
        write_json(check_document(pipeline, lines))
    else:
        show(check_text(file.name, pipeline, lines))


def _show_calendar(backend: CommandBackend, asked: "RunRequest", day: str | None, as_json: bool) -> None:
    from phasegate.domain.calendar.expected_work import expected_work
    from phasegate.report.calendar import calendar_document, calendar_text, date_text
    from phasegate.services.reading.schedule import read_left_out
    from phasegate.services.starting.scope import choose_phases

    read = backend.calendar(Path(asked.pipeline_file), Path(asked.source) if asked.source else None)
    pipeline, calendar, selection = read.pipeline, read.calendar, asked.selection
    days = tuple(calendar.by_day) if selection.is_blank else selection.resolve(calendar)
    left_out = tuple(d for d in read_left_out(pipeline.calendar, read.query) if selection.covers(d.day, d.season))
    phases, _ = choose_phases(pipeline, asked.phases, asked.profile)
    work = list(expected_work(pipeline, calendar, phases, days, left_out))
    if day is not None:
        chosen = options.parse_day(day, "--date")
        work = [each for each in work if each.day == chosen]
        if not work:
            raise InputError(f"--date: the schedule has no row on {chosen}, or it is not selected")
        if not as_json:
            show(date_text(chosen, work))
            return
    if as_json:
        write_json(calendar_document(pipeline.pipeline, work))
    else:
        show(calendar_text(pipeline.pipeline, work))


def _show_preflight(backend: CommandBackend, asked: "RunRequest", as_json: bool) -> None:
    from phasegate.domain.operations.preflight import failures
    from phasegate.report.preflight import preflight_document, preflight_text

    lines = backend.preflight(asked)
    if as_json:
        write_json(preflight_document(lines))
    else:
        show(preflight_text(lines))
    if failures(lines):
        raise typer.Exit(1)
