"""The run in Firestore that broke off: what was begun, what people did, and where the process died."""

from typing import Any

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.services.operating import operators
from phasegate.services.operating.decisions import approve, waive
from tests.catalogue.cloud import CloudWorld


def change(document: dict[str, Any]) -> None:
    """Another system writes ``raw.b`` too, and a person must let ``final`` go."""
    document["phases"][1]["processors"][1]["output"]["other_writer"] = "the live pipeline"
    document["phases"][3]["gates"].append({"check": "approval"})


def begin(cloud: CloudWorld) -> None:
    """Begin the run ``r`` over all dates; ``raw.a`` breaks on the second one, and people have decided this and that."""
    cloud.world.misbehave(raw__a__1=["fail:bug"], fetch__b__2=["fail:transient"])
    cloud.begin(Selection(seasons=("2023-24",)))
    state, clock = cloud.state, cloud.world.clock
    approve(state, clock, "r", "final", by="ann", why="looked at the tables")
    scope: dict[str, Any] = {"dates": cloud.days[1:2], "check": "rows", "phase": "raw", "processor": "b"}
    waive(state, clock, "r", until="2026-02-01", by="ann", why="the source has no more", **scope)
    cloud.state.change_run("r", lambda run: run.model_copy(update={"active_dates": {"fetch": 2}}))


def has_come_to_its_place(cloud: CloudWorld) -> bool:
    """Ask for a retry as soon as something has failed; then, whether somebody works on ``shape``."""
    state = cloud.state
    if not state.run("r").retries:
        try:
            operators.retry(
                state, cloud.world.clock, "r", dates=(), phase=None, processor=None, signature=None, why="once more"
            )
        except InputError:
            return False
    return any(claim.key.phase == "shape" for claim in state.open_claims("r"))
