"""What a person decided of a run counts at once, or, where the run is held, when it is resumed."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from phasegate.cli.output import say, write_json
from phasegate.domain.state.run import DesiredState

if TYPE_CHECKING:
    from phasegate.cli.backend import CommandBackend, GoingOn
    from phasegate.domain.state.run import Run


def ready_to_go_on(backend: "CommandBackend", going_on: "GoingOn", run_id: str) -> Callable[[], None]:
    """Return what has to be made ready before a decision is written: a run that is held goes on later, and is not
    driven."""

    def make_ready() -> None:
        if backend.state().run(run_id).desired_state is DesiredState.RUNNING:
            going_on.make_ready()
        else:
            backend.expect_change(run_id)

    return make_ready


def go_on_unless_held(going_on: "GoingOn", run: "Run", as_json: bool) -> int:
    """See that a run goes on after a decision; one that is held does once it is resumed. Returns the exit status.

    run: as the decision left it.
    """
    if run.desired_state is DesiredState.RUNNING:
        return going_on.go_on(as_json)
    if as_json:
        write_json({"run_id": run.run_id, "wanted": run.desired_state.value})
    say(f"the run is {run.desired_state.value}; go on with: phasegate resume {run.run_id}")
    return 0
