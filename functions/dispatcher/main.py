"""The dispatcher reconciles a page of dates on which something became due: it is put on the queues."""

import functions_framework
from flask import Request

from phasegate import telemetry
from phasegate.domain.messages.tasks import DispatchPage
from phasegate.entrypoints import Answer, answer, deployment, serve

telemetry.configure("dispatcher")
serve("dispatcher")


def _dispatch(page: DispatchPage) -> Answer:
    with telemetry.bind(run_id=page.run_id):
        reconciled = deployment().reconciler.reconcile_days(page.run_id, page.dates)
    return {"dispatched": len(reconciled.due), "at_rest": len(reconciled.at_rest)}, 200


@functions_framework.http
def dispatcher(request: Request) -> Answer:
    """Answer 200, how many attempts were due, and on how many dates a release group is at rest."""
    return answer("dispatcher", request, DispatchPage, _dispatch)
