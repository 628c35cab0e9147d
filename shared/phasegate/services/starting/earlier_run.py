"""A request finds the run that it began before: asked for again, a run goes on in place of a second one beside it."""

from datetime import datetime

from phasegate.domain.errors import UnreadableRun
from phasegate.domain.state.run import DesiredState, Run, UnreadableDocument
from phasegate.ports import RunReader
from phasegate.services.starting.identity import RequestIdentity


def find_earlier_run(
    state: RunReader | None, identity: RequestIdentity, run_id: str | None, sent_at: datetime | None = None
) -> Run | None:
    """Find the run of that id; without an id the newest run that is the answer to the same request (``is_answer``).

    state: None where no run was ever written. A run that cannot be read answers nothing. Raises InputError when the id
    belongs to a run of another request, UnreadableRun when it belongs to one that cannot be read.
    """
    if state is None:
        return None
    for run in state.every_run():
        if run_id is not None and run.run_id != run_id:
            continue
        if isinstance(run, UnreadableDocument):
            if run_id is not None:
                raise UnreadableRun(run.reason)
        elif run_id is not None:
            identity.require_same(run)
            return run
        elif identity.is_of(run) and _is_readable_answer(state, run, sent_at):
            return run
    return None


def _is_readable_answer(state: RunReader, run: Run, sent_at: datetime | None) -> bool:
    try:
        return is_answer(state, run, sent_at)
    except UnreadableRun:
        return False


def is_answer(state: RunReader, run: Run, sent_at: datetime | None) -> bool:
    """Tell whether a run of the same request is the answer to it: the run goes on, or a message began it that is now
    delivered a second time.

    sent_at: when the message was published; None for what is asked at this moment.
    """
    return _is_begun_by_message(run, sent_at) or _goes_on(state, run)


def _is_begun_by_message(run: Run, sent_at: datetime | None) -> bool:
    """Only a run that is named after its request: one with a name of its own is what somebody else asked for."""
    named_after_request = f"{run.pipeline}-{run.request_hash}"
    return (
        sent_at is not None
        and run.created_at >= sent_at
        and (run.run_id == named_after_request or run.run_id.startswith(f"{named_after_request}-"))
    )


def _goes_on(state: RunReader, run: Run) -> bool:
    if run.desired_state is DesiredState.CANCELLED:
        return False
    board, _ = state.board(run.run_id)
    return not board.is_over(run)
