"""Work may be under way in a run that is over: a run halts, or is cancelled, while workers and queues go on."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime

from phasegate.domain.plan import PlanIndex
from phasegate.domain.state.facts import AttemptKey
from phasegate.ports import Claim, State
from phasegate.services.reading.progress import DATES_AT_ONCE


def under_way(
    state: State, run_id: str, index: PlanIndex, days: Sequence[date], now: datetime
) -> Iterator[tuple[AttemptKey, Claim | None]]:
    """Find the attempts on these dates that a worker may be at, with their claims, or that a queue may still bring to
    one (None). A claim whose lease ran out counts no more: in a run that is over nobody ends it.

    Reads the dates in pages. What others begin by themselves (observed processors) is not ours to wait for.
    """
    for first in range(0, len(days), DATES_AT_ONCE):
        going = [
            AttemptKey(facts.day, phase, processor, attempt.number)
            for facts in state.dates(run_id, days[first : first + DATES_AT_ONCE]).values()
            for (phase, processor), attempts in facts.tasks.items()
            if index.by_ref[f"{phase}/{processor}"].number not in index.observed
            for attempt in attempts
            if attempt.is_open
        ]
        claims = state.claims(run_id, going)
        for key in going:
            claim = claims.get(key)
            if claim is None or claim.lease_until > now:
                yield key, claim
