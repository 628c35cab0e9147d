"""A lease says who may write one date of a table that another system writes too."""

from dataclasses import dataclass, field
from datetime import date, datetime

from phasegate.domain.errors import InputError


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease is the right to write one date of a table, for one holder, until a moment (UTC).

    Its fence is of the same rising sequence as the fences of claims, so that a writer that puts it on its rows is
    neither undone by an attempt that was claimed before, nor in the way of one claimed later. The runner takes leases
    as others do, and never uses their fence: what a worker gets and an event repeats is the claim's, which names the
    attempt and rises as well. A lease's own is for writers that have no claim.
    """

    table: str
    """``dataset.table``."""
    day: date
    """The date of the table that may be written."""
    holder: str
    """The name by which people know the writer."""
    fence: int
    """Rises with every taking."""
    until: datetime
    """When it ends by itself, UTC; as it was taken."""
    taking: str = field(default="", compare=False)
    """Names this very taking, also when it was prolonged, where the store needs that; else empty."""


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody else has the lease, until a moment at the latest."""

    table: str
    """``dataset.table``."""
    day: date
    """The date of the table that is being written."""
    holder: str
    """Who writes it."""
    until: datetime
    """When the lease ends at the latest, UTC."""

    def __str__(self) -> str:
        return f"{self.table} of {self.day} is being written by {self.holder} until {self.until:%H:%M:%SZ}"


def is_held(holder: str, until: datetime, now: datetime) -> bool:
    """Tell whether a lease that was taken by ``holder`` (empty: given back) still stands."""
    return bool(holder) and now < until


def check_holder(holder: str, until: datetime, now: datetime) -> None:
    """Refuse a lease that nobody would hold, or that has ended before it begins: raises InputError."""
    if not holder:
        raise InputError("a lease needs a holder: the name by which people know the writer, for example live-pipeline")
    if until <= now:
        raise InputError(f"a lease for {holder} until {until} has ended already ({now}); give it a time to last")
