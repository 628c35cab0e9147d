"""The starter starts runs: by an HTTP request, or by a message on ``backfill-kickoff`` that Pub/Sub pushes here."""

import logging
from datetime import datetime

import functions_framework
from flask import Request

from phasegate import telemetry
from phasegate.domain.errors import InputError
from phasegate.domain.messages.kickoff import Kickoff
from phasegate.domain.state.listed import ListedRun
from phasegate.entrypoints import MAX_BODY_BYTES, Answer, answer, deployment, is_push, pushed, read, serve, settle
from phasegate.report.stopped import stopped_text
from phasegate.services.reading.listing import run_document
from phasegate.services.starting.environment import CloudEnvironment, require_deployed
from phasegate.services.starting.start import start

telemetry.configure("starter")
serve("starter")

_log = logging.getLogger(__name__)


def _start(kickoff: Kickoff, sent_at: datetime | None = None) -> Answer:
    here = deployment()
    require_deployed(here.pipeline, kickoff.pipeline)
    environment = CloudEnvironment(here.backend, here.installation, lambda _: here.pipeline)
    # Delivered again after midnight, a message means the dates of the day on which it was sent, and finds its run.
    today = here.pipeline.date_at(sent_at or environment.clock.now())
    started = start(kickoff.run_request(str(here.pipeline_file), today), environment, kickoff.run_id, sent_at)
    state, run_id = here.backend.state, started.run.run_id
    document = run_document(ListedRun(started.run, state.board(run_id)[0], state.scope(run_id)))
    if not started.stopped_by:
        return document, 202
    stopped = stopped_text(state, run_id, started.stopped_by)
    _log.warning("%s", stopped)
    return {**document, "stopped": stopped}, 200


@functions_framework.http
def starter(request: Request) -> Answer:
    """Answer 202 and the run, new or the one that the same request began before; 200, and under ``stopped`` what frees
    it, where that run rests at a bad date and nothing was begun."""
    if not is_push(request) and not _is_message(request):
        return answer("starter", request, Kickoff, _start)
    text = request.get_data(as_text=True)
    return settle("starter", text, True, lambda: _start_by_message(text))


def _is_message(request: Request) -> bool:
    """Whether a message was pushed to the function's bare address."""
    try:
        pushed(request.get_data(as_text=True) if (request.content_length or 0) <= MAX_BODY_BYTES else "")
    except InputError:
        return False
    return True


def _start_by_message(body: str) -> Answer:
    content, attributes, sent_at = pushed(body)
    with telemetry.incoming(attributes):
        return settle("starter", content, True, lambda: _start(read(Kickoff, content), sent_at))
