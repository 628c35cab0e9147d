"""verify: the tables over the whole calendar, against state and plan; and the report when a run has ended."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phasegate.cli import options
from phasegate.cli.selecting import Selecting, takes_groups
from phasegate.domain.errors import HaltError, HomeInUse, InputError, PhasegateError

if TYPE_CHECKING:
    from phasegate.bootstrap import Embedded
    from phasegate.domain.calendar.selection import Selection
    from phasegate.report.verifier import Verified

OutputOption = Annotated[Path | None, typer.Option("--output", help="A folder that gets the files as well.")]
RunOption = Annotated[str | None, typer.Argument(metavar="[RUN]", help="The run's id; none: the dates below.")]

_log = logging.getLogger(__name__)


def register(app: typer.Typer) -> None:
    """Add the command of this module."""

    @app.command()
    @takes_groups
    def verify(
        context: typer.Context,
        chosen: Selecting,
        run_id: RunOption = None,
        output: OutputOption = None,
        as_json: options.JsonOption = False,
    ) -> None:
        """Read the tables of every phase, compare with state and plan, write the report (HTML, Markdown, JSON).

        Of a run, or of dates without one (--season, --from and --to, --dates), as after a backfill made by hand.
        Exit status 0: nothing is missing and all agree; 1: something is, or the run has not ended.
        """
        settings: options.Settings = context.obj
        if output is not None and output.exists() and not output.is_dir():
            raise InputError(f"--output: {output} is a file; name a folder")
        if run_id is not None and (chosen.names_dates_or_phases or chosen.pipeline or chosen.source):
            raise InputError("a run is verified on its own dates and phases; leave out either the run or the rest")
        if run_id is None and not chosen.names_dates_or_phases:
            raise InputError("say what to verify: a run's id, or dates (--season S, --from D --to D, --dates D,D)")
        if run_id is not None:
            made, place = _of_run(settings, run_id)
        else:
            file = settings.pipeline(chosen.pipeline)
            made, place = _of_dates(settings, file, chosen.source, chosen.selection, chosen.phases)
        if output is not None:
            _copy(made, output)
        if as_json:
            options.write_json(made.report.model_dump(mode="json"))
        typer.echo(f"{made.report.verdict}\nreport: {place}", err=as_json)
        raise typer.Exit(0 if made.report.agrees else 1)


def report_at_end(embedded: "Embedded", run_id: str) -> dict[str, Any] | None:
    """The report on a run that has just been driven; None, and a line in the log, when it could not be made.

    Whatever goes wrong here is told and changes nothing about the run.
    """
    from phasegate.adapters.embedded.objects import FolderObjectStore
    from phasegate.report.verifier import verify_run
    from phasegate.report.verify.compose import VerifierInputs

    ground = VerifierInputs(embedded.state, embedded.warehouse, embedded.objects)
    root = embedded.home.root
    try:
        made = verify_run(ground, FolderObjectStore(root), embedded.clock, run_id)
    except (PhasegateError, OSError) as error:
        _log.warning("no report on run %s: %s", run_id, error)
        typer.echo(f"no report could be made: {error}; try again with: phasegate verify {run_id}", err=True)
        return None
    return {"agrees": made.report.agrees, "verdict": made.report.verdict, "page": str(root / made.page)}


def _of_run(settings: options.Settings, run_id: str) -> "tuple[Verified, str]":
    from phasegate.adapters.embedded.clock import SystemClock
    from phasegate.adapters.embedded.objects import FolderObjectStore
    from phasegate.bootstrap import open_warehouse
    from phasegate.report.verifier import verify_run
    from phasegate.report.verify.compose import VerifierInputs

    if settings.is_cloud:
        from phasegate.cli.cloud import deployment

        backend = deployment().backend
        ground = VerifierInputs(backend.state, backend.warehouse, backend.objects, is_cloud=True)
        made = verify_run(ground, backend.objects, backend.clock, run_id)
        return made, f"gs://{deployment().settings.bucket}/{made.page}"
    state, home = settings.state(), settings.home
    state.run(run_id)
    _require_free(settings)
    warehouse = open_warehouse(home)
    try:
        ground = VerifierInputs(state, warehouse, FolderObjectStore(home.objects))
        made = verify_run(ground, FolderObjectStore(home.root), SystemClock(), run_id)
    finally:
        warehouse.close()
    return made, str(home.root / made.page)


def _of_dates(
    settings: options.Settings, pipeline_file: Path, source: Path | None, selection: "Selection", phases: str | None
) -> "tuple[Verified, str]":
    from phasegate.adapters.embedded.clock import SystemClock
    from phasegate.adapters.embedded.objects import FolderObjectStore
    from phasegate.adapters.embedded.schedule_file import ScheduleFile
    from phasegate.adapters.pipeline_file import load_pipeline
    from phasegate.bootstrap import open_warehouse
    from phasegate.report.verifier import plan_of_dates, verify_dates
    from phasegate.report.verify.compose import VerifierInputs
    from phasegate.services.reading.schedule import read_calendar

    folder = settings.source(source)
    pipeline = load_pipeline(pipeline_file.absolute())
    if settings.is_cloud or folder is None:
        from phasegate.cli.cloud import deployment

        backend = deployment().backend
        calendar = read_calendar(pipeline.calendar, lambda sql: list(backend.warehouse.query(sql)))
        ground = VerifierInputs(None, backend.warehouse, backend.objects, is_cloud=True)
        made = verify_dates(ground, backend.objects, backend.clock, pipeline, calendar, selection, phases)
        return made, f"gs://{deployment().settings.bucket}/{made.page}"
    calendar = read_calendar(pipeline.calendar, ScheduleFile(folder, pipeline.calendar).query)
    plan_of_dates(pipeline, calendar, selection, phases)
    home = settings.home
    if not home.warehouse.exists():
        raise InputError(f"{home.root}: no warehouse here yet; there is nothing to verify, or give --home DIR")
    _require_free(settings)
    warehouse = open_warehouse(home)
    try:
        ground = VerifierInputs(None, warehouse, FolderObjectStore(home.objects))
        made = verify_dates(ground, FolderObjectStore(home.root), SystemClock(), pipeline, calendar, selection, phases)
    finally:
        warehouse.close()
    return made, str(home.root / made.page)


def _require_free(settings: options.Settings) -> None:
    """Raises HomeInUse: only one process may read a warehouse."""
    if driver := settings.home.driver():
        raise HomeInUse(
            f"{settings.home.root} is in use by {driver}, and only one process may read its warehouse; the report is "
            "made by itself when that run has ended"
        )


def _copy(made: "Verified", folder: Path) -> None:
    from phasegate.report.verifier import files_of

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files_of(made.report).items():
            (folder / name).write_bytes(content)
    except OSError as error:
        if error.errno == 28:
            raise HaltError(f"the disk of {folder} is full: make room, then run the same command again") from error
        raise InputError(f"--output: {folder} cannot be written: {error.strerror}") from error
