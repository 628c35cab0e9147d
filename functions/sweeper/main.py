"""The sweeper sweeps every unfinished run, or one: it heals what no message brought about. Cloud Scheduler calls it
every minute.
"""

import functions_framework
from flask import Request

from phasegate import telemetry
from phasegate.domain.messages.requests import SweepRequest
from phasegate.entrypoints import Answer, answer, deployment, serve

telemetry.configure("sweeper")
serve("sweeper")


def _sweep(request: SweepRequest) -> Answer:
    made = deployment().sweeper.sweep_all(request.run_id)
    unreadable = {"unreadable": made.unreadable} if made.unreadable else {}
    return {"swept": made.swept, "failed": made.failed, **unreadable}, 503 if made.failed else 200


@functions_framework.http
def sweeper(request: Request) -> Answer:
    """Answer 200 and the runs that were swept, and why others cannot be read; 503 when one of them failed."""
    return answer("sweeper", request, SweepRequest, _sweep)
