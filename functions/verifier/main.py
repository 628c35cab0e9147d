"""Reads state and tables of a run and writes its summary to the object store."""

import functions_framework
from flask import Request

from shared import telemetry
from shared.entrypoints import Answer, answer, deployment, serve_health
from shared.report.verifier import VerifyRequest, verify

telemetry.configure("verifier")
serve_health("verifier")


@functions_framework.http
def verifier(request: Request) -> Answer:
    """200 and the summary."""
    return answer("verifier", request, VerifyRequest, lambda asked: (verify(deployment().backend, asked.run_id), 200))
