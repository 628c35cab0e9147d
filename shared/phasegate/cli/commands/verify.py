"""The command verify compares the tables over the whole calendar with state and plan."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasegate.cli import options
from phasegate.cli.output import show, write_json
from phasegate.cli.request import settle_dates
from phasegate.cli.selecting import Selecting, takes_groups
from phasegate.cli.session import Session
from phasegate.domain.errors import HaltError, InputError

if TYPE_CHECKING:
    from phasegate.report.verifier import Verified

OutputOption = Annotated[Path | None, typer.Option("--output", help="A folder that gets the files as well.")]
RunOption = Annotated[str | None, typer.Argument(metavar="[RUN]", help="The run's id; none: the dates below.")]


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

        Of a run, or of dates without one (--season, --from and --to, --last, --dates), as after a backfill by hand.
        Exit status 0: nothing is missing and all agree; 1: something is, or the run has not ended.
        """
        session: Session = context.obj
        if output is not None and output.exists() and not output.is_dir():
            raise InputError(f"--output: {output} is a file; name a folder")
        if run_id is not None and (chosen.names_dates_or_phases or chosen.pipeline or chosen.source):
            raise InputError("a run is verified on its own dates and phases; leave out either the run or the rest")
        if run_id is None and not chosen.names_dates_or_phases:
            raise InputError(
                "say what to verify: a run's id, or dates (--season S, --from D --to D, --dates D,D, --last 7d)"
            )
        if run_id is not None:
            made, place = session.backend.verify_run(run_id)
        else:
            file, source = session.pipeline(chosen.pipeline), session.backend.source(chosen.source)
            selection = settle_dates(session, chosen).selection
            made, place = session.backend.verify_dates(file, source, selection, chosen.phases)
        if output is not None:
            _copy(made, output)
        if as_json:
            write_json(made.report.model_dump(mode="json"))
        show(f"{made.report.verdict}\nreport: {place}", aside=as_json)
        raise typer.Exit(0 if made.report.agrees else 1)


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
