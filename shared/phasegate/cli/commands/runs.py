"""The commands plan, run and start lead from a selection to a run."""

from typing import Annotated

import typer

from phasegate.cli import options
from phasegate.cli.output import show, write_json
from phasegate.cli.request import check_run_id, request_of
from phasegate.cli.selecting import OverrideOptions, Selecting, takes_groups
from phasegate.cli.session import Session

RunIdOption = Annotated[str | None, typer.Option("--run-id", help="Name of the run; the same name is the same run.")]
DurableOption = Annotated[bool, typer.Option("--durable", help="Survive a power cut too (synchronous=FULL); slower.")]


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
        """Show what would run and why, without running it.

        It reads the warehouse, so it is refused while another process drives the home.
        """
        from phasegate.report.plan import plan_document, plan_text

        session: Session = context.obj
        asked = request_of(session, chosen, OverrideOptions(), profile, reprocess)
        found = session.backend.plan(asked)
        if as_json:
            write_json(plan_document(found.made, found.missing_outside))
        else:
            inputs = ["--pipeline", asked.pipeline_file, "--source", asked.source] if asked.source else []
            show(plan_text(found.made, found.missing_outside, inputs))

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
        alongside: options.AlongsideOption = False,
        durable: DurableOption = False,
        verbose: options.VerboseOption = False,
        as_json: options.JsonOption = False,
    ) -> None:
        """Plan, start, and watch to the end. Ctrl-C drains, twice leaves at once; the same command resumes."""
        session: Session = context.obj
        session.tell_more(verbose)
        asked = request_of(session, chosen, override_options, profile, reprocess, why, alongside)
        check_run_id(run_id)
        raise typer.Exit(session.backend.run(asked, run_id, durable=durable, as_json=as_json))

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
        alongside: options.AlongsideOption = False,
        as_json: options.JsonOption = False,
    ) -> None:
        """Plan and start as run does, in the background; prints the run id. Follow it with `phasegate watch`."""
        session: Session = context.obj
        asked = request_of(session, chosen, override_options, profile, reprocess, why, alongside)
        check_run_id(run_id)
        started = session.backend.start(asked, run_id)
        if as_json:
            write_json({"run_id": started})
        else:
            show(started)
