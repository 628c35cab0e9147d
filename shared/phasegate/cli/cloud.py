"""plan, run, start, watch and the operators' commands against Google Cloud, or the local stack."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import typer

from phasegate.cli import options
from phasegate.deployment import Deployment
from phasegate.domain.state.run import DesiredState
from phasegate.services.running.dispatcher import PAGE_DATES

if TYPE_CHECKING:
    from phasegate.cli.runs import Request
    from phasegate.domain.spec.pipeline import Pipeline
    from phasegate.domain.state.run import Run
    from phasegate.services.reading.progress import RunReport

ASK_EVERY_SECONDS = 2.0
"""How often a watcher reads the board (one document)."""

COUNT_EVERY_SECONDS = 5.0
"""How often it counts, which reads every date of the run."""


@lru_cache(maxsize=1)
def deployment() -> Deployment:
    """The deployment that the environment names. Raises InputError that names a missing variable."""
    from phasegate.adapters.gcp.settings import CloudSettings

    return Deployment(CloudSettings.from_environment())


def pipeline_of(request: "Request") -> "Pipeline":
    """The pipeline of a request: a file that was named, or the deployed one. Raises InputError for a bad one."""
    from phasegate.adapters.pipeline_file import load_pipeline
    from phasegate.services.starting.kickoff import require_deployed

    here = deployment()
    pipeline = load_pipeline(request.pipeline_file)
    require_deployed(here.pipeline, pipeline.pipeline)
    return pipeline


def show_plan(request: "Request", as_json: bool) -> None:
    """The ``plan`` command."""
    from phasegate.domain.plan import compile_plan
    from phasegate.report.plan import plan_document, plan_text
    from phasegate.services.reading.prover import Prover
    from phasegate.services.starting.kickoff import plan_for
    from phasegate.services.starting.planner import missing_outside

    backend = deployment().backend
    made = plan_for(backend, pipeline_of(request), request.run_request)
    lacking = missing_outside(compile_plan(made), Prover(backend.warehouse, backend.objects))
    if as_json:
        options.write_json(plan_document(made, lacking))
    else:
        typer.echo(plan_text(made, lacking))


def begin(request: "Request", run_id: str | None) -> "Run":
    """The run of a request, new or found again; a paused or draining one goes on."""
    from phasegate.services.operating.operators import resume
    from phasegate.services.starting.kickoff import kick_off

    here = deployment()
    run = kick_off(here.backend, here.installation, pipeline_of(request), request.run_request, run_id)
    if run.desired_state in (DesiredState.PAUSED, DesiredState.DRAINING):
        run = resume(here.backend.state, run.run_id)
        act_on_change(run.run_id)
    return run


def run_request(request: "Request", run_id: str | None, as_json: bool) -> int:
    """The ``run`` command; returns the exit status."""
    from phasegate.cli.driving import EXIT_INTERRUPTED, Interruption
    from phasegate.services.operating.operators import drain

    run = begin(request, run_id)
    typer.echo(f"run {run.run_id}", err=True)
    is_draining = False
    with Interruption() as interruption:
        shown = ""
        for found, text in _reports(run.run_id, interruption.is_asked):
            if text != shown:
                typer.echo(text, err=True)
                shown = text
            if interruption.is_asked() and not is_draining and not found.status.is_at_rest:
                drain(deployment().backend.state, run.run_id)
                is_draining = True
            if is_draining and not found.tasks["running"]:
                typer.echo(f"interrupted; the same command resumes, or: phasegate resume {run.run_id}", err=True)
                return EXIT_INTERRUPTED
    return show_summary(run.run_id, as_json)


def watch(run_id: str, as_json: bool) -> int:
    """The ``watch`` command; returns the exit status."""
    shown = ""
    for _, text in _reports(run_id):
        if text != shown:
            typer.echo(text, err=True)
            shown = text
    return show_summary(run_id, as_json)


def show_summary(run_id: str, as_json: bool) -> int:
    """Print the summary of a run that has ended; its exit status."""
    from phasegate.report.summary import summarise, summary_document, summary_text

    backend = deployment().backend
    found = summarise(backend.state, backend.warehouse, run_id, backend.clock.now())
    notes = backend.state.reports(run_id)
    verified = None
    if notes:
        page = f"gs://{deployment().settings.bucket}/{notes[-1].place}/report.html"
        verified = {"agrees": notes[-1].agrees, "verdict": notes[-1].verdict, "page": page}
    if as_json:
        options.write_json({**summary_document(found), "report": verified})
    else:
        typer.echo(
            f"verified: {verified['verdict']}\nreport: {verified['page']}"
            if verified
            else f"its report is being made; once more, or at any time: phasegate --backend gcp verify {run_id}"
        )
        typer.echo(summary_text(found))
    return found.report.status.exit_status


def _reports(run_id: str, is_asked: Callable[[], bool] = lambda: False) -> Iterator[tuple["RunReport", str]]:
    """Where a run stands, whenever that changed, until it is at rest.

    is_asked: somebody wants to stop, and must not have to wait for a change: tasks may take many minutes.
    """
    from phasegate.cli.inspect import status_text
    from phasegate.services.reading.progress import report

    backend = deployment().backend
    version, counted_at = 0, 0.0
    while True:
        board, seen = backend.state.board(run_id)
        is_over = board.is_at_rest(backend.state.run(run_id))
        is_worth_counting = seen != version or is_asked()
        if is_over or (is_worth_counting and time.monotonic() - counted_at >= COUNT_EVERY_SECONDS):
            version, counted_at = seen, time.monotonic()
            found = report(backend.state, run_id, backend.clock.now())
            yield found, status_text(found, "the cloud")
        if is_over:
            return
        time.sleep(ASK_EVERY_SECONDS)


def expect_change(run_id: str) -> None:
    """Have the conductor look a little later, whatever becomes of this process after its change."""
    backend = deployment().backend
    backend.wake_conductor(run_id, backend.clock.now() + timedelta(seconds=3))


def act_on_change(run_id: str) -> None:
    """Look at a run at once: what a resume or a retry made due is started."""
    here = deployment()
    state = here.backend.state
    here.backend.wake_conductor(run_id)
    days = state.board(run_id)[0].open_days(here.backend.index(run_id))
    for first in range(0, len(days), PAGE_DATES):
        here.dispatcher.look_at(run_id, days[first : first + PAGE_DATES])
