"""What was read on behalf of a run is kept with it, whichever function, in whichever instance, has read it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from phasegate import telemetry
from phasegate.domain.errors import PhasegateError
from phasegate.domain.state.reads import Reads
from phasegate.ports import State

_log = logging.getLogger(__name__)


@contextmanager
def reads_kept(state: State, run_id: str) -> Iterator[None]:
    """Add what is read within to what is known of the run, also when it comes to nothing."""
    with telemetry.counting_reads() as counter:
        try:
            yield
        finally:
            keep_reads(state, run_id, counter.reads)


def keep_reads(state: State, run_id: str, reads: Reads) -> None:
    """Add what was read to what is known of the run. A sum that cannot be kept holds nothing up."""
    if not reads.statements:
        return
    try:
        state.add_reads(run_id, reads)
    except PhasegateError as error:
        _log.warning("what was read for run %s (%s) is not counted: %s", run_id, reads, error)
