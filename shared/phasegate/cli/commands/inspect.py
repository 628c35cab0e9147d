"""The commands status, watch, runs, explain, failures and schema only show, also while another process drives a run."""

from typing import Annotated

import typer

from phasegate.cli import options
from phasegate.cli.output import show, write_json
from phasegate.cli.session import Session
from phasegate.domain.foreign_text import escaped


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""

    @app.command()
    def status(context: typer.Context, run_id: options.RunArgument, as_json: options.JsonOption = False) -> None:
        """Show where a run stands."""
        from phasegate.domain.errors import UnreadableRun
        from phasegate.report.schedule import news_document, news_text
        from phasegate.report.status import status_text, unreadable_text
        from phasegate.services.reading import progress
        from phasegate.services.reading.listing import unreadable_document
        from phasegate.services.reading.schedule_changes import schedule_news

        session: Session = context.obj
        state, now = session.backend.state(), session.backend.clock().now()
        try:
            found = progress.report(state, run_id, now)
        except UnreadableRun as error:
            unreadable = unreadable_document(run_id, str(error))
            if as_json:
                write_json(unreadable)
            else:
                show(unreadable_text(unreadable))
            raise typer.Exit(3) from error
        news = schedule_news(state, run_id, session.backend.schedule, now)
        if as_json:
            write_json({**progress.progress_document(found), "schedule": news_document(news)})
        else:
            show(status_text(found, session.backend.undriven(run_id)))
            for line in news_text(news):
                show(line)

    @app.command()
    def watch(context: typer.Context, run_id: options.RunArgument, as_json: options.JsonOption = False) -> None:
        """Follow a run that another process drives, to its end; print its status then, as JSON if asked."""
        session: Session = context.obj
        raise typer.Exit(session.backend.watch(run_id, as_json))

    @app.command()
    def runs(context: typer.Context, as_json: options.JsonOption = False) -> None:
        """List all runs of this home, newest first."""
        from phasegate.services.reading.listing import UNREADABLE, run_documents

        session: Session = context.obj
        found = run_documents(session.backend.listed_runs())
        if as_json:
            write_json(found)
        else:
            for each in found:
                if each["status"] == UNREADABLE:
                    from phasegate.report.status import unreadable_text

                    show(unreadable_text(each))
                    continue
                span = f"{each['dates']} dates {each['first']} to {each['last']}"
                show(escaped(f"{each['run_id']}  {each['status']}  {span}  {each['why']}".rstrip()))

    @app.command()
    def explain(
        context: typer.Context,
        run_id: options.RunArgument,
        day: Annotated[str | None, typer.Argument(metavar="[DATE]", help="One date of the run.")] = None,
        phase: Annotated[str | None, typer.Argument(metavar="[PHASE]", help="One phase of it.")] = None,
        as_json: options.JsonOption = False,
    ) -> None:
        """Say why something is not done, down to the root, and which command mends it."""
        from phasegate.adapters.embedded.clock import SystemClock
        from phasegate.report.explain import explain as explained
        from phasegate.report.explanation import explanation_document, explanation_text
        from phasegate.report.schedule import news_document, news_text
        from phasegate.services.reading.progress import overdue_calls
        from phasegate.services.reading.schedule_changes import schedule_news

        session: Session = context.obj
        chosen = options.parse_day(day, "DATE") if day else None
        state, now = session.backend.state(), SystemClock().now()
        overdue = overdue_calls(state, run_id, session.backend.clock().now())
        news = schedule_news(state, run_id, session.backend.schedule, now)
        found = explained(state, run_id, chosen, phase, now, overdue, news.changes.days)
        if as_json:
            write_json({**explanation_document(found), "schedule": news_document(news)})
        else:
            show(explanation_text(found))
            for line in news_text(news) if news.is_about(chosen) else ():
                show(line)

    @app.command()
    def failures(context: typer.Context, run_id: options.RunArgument, as_json: options.JsonOption = False) -> None:
        """Show what failed, the like together: how often, since when, an example, and the command that retries it."""
        from phasegate.report.failures import failures_document, failures_of, failures_text

        session: Session = context.obj
        found = failures_of(session.backend.state(), run_id)
        if as_json:
            write_json(failures_document(run_id, found))
        else:
            show(failures_text(run_id, found))

    @app.command()
    def schema() -> None:
        """Print the JSON Schema of the pipeline file, for editors."""
        from phasegate.domain.spec.pipeline import Pipeline

        document = Pipeline.model_json_schema(by_alias=True)
        write_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **document})
