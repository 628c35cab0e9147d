"""The conductor proves what settled, judges it, and releases what may start."""

import functions_framework
from flask import Request

from phasegate import telemetry
from phasegate.domain.messages.tasks import WakeUp
from phasegate.entrypoints import Answer, answer, deployment, serve

telemetry.configure("conductor")
serve("conductor")


def _conduct(wake_up: WakeUp) -> Answer:
    with telemetry.bind(run_id=wake_up.run_id):
        return {"status": deployment().conductor.conduct(wake_up.run_id).status.value}, 200


@functions_framework.http
def conductor(request: Request) -> Answer:
    """Answer 200 and the status of the run."""
    return answer("conductor", request, WakeUp, _conduct)
