"""The commands retry, pause, resume, drain, set and cancel change a run, also while another process drives it; sample
makes data up.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasegate.cli import options
from phasegate.cli.output import say, show, write_json
from phasegate.cli.session import Session

if TYPE_CHECKING:
    from phasegate.domain.state.run import Run


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""

    @app.command()
    def retry(
        context: typer.Context,
        run_id: options.RunArgument,
        day: Annotated[list[str] | None, typer.Option("--date", help="Only this date (repeatable).")] = None,
        phase: Annotated[str | None, typer.Option("--phase", help="Only this phase.")] = None,
        processor: Annotated[str | None, typer.Option("--processor", help="Only this processor.")] = None,
        signature: Annotated[str | None, typer.Option("--signature", help="Only what has this signature.")] = None,
        accept_empty: Annotated[
            bool,
            typer.Option(
                "--accept-empty",
                help="It may delete rows and put nothing in their place; checks still miss rows that are due.",
            ),
        ] = False,
        why: options.WhyOption = "",
        alongside: options.AlongsideOption = False,
        verbose: options.VerboseOption = False,
        as_json: options.JsonOption = False,
    ) -> None:
        """Do failed and blocked work again, back to its sources; drives the run when no other process does."""
        from phasegate.report.mended import mended_text
        from phasegate.report.schedule import news_text
        from phasegate.services.operating.emptying import require_own_rows
        from phasegate.services.operating.mending import compare_file
        from phasegate.services.operating.operators import retry as ask
        from phasegate.services.reading.schedule_changes import schedule_news

        session: Session = context.obj
        session.tell_more(verbose)
        days = tuple(options.parse_day(d, "--date") for d in day or ())
        state = session.backend.state()
        file = compare_file(state, run_id, session.backend.pipeline_of(state.run(run_id)))
        with session.backend.going_on(run_id) as going_on:

            def make_ready() -> None:
                going_on.make_ready()
                if accept_empty and (prover := going_on.prover()) is not None:
                    require_own_rows(state.index(run_id), prover, days, phase, processor)

            targets = ask(
                state,
                session.backend.clock(),
                run_id,
                dates=days,
                phase=phase,
                processor=processor,
                signature=signature,
                why=why,
                alongside=alongside,
                accept_empty=accept_empty,
                mended=file.later,
                ready=make_ready,
            )
            for line in mended_text(file):
                say(line)
            if targets:
                say(f"retrying {len(targets)} failed or blocked processor(s) and all that waits for them")
            elif file.later is None:
                say("nothing failed; what the run reads from outside itself, or halted over, is judged again")
            news = schedule_news(state, run_id, session.backend.schedule, session.backend.clock().now())
            for line in news_text(news) if news.changes else ():
                say(line)
            raise typer.Exit(going_on.go_on(as_json))

    @app.command()
    def resume(
        context: typer.Context,
        run_id: options.RunArgument,
        verbose: options.VerboseOption = False,
        as_json: options.JsonOption = False,
    ) -> None:
        """Go on after pause, drain or an interruption; drives the run when no other process does."""
        from phasegate.services.operating.operators import resume as ask

        session: Session = context.obj
        session.tell_more(verbose)
        with session.backend.going_on(run_id) as going_on:
            ask(session.backend.state(), run_id, going_on.make_ready)
            raise typer.Exit(going_on.go_on(as_json))

    @app.command()
    def pause(context: typer.Context, run_id: options.RunArgument, as_json: options.JsonOption = False) -> None:
        """Start nothing more until resume; what runs, ends."""
        from phasegate.services.operating.operators import pause as ask

        session: Session = context.obj
        _answer(ask(session.backend.state(), run_id), as_json)
        say(f"paused; go on with: phasegate resume {run_id}")

    @app.command()
    def drain(context: typer.Context, run_id: options.RunArgument, as_json: options.JsonOption = False) -> None:
        """Start nothing more and let the driving process end."""
        from phasegate.services.operating.operators import drain as ask

        session: Session = context.obj
        _answer(ask(session.backend.state(), run_id), as_json)
        say(f"draining; go on later with: phasegate resume {run_id}")

    @app.command("set")
    def set_limits(
        context: typer.Context,
        run_id: options.RunArgument,
        phase: Annotated[str, typer.Option("--phase", help="The phase.")],
        active_dates: Annotated[int, typer.Option("--active-dates", help="Dates at once in it.")],
        as_json: options.JsonOption = False,
    ) -> None:
        """Change a limit while the run goes on."""
        from phasegate.services.operating.operators import set_limit

        session: Session = context.obj
        session.backend.expect_change(run_id)
        run = set_limit(session.backend.state(), run_id, phase, active_dates)
        if as_json:
            write_json({"run_id": run.run_id, "active_dates": run.active_dates})
        say(f"{phase}: at most {active_dates} date(s) at once from now on")

    @app.command()
    def cancel(context: typer.Context, run_id: options.RunArgument, as_json: options.JsonOption = False) -> None:
        """End a run for good; lists what was still running."""
        from phasegate.services.operating.operators import cancel as ask

        session: Session = context.obj
        session.backend.expect_change(run_id)
        answer = ask(session.backend.state(), run_id)
        if as_json:
            claims = [
                {"date": k.day.isoformat(), "phase": k.phase, "processor": k.processor, "attempt": k.attempt}
                for k in answer.open_claims
            ]
            write_json({"run_id": run_id, "status": "cancelled", "open_claims": claims})
        else:
            say(f"run {run_id} is cancelled; {len(answer.open_claims)} claim(s) were open")
            for key in answer.open_claims:
                show(f"  {key}")

    @app.command()
    def sample(
        context: typer.Context,
        folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write to.")],
        pipeline: options.PipelineOption = None,
        season: options.SeasonOption = None,
        seed: Annotated[int, typer.Option(help="Another seed, other made-up data.")] = 7,
        as_json: options.JsonOption = False,
    ) -> None:
        """Make up a source folder for the pipeline, if its file names a maker of samples."""
        from phasegate.samples import make_sample

        made = make_sample(context.obj.pipeline(pipeline), folder, tuple(season or ()), seed)
        if as_json:
            write_json(made)
        else:
            figures = ", ".join(
                f"{count:,} {what.replace('_', ' ')}" for what, count in made.items() if isinstance(count, int)
            )
            show(f"{folder}: a made-up source folder (seed {seed}): {figures}")


def _answer(run: "Run", as_json: bool) -> None:
    if as_json:
        write_json({"run_id": run.run_id, "wanted": run.desired_state.value})
