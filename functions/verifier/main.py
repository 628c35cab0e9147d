"""The verifier reads state and tables of a run, or the tables of dates without one, and keeps the report in the object
store.
"""

import functions_framework
from flask import Request

from phasegate import telemetry
from phasegate.domain.messages.requests import VerifyRequest
from phasegate.entrypoints import Answer, answer, deployment, serve
from phasegate.report.verifier import verify_dates, verify_run
from phasegate.report.verify.compose import VerifierInputs
from phasegate.services.reading.schedule import read_calendar

telemetry.configure("verifier")
serve("verifier")


def _verify(asked: VerifyRequest) -> Answer:
    asked.require_run_or_dates()
    backend = deployment().backend
    inputs = VerifierInputs(backend.state, backend.warehouse, backend.objects, is_cloud=True)
    if asked.run_id is not None:
        with telemetry.bind(run_id=asked.run_id):
            return verify_run(inputs, backend.objects, backend.clock, asked.run_id).summary(), 200
    pipeline = deployment().pipeline
    selection = asked.selection_on(pipeline.date_at(backend.clock.now()))
    calendar = read_calendar(pipeline.calendar, lambda sql: list(backend.warehouse.query(sql)))
    verified = verify_dates(inputs, backend.objects, backend.clock, pipeline, calendar, selection, asked.phases)
    return verified.summary(), 200


@functions_framework.http
def verifier(request: Request) -> Answer:
    """Answer 200 and the verdict in short."""
    return answer("verifier", request, VerifyRequest, _verify)
