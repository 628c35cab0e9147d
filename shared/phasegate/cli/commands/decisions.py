"""The commands approve and waive let something pass, recorded with a person's name and reason."""

from typing import Annotated

import typer

from phasegate.cli import options
from phasegate.cli.going_on import go_on_unless_held, ready_to_go_on
from phasegate.cli.output import say
from phasegate.cli.session import Session


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""

    @app.command()
    def approve(
        context: typer.Context,
        run_id: options.RunArgument,
        phase: Annotated[str, typer.Argument(metavar="PHASE", help="A phase that an approval gate holds back.")],
        why: options.WhyOption = "",
        by: options.ByOption = None,
        alongside: options.AlongsideOption = False,
        verbose: options.VerboseOption = False,
        as_json: options.JsonOption = False,
    ) -> None:
        """Let a phase go; drives the run when no other process does."""
        from phasegate.services.operating.decisions import approve as decide

        session: Session = context.obj
        session.tell_more(verbose)
        with session.backend.going_on(run_id) as going_on:
            run = decide(
                session.backend.state(),
                session.backend.clock(),
                run_id,
                phase,
                by=options.signed(by),
                why=why,
                alongside=alongside,
                ready=ready_to_go_on(session.backend, going_on, run_id),
            )
            say(f"approved: {phase}")
            raise typer.Exit(go_on_unless_held(going_on, run, as_json))

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
        by: options.ByOption = None,
        alongside: options.AlongsideOption = False,
        verbose: options.VerboseOption = False,
        as_json: options.JsonOption = False,
    ) -> None:
        """Let a blocked check pass on some dates, until an end; drives the run when no other process does."""
        from phasegate.services.operating.decisions import waive as decide
        from phasegate.services.reading.notices import scope

        session: Session = context.obj
        session.tell_more(verbose)
        days = [found for text in day for found in options.parse_days(text, "--date")]
        with session.backend.going_on(run_id) as going_on:
            run, waiver = decide(
                session.backend.state(),
                session.backend.clock(),
                run_id,
                dates=days,
                check=check,
                phase=phase,
                processor=processor,
                until=until,
                by=options.signed(by),
                why=why,
                alongside=alongside,
                ready=ready_to_go_on(session.backend, going_on, run_id),
            )
            say(f"waived: {scope(waiver)}, {waiver.term}")
            raise typer.Exit(go_on_unless_held(going_on, run, as_json))
