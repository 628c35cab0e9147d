"""The look that no message caused: ends what never reported, finds what is due and was not started."""

from datetime import date, timedelta

from shared.domain.board import RELEASED, UNJUDGED
from shared.domain.errors import PhasegateError
from shared.domain.facts import AttemptKey, Healed, HealedAs
from shared.domain.look import overdue_dispatches
from shared.domain.pipeline import TableOutput
from shared.domain.plan import PlanIndex
from shared.ports import Claim
from shared.services.backend import Backend
from shared.services.dispatcher import Dispatcher

DISPATCH_GRACE = timedelta(minutes=10)
"""A dispatched attempt that nobody claimed for so long is dispatched anew. Queues may rightly be this slow."""


class Sweeper:
    """Heals or names. Ends by itself: every heal writes a fact, and attempts are counted."""

    def __init__(self, backend: Backend, dispatcher: Dispatcher) -> None:
        self._backend, self._dispatcher = backend, dispatcher

    def sweep(self, run_id: str) -> None:
        """One sweep over a run: claims, then every date with an open lane; then the conductor."""
        state = self._backend.state
        index = self._backend.index(run_id)
        claims = state.open_claims(run_id)
        self._end_dead_claims(run_id, index, claims)
        board, _ = state.board(run_id)
        run = state.run(run_id)
        if run.admits and not board.status.is_final:
            days = _open_days(index, {n: bytes(strip) for n, strip in board.lanes.items()})
            self._dispatcher.look_at(run_id, days)
            claimed = {claim.key for claim in claims}
            now = self._backend.clock.now()
            late = [
                due
                for facts in state.dates(run_id, days).values()
                for due in overdue_dispatches(facts, index, claimed, now, DISPATCH_GRACE)
            ]
            if late:
                self._dispatcher.dispatch(run, late)
        self._backend.wake_conductor(run_id)

    def _end_dead_claims(self, run_id: str, index: PlanIndex, claims: list[Claim]) -> None:
        now = self._backend.clock.now()
        healed: list[tuple[AttemptKey, Healed]] = []
        for claim in claims:
            if self._backend.incarnation is not None and claim.incarnation != self._backend.incarnation:
                reason = "the process that had claimed it is gone"
                healed.append((claim.key, Healed(HealedAs.VOID, reason, now)))
            elif claim.lease_until < now and (heal := self._expired(index, claim)) is not None:
                healed.append((claim.key, heal))
        if healed:
            state = self._backend.state
            state.record(run_id, healed)

    def _expired(self, index: PlanIndex, claim: Claim) -> Healed | None:
        """The lease ran out: look at the table first. None when the table cannot be asked now."""
        now = self._backend.clock.now()
        output = index.by_ref[claim.key.ref].spec.output
        lost = Healed(HealedAs.LOST, f"no completion by {claim.lease_until:%Y-%m-%d %H:%M:%S} UTC", now)
        if not isinstance(output, TableOutput) or output.fence_column is None:
            return lost
        sql = (
            f"SELECT COUNT(*) AS n FROM `{output.table}` "
            f"WHERE {output.date_column} = @day AND {output.fence_column} = @fence"
        )
        try:
            rows = self._backend.warehouse.query(sql, {"day": claim.key.day, "fence": claim.fence})[0]["n"]
        except PhasegateError:
            return None
        if rows:
            return Healed(HealedAs.SUCCESS, f"the event was lost; {rows} rows carry its fence", now)
        return lost


def _open_days(index: PlanIndex, lanes: dict[str, bytes]) -> list[date]:
    open_letters = (ord(RELEASED), ord(UNJUDGED))
    return [d for p, d in enumerate(index.days) if any(strip[p] in open_letters for strip in lanes.values())]
