"""The command refresh has a run go on by what the schedule says now."""

from typing import TYPE_CHECKING, Annotated

import typer

from phasegate.cli import options
from phasegate.cli.backend import CommandBackend
from phasegate.cli.going_on import go_on_unless_held, ready_to_go_on
from phasegate.cli.output import say, show, write_json
from phasegate.cli.session import Session

if TYPE_CHECKING:
    from phasegate.services.operating.refresh import Proposal


def register(app: typer.Typer) -> None:
    """Add the command of this module."""

    @app.command()
    def refresh(
        context: typer.Context,
        run_id: options.RunArgument,
        yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, it is only shown.")] = False,
        why: options.WhyOption = "",
        alongside: options.AlongsideOption = False,
        verbose: options.VerboseOption = False,
        as_json: options.JsonOption = False,
    ) -> None:
        """Take over what the schedule says now of a run's dates; with --yes, drives the run as retry does."""
        session: Session = context.obj
        session.tell_more(verbose)
        proposal = _propose(session.backend, run_id)
        if yes:
            raise typer.Exit(_take_over(session.backend, proposal, why, alongside, as_json))
        from phasegate.report.schedule import proposal_document, proposal_text

        if as_json:
            write_json(proposal_document(proposal))
        else:
            for line in proposal_text(proposal):
                show(line)


def _propose(backend: CommandBackend, run_id: str) -> "Proposal":
    """What would be taken over. Raises InputError where there is nothing, or it may not be."""
    from phasegate.services.operating.refresh import propose
    from phasegate.services.reading.schedule import read_calendar

    return propose(
        backend.state(),
        backend.clock(),
        run_id,
        lambda run, plan: read_calendar(plan.pipeline.calendar, backend.schedule(run, plan)),
    )


def _take_over(backend: CommandBackend, proposal: "Proposal", why: str, alongside: bool, as_json: bool) -> int:
    """Have the run go on by it; the exit status."""
    from phasegate.report.schedule import gained_text
    from phasegate.services.operating.refresh import refresh

    run_id = proposal.run.run_id
    with backend.going_on(run_id) as going_on:
        ready = ready_to_go_on(backend, going_on, run_id)
        run = refresh(backend.state(), backend.clock(), proposal, why=why, alongside=alongside, ready=ready)
        say(f"run {run_id} goes by what the schedule says now, on {len(proposal.days)} of its dates anew")
        for line in gained_text(proposal.run, proposal.before.plan, proposal.changes):
            say(line)
        return go_on_unless_held(going_on, run, as_json)
