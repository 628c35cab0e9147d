"""The sweeper heals what no message brought about. Cloud Scheduler calls it every minute: it puts a sweep of each
unfinished run on a queue, which calls it for that run.
"""

from dataclasses import asdict
from datetime import datetime

import functions_framework
from flask import Request

from phasegate import telemetry
from phasegate.domain.messages.requests import SweepRequest
from phasegate.entrypoints import Answer, answer, deployment, due_at, serve

telemetry.configure("sweeper")
serve("sweeper")

SCHEDULED = "X-CloudScheduler-ScheduleTime"
"""The header in which Cloud Scheduler names the minute that a call is for, the same when it is repeated."""


def _sweep(asked: SweepRequest, scheduled: str, due: datetime | None) -> Answer:
    sweeper = deployment().sweeper
    if asked.run_id is None:
        return {"queued": sweeper.queue_sweeps(scheduled)}, 200
    if due is not None:
        # The next minute's task is the next try: delivered again as well, those that failed would only pile up.
        return asdict(sweeper.sweep_once(asked.run_id, due)), 200
    made = sweeper.sweep_all([asked.run_id])
    return asdict(made), 503 if made.failed else 200


@functions_framework.http
def sweeper(request: Request) -> Answer:
    """Answer 200: without a run the sweeps that were put on the queue; with one what became of its sweep, or nothing
    where the queue asks and another sweep stands for it. 503 when it failed and somebody else than the queue asked.
    """
    scheduled, due = request.headers.get(SCHEDULED, ""), due_at(request)
    return answer("sweeper", request, SweepRequest, lambda asked: _sweep(asked, scheduled, due))
