"""The verifier: a run's summary, from state and tables, kept as an object."""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.run import RUN_ID
from shared.report.summary import summarise, summary_document
from shared.services.backend import Backend


class VerifyRequest(BaseModel):
    """Which run to verify."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str = Field(pattern=f"^{RUN_ID}$")


def verify(backend: Backend, run_id: str) -> dict[str, Any]:
    """The summary of a run, also written to ``reports/{run}/summary.json``. Raises InputError for an unknown run."""
    found = summarise(backend.state, backend.warehouse, run_id, backend.clock.now())
    document = summary_document(found)
    backend.objects.write(f"reports/{run_id}/summary.json", json.dumps(document, indent=2).encode())
    return document
