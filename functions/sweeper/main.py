"""The sweeper heals what no message brought about. Cloud Scheduler calls it every minute: it puts a sweep of each
unfinished run on a queue, which calls it for that run.
"""

from dataclasses import asdict

import functions_framework
from flask import Request

from phasegate import telemetry
from phasegate.domain.messages.requests import SweepRequest
from phasegate.entrypoints import Answer, answer, deployment, is_from_queue, serve

telemetry.configure("sweeper")
serve("sweeper")

SCHEDULED = "X-CloudScheduler-ScheduleTime"
"""The header in which Cloud Scheduler names the minute that a call is for, the same when it is repeated."""


def _sweep(asked: SweepRequest, scheduled: str, is_delivery: bool) -> Answer:
    sweeper = deployment().sweeper
    if asked.run_id is None:
        return {"queued": sweeper.queue_sweeps(scheduled)}, 200
    made = sweeper.sweep_all([asked.run_id])
    # The next minute's task is the next try: delivered again as well, the failed ones would only pile up.
    return asdict(made), 503 if made.failed and not is_delivery else 200


@functions_framework.http
def sweeper(request: Request) -> Answer:
    """Answer 200: without a run the sweeps that were put on the queue, with one what became of its sweep; 503 when
    that failed, and somebody else than the queue asked for it.
    """
    scheduled, is_delivery = request.headers.get(SCHEDULED, ""), is_from_queue(request)
    return answer("sweeper", request, SweepRequest, lambda asked: _sweep(asked, scheduled, is_delivery))
