"""The runner executes one task: it claims the attempt, calls the worker, and reports."""

import functions_framework
from flask import Request

from phasegate import telemetry
from phasegate.domain.messages.tasks import TaskPayload
from phasegate.entrypoints import Answer, answer, deployment, serve

telemetry.configure("runner")
serve("runner")


@functions_framework.http
def runner(request: Request) -> Answer:
    """Answer 200 and what became of the task: ``nothing`` when somebody else has it or the run does not admit it."""
    return answer("runner", request, TaskPayload, lambda task: ({"outcome": deployment().runner.run(task)}, 200))
