"""plan, run, start: from a selection to a run."""

import re
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasegate.cli import options
from phasegate.cli.driving import drive_and_summarise, say
from phasegate.cli.options import Settings
from phasegate.cli.selecting import OverrideOptions, Selecting, takes_groups
from phasegate.domain.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from datetime import date

    from phasegate.domain.state.run import Run
    from phasegate.embedded_start import HomeStart
    from phasegate.services.starting.environment import PlanEnvironment
    from phasegate.services.starting.request import RunRequest

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
    from phasegate.services.starting.request import RunRequest

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


def preview(request: Request) -> "AbstractContextManager[PlanEnvironment]":
    """What a request is looked at in."""
    if request.settings.is_cloud:
        from phasegate.cli import cloud

        return nullcontext(cloud.environment(request))
    from phasegate.embedded_start import HomePreview

    return HomePreview(request.settings.home, request.folder)


def say_remade(dates: "Sequence[date]") -> None:
    """Tell of dates whose rows were made from another source folder."""
    if dates:
        say(f"{len(dates)} date(s) hold rows made from another source folder; they are made again")


def check_run_id(run_id: str | None) -> None:
    """Raises InputError for a name that no run may have."""
    from phasegate.domain.state.run import RUN_ID

    if run_id is not None and not re.fullmatch(RUN_ID, run_id):
        raise InputError(f"--run-id: '{run_id}': letters, digits, '-', '_' and '.', at most 63 of them")


def show_plan(request: Request, as_json: bool) -> None:
    """The ``plan`` command."""
    from phasegate.report.plan import plan_document, plan_text
    from phasegate.services.starting.planner import missing_outside
    from phasegate.services.starting.start import plan_only

    with preview(request) as environment:
        made = plan_only(request.run_request, environment)
        say_remade(made.remade)
        lacking = missing_outside(made.plan.index, environment.prover)
    if as_json:
        options.write_json(plan_document(made.plan, lacking))
    else:
        typer.echo(plan_text(made.plan, lacking))


def run_request(request: Request, run_id: str | None, durable: bool, as_json: bool) -> int:
    """The ``run`` command; returns the exit status."""
    from phasegate.bootstrap import EmbeddedOptions
    from phasegate.embedded_start import HomeStart

    check_run_id(run_id)
    if request.settings.is_cloud:
        from phasegate.cli import cloud

        return cloud.run_request(request, run_id, as_json)
    with HomeStart(request.settings.home, request.folder, EmbeddedOptions(durable=durable)) as environment:
        run = _begin(request, environment, run_id)
        return drive_and_summarise(environment.embedded, run, as_json)


def start_in_background(request: Request, run_id: str | None, as_json: bool) -> None:
    """The ``start`` command: write the run here, drive it in a process of its own."""
    from phasegate.embedded_start import HomeStart

    check_run_id(run_id)
    if request.settings.is_cloud:
        from phasegate.cli import cloud

        _say_started(cloud.begin(request, run_id).run_id, as_json)
        return
    home = request.settings.home
    with HomeStart(home, request.folder) as environment:
        run = _begin(request, environment, run_id)
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


def _begin(request: Request, environment: "HomeStart", run_id: str | None) -> "Run":
    """The unfinished run of the same request, which goes on, or a new one, written."""
    from phasegate.domain.state.run import DesiredState
    from phasegate.services.operating.operators import resume
    from phasegate.services.starting.start import start

    started = start(request.run_request, environment, run_id)
    run = started.run
    say_remade(started.remade)
    if not started.is_new:
        say(f"resuming run {run.run_id}")
        if run.desired_state in (DesiredState.PAUSED, DesiredState.DRAINING):
            return resume(environment.embedded.state, run.run_id)
    return run
