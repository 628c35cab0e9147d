"""Claims and leases say who may work: on an attempt, and on the dates of tables that have more than one writer."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple, Protocol

from phasegate.domain.state.facts import AttemptKey, Inputs
from phasegate.domain.state.lease import Held, Lease

LEASE_MARGIN = timedelta(seconds=30)
"""A lease outlasts the worker's deadline by this, so that an answer in time is never taken for a late one."""


class ClaimRequest(NamedTuple):
    """A request for a claim names an attempt that somebody would run, and what it was dispatched from."""

    key: AttemptKey
    """The attempt."""
    epoch: int
    """The run's epoch, as it was when the attempt was claimed."""
    generation: int
    """The generation of the cell that it is dispatched for."""
    inputs: Inputs
    """The attempts of its needs that it is made from."""
    lease_until: datetime
    """When the claim ends unless it is extended, UTC."""


class Claim(NamedTuple):
    """A claim says who runs an attempt."""

    key: AttemptKey
    """The attempt."""
    fence: int
    """Rises with every claim, over all runs: of two writers the one with the higher fence wins."""
    epoch: int
    """The run's epoch, as it was when the attempt was claimed."""
    generation: int
    """The generation of the cell that it was dispatched for."""
    inputs: Inputs
    """The attempts of its needs that it is made from."""
    lease_until: datetime
    """When the claim ends unless it is extended, UTC."""
    claimed_at: datetime
    """When it was made, UTC."""
    incarnation: str
    """Names the process that made it."""

    @property
    def deadline(self) -> datetime:
        """Return until when the worker's answer is waited for, UTC."""
        return self.lease_until - LEASE_MARGIN


class ClaimStore(Protocol):
    """The store keeps claims of attempts, for the runner, the listener and the sweeper."""

    def claim(self, run_id: str, requests: Sequence[ClaimRequest], now: datetime) -> list[Claim | None]:
        """Create claims; None for an attempt that is claimed already. Of two requests for one attempt the first is
        granted, as it stands. A later claim of a date has a higher fence; those that are made together may have the
        same."""

    def claims(self, run_id: str, keys: Iterable[AttemptKey]) -> dict[AttemptKey, Claim]:
        """Return the claims of these attempts, where there are any."""

    def open_claims(self, run_id: str, days: Iterable[date] | None = None) -> list[Claim]:
        """Return the claims on these dates (None: all) of attempts that were not reported, healed or abandoned."""

    def extend(self, run_id: str, claim: Claim, lease_until: datetime) -> None:
        """Let a claim hold until then: the worker is alive."""


class Leases(Protocol):
    """Leases say who may write a date of a table that has more than one writer. For the runner, and for the other
    writer.
    """

    def take(self, table: str, day: date, holder: str, until: datetime, now: datetime) -> Lease | Held:
        """Take the lease on one date of a table (``dataset.table``), or learn who has it.

        It is free when nobody took it, when it was given back, and from the end of its time on. A holder who has it
        and asks again is told so like anybody else: two processes may go by one name.
        Raises InputError without a holder or a time, TransientError when others take it and give it back all the time.
        """

    def extend(self, table: str, day: date, holder: str, until: datetime) -> bool:
        """Let the lease of a holder hold until then; False, and nothing changed, when somebody else has it or took it
        meanwhile, or it was given back.
        """

    def give_back(self, lease: Lease) -> None:
        """Give the lease back: the writer has ended. Changes nothing when the lease ran out and somebody else has it.

        One that cannot be given back now is left to run out; nothing is raised for that.
        """
