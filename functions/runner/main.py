"""The runner executes one task: it claims its attempts, calls the worker, and reports."""

import functions_framework
from flask import Request

from phasegate import telemetry
from phasegate.domain.messages.tasks import payload_model
from phasegate.entrypoints import Answer, answer_text, deployment, read, serve

telemetry.configure("runner")
serve("runner")


def _run(text: str) -> Answer:
    return {"outcome": deployment().runner.run(read(payload_model(text), text))}, 200


@functions_framework.http
def runner(request: Request) -> Answer:
    """Answer 200 and what became of the task: ``nothing`` when somebody else has it or the run does not admit it."""
    return answer_text("runner", request, _run)
