"""plan, run, start: from a selection to a run."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasegate.cli import options
from phasegate.cli.driving import drive_and_summarise, say
from phasegate.cli.options import Settings
from phasegate.cli.selecting import OverrideOptions, Selecting, takes_groups
from phasegate.domain.errors import HomeInUse, InputError

if TYPE_CHECKING:
    from phasegate.bootstrap import Embedded
    from phasegate.domain.calendar.dates import Calendar
    from phasegate.domain.operations.preflight import PreflightLine
    from phasegate.domain.spec.pipeline import Pipeline
    from phasegate.domain.state.run import Run
    from phasegate.services.starting.starter import RunRequest

RunIdOption = Annotated[str | None, typer.Option("--run-id", help="Name of the run; the same name is the same run.")]
DurableOption = Annotated[bool, typer.Option("--durable", help="Survive a power cut too (synchronous=FULL); slower.")]


@dataclass(frozen=True)
class Request:
    """What a person asked for."""

    settings: Settings
    pipeline_file: Path
    source: Path | None
    run_request: "RunRequest"

    @property
    def folder(self) -> Path:
        """The source folder, which embedded mode always has."""
        if self.source is None:
            raise InputError("give the source folder with --source DIR")
        return self.source


def request_of(
    context: typer.Context,
    chosen: Selecting,
    override_options: OverrideOptions,
    profile: str | None,
    reprocess: str = "missing",
    why: str = "",
) -> Request:
    """What the shared options say. Raises InputError for one that is wrong by itself."""
    from phasegate.domain.operations.overrides import Overrides
    from phasegate.services.starting.starter import RunRequest

    settings: Settings = context.obj
    if reprocess not in ("missing", "failed", "all"):
        raise InputError(f"--reprocess: '{reprocess}' is not one of missing, failed, all")
    pipeline_file, folder = settings.pipeline(chosen.pipeline).absolute(), settings.source(chosen.source)
    selection = replace(chosen.selection, exclude_live=override_options.exclude_live)
    live = options.parse_days(override_options.include_live, "--include-live")
    overrides = Overrides(live, tuple(override_options.allow_destructive or ()))
    where = str(folder) if folder else None
    run_request = RunRequest(selection, str(pipeline_file), where, chosen.phases, profile, reprocess, why, overrides)  # type: ignore[arg-type]
    return Request(settings, pipeline_file, folder, run_request)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""

    @app.command()
    @takes_groups
    def plan(
        context: typer.Context,
        chosen: Selecting,
        reprocess: options.ReprocessOption = "missing",
        profile: options.ProfileOption = None,
        as_json: options.JsonOption = False,
    ) -> None:
        """What would run and why, without running it.

        It reads the warehouse, so it is refused while another process drives the home.
        """
        show_plan(request_of(context, chosen, OverrideOptions(), profile, reprocess), as_json)

    @app.command()
    @takes_groups
    def run(
        context: typer.Context,
        chosen: Selecting,
        override_options: OverrideOptions,
        reprocess: options.ReprocessOption = "missing",
        profile: options.ProfileOption = None,
        why: options.WhyOption = "",
        run_id: RunIdOption = None,
        durable: DurableOption = False,
        as_json: options.JsonOption = False,
    ) -> None:
        """Plan, start, and watch to the end. Ctrl-C drains, twice leaves at once; the same command resumes."""
        request = request_of(context, chosen, override_options, profile, reprocess, why)
        raise typer.Exit(run_request(request, run_id, durable, as_json))

    @app.command()
    @takes_groups
    def start(
        context: typer.Context,
        chosen: Selecting,
        override_options: OverrideOptions,
        reprocess: options.ReprocessOption = "missing",
        profile: options.ProfileOption = None,
        why: options.WhyOption = "",
        run_id: RunIdOption = None,
        as_json: options.JsonOption = False,
    ) -> None:
        """The same in the background; prints the run id. Follow it with `phasegate watch`."""
        request = request_of(context, chosen, override_options, profile, reprocess, why)
        start_in_background(request, run_id, as_json)


def say_remade(dates: int) -> None:
    """Tell of dates whose rows were made from another source folder."""
    say(f"{dates} date(s) hold rows made from another source folder; they are made again")


def read_inputs(request: Request) -> "tuple[Pipeline, Calendar]":
    """Pipeline and calendar of a request, before anything is written."""
    from phasegate.adapters.embedded.schedule_file import ScheduleFile
    from phasegate.adapters.pipeline_file import load_pipeline
    from phasegate.services.reading.schedule import read_calendar
    from phasegate.services.starting.planner import require_earlier_run

    pipeline = load_pipeline(request.pipeline_file)
    chosen_phases(pipeline, request)
    calendar = read_calendar(pipeline.calendar, ScheduleFile(request.folder, pipeline.calendar).query)
    days = request.run_request.selection.resolve(calendar)
    if request.run_request.reprocess == "failed" and not request.settings.home.state.exists():
        require_earlier_run(days, {})
    return pipeline, calendar


def start_lines(request: Request, pipeline: "Pipeline", calendar: "Calendar") -> "list[PreflightLine]":
    """What preflight says of a request before a home is opened."""
    from phasegate.adapters.embedded.clock import SystemClock
    from phasegate.services.starting.preflight import check_start, subject_of
    from phasegate.services.starting.starter import settled

    now = SystemClock().now()
    run_request = settled(request.run_request, pipeline, calendar, now)
    return check_start(subject_of(pipeline, calendar, run_request), run_request.overrides, now)


def chosen_phases(pipeline: "Pipeline", request: Request) -> tuple[str, ...]:
    """The phases that a request is about."""
    from phasegate.services.starting.planner import choose_phases

    return choose_phases(pipeline, request.run_request.phases, request.run_request.profile)[0]


def check_run_id(run_id: str | None) -> None:
    """Raises InputError for a name that no run may have."""
    from phasegate.domain.state.run import RUN_ID

    if run_id is not None and not re.fullmatch(RUN_ID, run_id):
        raise InputError(f"--run-id: '{run_id}': letters, digits, '-', '_' and '.', at most 63 of them")


def show_plan(request: Request, as_json: bool) -> None:
    """The ``plan`` command."""
    if request.settings.is_cloud:
        from phasegate.cli import cloud

        cloud.show_plan(request, as_json)
        return
    from phasegate.adapters.embedded.objects import FolderObjectStore
    from phasegate.bootstrap import open_state, open_warehouse
    from phasegate.report.plan import plan_document, plan_text
    from phasegate.services.reading.prover import Prover
    from phasegate.services.starting.planner import missing_outside
    from phasegate.services.starting.starter import plan_of

    pipeline, calendar = read_inputs(request)
    home = request.settings.home
    prover = warehouse = None
    if home.warehouse.exists():
        if driver := home.driver():
            raise HomeInUse(
                f"{home.root} is in use by {driver}, and only one process may read its warehouse; plan when that run "
                "has ended, or look at the run with `phasegate status`"
            )
        warehouse = open_warehouse(home)
        prover = Prover(warehouse, FolderObjectStore(home.objects))
    try:
        state = open_state(home) if home.state.exists() else None
        made = plan_of(request.run_request, pipeline, calendar, prover, state, say_remade)
        lacking = missing_outside(made.index, prover)
    finally:
        if warehouse is not None:
            warehouse.close()
    if as_json:
        options.write_json(plan_document(made, lacking))
    else:
        typer.echo(plan_text(made, lacking))


def run_request(request: Request, run_id: str | None, durable: bool, as_json: bool) -> int:
    """The ``run`` command; returns the exit status."""
    from phasegate.bootstrap import Embedded, EmbeddedOptions, check_dispatch, check_workers
    from phasegate.domain.operations.preflight import require_passed

    check_run_id(run_id)
    if request.settings.is_cloud:
        from phasegate.cli import cloud

        return cloud.run_request(request, run_id, as_json)
    pipeline, calendar = read_inputs(request)
    require_passed(start_lines(request, pipeline, calendar))
    check_dispatch(pipeline, chosen_phases(pipeline, request))
    check_workers(request.pipeline_file, pipeline, request.folder)
    how, file = EmbeddedOptions(durable=durable), request.pipeline_file
    with Embedded(request.settings.home, pipeline, request.folder, how, pipeline_file=file) as embedded:
        run = _begin(request, pipeline, calendar, embedded, run_id)
        return drive_and_summarise(embedded, run, as_json)


def start_in_background(request: Request, run_id: str | None, as_json: bool) -> None:
    """The ``start`` command: write the run here, drive it in a process of its own."""
    from phasegate.bootstrap import Embedded, check_dispatch, check_workers
    from phasegate.domain.operations.preflight import require_passed

    check_run_id(run_id)
    if request.settings.is_cloud:
        from phasegate.cli import cloud

        _say_started(cloud.begin(request, run_id).run_id, as_json)
        return
    pipeline, calendar = read_inputs(request)
    require_passed(start_lines(request, pipeline, calendar))
    check_dispatch(pipeline, chosen_phases(pipeline, request))
    check_workers(request.pipeline_file, pipeline, request.folder)
    home = request.settings.home
    with Embedded(home, pipeline, request.folder, pipeline_file=request.pipeline_file) as embedded:
        run = _begin(request, pipeline, calendar, embedded, run_id)
    home.reports.mkdir(parents=True, exist_ok=True)
    with (home.reports / f"{run.run_id}.log").open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "phasegate.cli.main", "--home", str(home.root), "resume", run.run_id],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    while child.poll() is None and home.driver() is None:
        time.sleep(0.02)
    _say_started(run.run_id, as_json)


def _say_started(run_id: str, as_json: bool) -> None:
    if as_json:
        options.write_json({"run_id": run_id})
    else:
        typer.echo(run_id)


def _begin(
    request: Request, pipeline: "Pipeline", calendar: "Calendar", embedded: "Embedded", run_id: str | None
) -> "Run":
    """The unfinished run of the same request, or a new one, written."""
    from phasegate.domain.operations.preflight import require_passed
    from phasegate.domain.state.run import DesiredState
    from phasegate.services.operating.operators import resume
    from phasegate.services.reading.prover import Prover
    from phasegate.services.starting.preflight import check_tables
    from phasegate.services.starting.starter import begin_run, existing_run, plan_of, settled

    state, clock, run_request = embedded.state, embedded.clock, request.run_request
    asked = run_request.identity(pipeline)
    there = existing_run(state, asked, run_id)
    if there is not None:
        say(f"resuming run {there.run_id}")
        return (
            resume(state, there.run_id)
            if there.desired_state in (DesiredState.PAUSED, DesiredState.DRAINING)
            else there
        )
    embedded.prepare()
    require_passed(check_tables(pipeline.tables(chosen_phases(pipeline, request)), embedded.warehouse))
    prover = Prover(embedded.warehouse, embedded.objects)
    plan = plan_of(settled(run_request, pipeline, calendar, clock.now()), pipeline, calendar, prover, state, say_remade)
    name = run_id or f"{pipeline.pipeline}-{clock.now():%Y%m%d-%H%M%S}-{os.urandom(2).hex()}"
    run, _ = begin_run(state, clock, name, run_request, asked, plan)
    return run
