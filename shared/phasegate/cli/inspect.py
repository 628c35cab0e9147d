"""status, watch, runs, explain, failures, schema: looking, also while another process drives the run."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from phasegate.cli import options
from phasegate.domain.errors import InputError

if TYPE_CHECKING:
    from phasegate.services.reading.progress import RunReport

WATCH_EVERY_SECONDS = 1.0


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""

    @app.command()
    def status(context: typer.Context, run_id: options.RunArgument, as_json: options.JsonOption = False) -> None:
        """Where a run stands."""
        found = _report(context.obj, run_id)
        if as_json:
            from phasegate.services.reading.progress import as_json as document

            options.write_json(document(found))
        else:
            typer.echo(status_text(found, "the cloud" if context.obj.is_cloud else context.obj.home.driver()))

    @app.command()
    def watch(context: typer.Context, run_id: options.RunArgument, as_json: options.JsonOption = False) -> None:
        """Follow a run that another process drives, to its end; its status then, as JSON if asked."""
        raise typer.Exit(_watch(context.obj, run_id, as_json))

    @app.command()
    def runs(context: typer.Context, as_json: options.JsonOption = False) -> None:
        """All runs of this home, newest first."""
        _runs(context.obj, as_json)

    @app.command()
    def explain(
        context: typer.Context,
        run_id: options.RunArgument,
        day: Annotated[str | None, typer.Argument(metavar="[DATE]", help="One date of the run.")] = None,
        phase: Annotated[str | None, typer.Argument(metavar="[PHASE]", help="One phase of it.")] = None,
        as_json: options.JsonOption = False,
    ) -> None:
        """Why something is not done, down to the root, and the command that mends it."""
        from phasegate.report.explain import explain as explained
        from phasegate.report.explain import explanation_document, explanation_text

        chosen = options.parse_day(day, "DATE") if day else None
        found = explained(context.obj.state(), run_id, chosen, phase)
        if as_json:
            options.write_json(explanation_document(found))
        else:
            typer.echo(explanation_text(found))

    @app.command()
    def failures(context: typer.Context, run_id: options.RunArgument, as_json: options.JsonOption = False) -> None:
        """What failed, the like together: how often, since when, an example, and the command that tries it again."""
        from phasegate.report.failures import failures_document, failures_of, failures_text

        found = failures_of(context.obj.state(), run_id)
        if as_json:
            options.write_json(failures_document(run_id, found))
        else:
            typer.echo(failures_text(run_id, found))

    @app.command()
    def schema() -> None:
        """The JSON Schema of the pipeline file, for editors."""
        from phasegate.domain.spec.pipeline import Pipeline

        document = Pipeline.model_json_schema(by_alias=True)
        options.write_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **document})


def _report(settings: options.Settings, run_id: str) -> "RunReport":
    from phasegate.adapters.embedded.clock import SystemClock
    from phasegate.services.reading.progress import report

    return report(settings.state(), run_id, SystemClock().now())


def status_text(found: "RunReport", driver: str | None) -> str:
    """Where a run stands, for people. ``driver``: who drives it; None: nobody does."""
    from phasegate.services.reading.notices import notices_text

    tasks = found.tasks
    eta = f", about {found.eta_seconds:,.0f} s to go" if found.eta_seconds is not None and driver else ""
    lines = [f"run {found.run_id} of pipeline {found.pipeline}: {found.status.value}, {found.dates} dates{eta}"]
    if not found.status.is_at_rest and driver is None:
        lines.append(f"no process drives it; go on with: phasegate resume {found.run_id}")
    for phase, counts in found.phases.items():
        states = ", ".join(f"{n} {name}" for name, n in counts.items() if n and name != "dates")
        lines.append(f"  {phase}: {states}")
    states = ", ".join(f"{n:,} {name}" for name, n in tasks.items() if n and name != "expected")
    lines.append(f"  tasks: {tasks['expected']:,} expected: {states}")
    lines.extend(f"  failed: {f.date} {f.phase}/{f.processor}: {f.failure.message}" for f in found.failures[:10])
    lines.extend(f"  {line}" for line in notices_text(found.run_id, found.by_people, found.notices, found.now))
    if found.failures or found.blocked:
        lines.append(f"why, and what to do: phasegate explain {found.run_id}")
    return "\n".join(lines)


def _watch(settings: options.Settings, run_id: str, as_json: bool) -> int:
    if settings.is_cloud:
        from phasegate.cli.cloud import watch

        return watch(run_id, as_json)
    shown = ""
    while True:
        found = _report(settings, run_id)
        text = status_text(found, settings.home.driver())
        if text != shown:
            typer.echo(text, err=as_json)
            shown = text
        if found.status.is_at_rest:
            if as_json:
                from phasegate.services.reading.progress import as_json as document

                options.write_json(document(found))
            return found.status.exit_status
        if settings.home.driver() is None:
            raise InputError(f"no process drives run '{run_id}'; go on with: phasegate resume {run_id}")
        time.sleep(WATCH_EVERY_SECONDS)


def _runs(settings: options.Settings, as_json: bool) -> None:
    from phasegate.services.reading.progress import run_document

    state = settings.state()
    found = [run_document(state, run) for run in state.runs()]
    if as_json:
        options.write_json(found)
    else:
        for each in found:
            span = f"{each['dates']} dates {each['first']} to {each['last']}"
            typer.echo(f"{each['run_id']}  {each['status']}  {span}  {each['why']}".rstrip())
