"""approve, waive: what a person lets pass, recorded with a name and a reason."""

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from phasegate.cli import options
from phasegate.cli.operate import drive_unless_driven, expect_change
from phasegate.domain.state.run import DesiredState

if TYPE_CHECKING:
    from phasegate.domain.state.run import Run

ByOption = Annotated[str | None, typer.Option("--by", help="Who decides this; default: the name of this account.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""

    @app.command()
    def approve(
        context: typer.Context,
        run_id: options.RunArgument,
        phase: Annotated[str, typer.Argument(metavar="PHASE", help="A phase that an approval gate holds back.")],
        why: options.WhyOption = "",
        by: ByOption = None,
        as_json: options.JsonOption = False,
    ) -> None:
        """Let a phase go; drives the run when no other process does."""
        from phasegate.adapters.embedded.clock import SystemClock
        from phasegate.services.operating.decisions import approve as decide

        settings: options.Settings = context.obj
        expect_change(settings, run_id)
        run = decide(settings.state(), SystemClock(), run_id, phase, by=signed(by), why=why)
        typer.echo(f"approved: {phase}", err=True)
        _go_on(settings, run, as_json)

    @app.command()
    def waive(
        context: typer.Context,
        run_id: options.RunArgument,
        day: Annotated[list[str], typer.Option("--date", help="D or D,D,… (repeatable); @FILE.")],
        check: Annotated[str, typer.Option("--check", help="Name of the check, as explain shows it.")],
        until: Annotated[str, typer.Option("--until", help="Date (its end) or date and time; pipeline's time zone.")],
        why: Annotated[str, typer.Option("--why", help="The reason; it stands in the report.")],
        phase: Annotated[str | None, typer.Option("--phase", help="Only in this phase.")] = None,
        processor: Annotated[str | None, typer.Option("--processor", help="Only of this processor.")] = None,
        by: ByOption = None,
        as_json: options.JsonOption = False,
    ) -> None:
        """Let a blocked check pass on some dates, until an end; drives the run when no other process does."""
        from phasegate.adapters.embedded.clock import SystemClock
        from phasegate.services.operating.decisions import waive as decide
        from phasegate.services.reading.notices import scope

        settings: options.Settings = context.obj
        days = [found for text in day for found in options.parse_days(text, "--date")]
        expect_change(settings, run_id)
        run, waiver = decide(
            settings.state(),
            SystemClock(),
            run_id,
            dates=days,
            check=check,
            phase=phase,
            processor=processor,
            until=until,
            by=signed(by),
            why=why,
        )
        typer.echo(f"waived: {scope(waiver)}, until {waiver.until:%Y-%m-%d %H:%M} UTC", err=True)
        _go_on(settings, run, as_json)


def signed(by: str | None) -> str:
    """Who decides: the name that was given, or this account's."""
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _go_on(settings: options.Settings, run: "Run", as_json: bool) -> None:
    """Drive the run, unless it is held: what was decided counts when it goes on."""
    if run.desired_state is DesiredState.RUNNING:
        drive_unless_driven(settings, run.run_id, as_json)
        return
    if as_json:
        options.write_json({"run_id": run.run_id, "wanted": run.desired_state.value})
    typer.echo(f"the run is {run.desired_state.value}; go on with: phasegate resume {run.run_id}", err=True)
