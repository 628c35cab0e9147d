"""calendar, preflight: what a run would be expected to do, and whether it may start; nothing is written."""

from typing import TYPE_CHECKING, Annotated

import typer

from phasegate.cli import options, runs
from phasegate.cli.selecting import OverrideOptions, Selecting, takes_groups
from phasegate.domain.errors import InputError

if TYPE_CHECKING:
    from phasegate.cli.runs import Request
    from phasegate.domain.calendar.dates import Calendar
    from phasegate.domain.operations.preflight import PreflightLine
    from phasegate.domain.spec.pipeline import Pipeline
    from phasegate.services.reading.schedule import Query

DateOption = Annotated[str | None, typer.Option("--date", help="One date: what is expected of each processor on it.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""

    @app.command()
    @takes_groups
    def calendar(
        context: typer.Context,
        chosen: Selecting,
        profile: options.ProfileOption = None,
        day: DateOption = None,
        as_json: options.JsonOption = False,
    ) -> None:
        """What is expected of every processor on every date, and why nothing is; without a selection of all dates."""
        _show_calendar(runs.request_of(context, chosen, OverrideOptions(), profile), day, as_json)

    @app.command()
    @takes_groups
    def preflight(
        context: typer.Context,
        chosen: Selecting,
        override_options: OverrideOptions,
        profile: options.ProfileOption = None,
        as_json: options.JsonOption = False,
    ) -> None:
        """Everything that must be true before a start. Status 1 when a line is FAIL."""
        _show_preflight(runs.request_of(context, chosen, override_options, profile), as_json)


def _show_calendar(request: "Request", day: str | None, as_json: bool) -> None:
    from phasegate.domain.calendar.expected_work import expected_work
    from phasegate.report.calendar import calendar_document, calendar_text, date_text
    from phasegate.services.reading.schedule import read_left_out

    pipeline, calendar, query = _inputs(request)
    selection = request.run_request.selection
    days = tuple(calendar.by_day) if selection.is_blank else selection.resolve(calendar)
    left_out = tuple(d for d in read_left_out(pipeline.calendar, query) if selection.covers(d.day, d.season))
    work = list(expected_work(pipeline, calendar, runs.chosen_phases(pipeline, request), days, left_out))
    if day is not None:
        chosen = options.parse_day(day, "--date")
        work = [each for each in work if each.day == chosen]
        if not work:
            raise InputError(f"--date: the schedule has no row on {chosen}, or it is not selected")
        if not as_json:
            typer.echo(date_text(chosen, work))
            return
    if as_json:
        options.write_json(calendar_document(pipeline.pipeline, work))
    else:
        typer.echo(calendar_text(pipeline.pipeline, work))


def _inputs(request: "Request") -> "tuple[Pipeline, Calendar, Query]":
    """Pipeline, calendar, and what answers the calendar's queries."""
    if request.settings.is_cloud:
        from phasegate.cli import cloud
        from phasegate.services.starting.kickoff import calendar_of

        backend, deployed = cloud.deployment().backend, cloud.pipeline_of(request)
        return deployed, calendar_of(backend, deployed), lambda sql: list(backend.warehouse.query(sql))
    from phasegate.adapters.embedded.schedule_file import ScheduleFile
    from phasegate.adapters.pipeline_file import load_pipeline
    from phasegate.services.reading.schedule import read_calendar

    pipeline = load_pipeline(request.pipeline_file)
    schedule = ScheduleFile(request.folder, pipeline.calendar)
    return pipeline, read_calendar(pipeline.calendar, schedule.query), schedule.query


def _show_preflight(request: "Request", as_json: bool) -> None:
    from phasegate.domain.operations.preflight import failures
    from phasegate.report.preflight import preflight_document, preflight_text

    lines = _lines(request)
    if as_json:
        options.write_json(preflight_document(lines))
    else:
        typer.echo(preflight_text(lines))
    if failures(lines):
        raise typer.Exit(1)


def _lines(request: "Request") -> "list[PreflightLine]":
    if request.settings.is_cloud:
        from phasegate.cli import cloud
        from phasegate.services.starting.kickoff import preflight_for

        here = cloud.deployment()
        return preflight_for(here.backend, here.installation, cloud.pipeline_of(request), request.run_request)
    from phasegate.installation import EmbeddedInstallation

    pipeline, calendar = runs.read_inputs(request)
    installation = EmbeddedInstallation(request.settings.home, request.pipeline_file, request.folder)
    found = installation.inspect(pipeline, runs.chosen_phases(pipeline, request))
    return [*runs.start_lines(request, pipeline, calendar), *found]
