"""The ground is what every part of the measuring is given: where figures go, whose code is measured, on which games,
and how much of each is measured.
"""

from dataclasses import dataclass
from pathlib import Path

from bench.bounds import Bounds
from bench.checkout import Checkout

BATCH = 20
"""Dates a call, as in the reference pipeline's file."""

ALL_SEASONS = ("2020-21", "2021-22", "2022-23", "2023-24", "2024-25")
"""The seasons of the source."""

Chosen = tuple[str, ...]
"""Words of a command that choose dates: ``("--season", "2023-24")``."""


HISTORICAL = ("--profile", "historical")
"""Phases 1 to 4, which is all that the reference pipeline had when the figures of the issues were taken."""


def seasons(*names: str) -> Chosen:
    """Return the words that choose whole seasons."""
    return tuple(word for name in names for word in ("--season", name))


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes say how much is measured."""

    pairs: int
    """Alternating pairs of one season, today's and before's."""
    loops: int
    """Alternating rounds of the plain loop and what stands beside it."""
    season: Chosen
    """The one season."""
    five: Chosen
    """The seasons of the source."""
    current: Chosen
    """The season that is run date by date through all phases."""
    eleven: Chosen
    """The same, and six more."""
    idle_dates: int
    """D of W(D)."""
    few_dates: int
    """The lesser D of the two that are compared for their time a task."""
    many_dates: int
    """The greater D."""
    stack_dates: int
    """Dates on the local stack."""
    operations_dates: int
    """Dates whose operations on Firestore are counted."""
    statement_dates: int
    """Dates whose statements in BigQuery are counted."""


EARLIER_SEASONS = ("2014-15", "2015-16", "2016-17", "2017-18", "2018-19", "2019-20")
"""The six seasons before those of the source, made up by ``bench.source``."""

WHOLE = Sizes(
    pairs=3,
    loops=2,
    season=seasons("2023-24"),
    five=seasons(*ALL_SEASONS),
    current=seasons("2024-25"),
    eleven=seasons(*EARLIER_SEASONS, *ALL_SEASONS),
    idle_dates=200,
    few_dates=500,
    many_dates=10_000,
    stack_dates=30,
    operations_dates=200,
    statement_dates=40,
)
"""What ``make bench`` measures, and what the bounds are about."""

QUICK = Sizes(
    pairs=1,
    loops=1,
    season=("--from", "2023-10-24", "--to", "2023-11-14"),
    five=("--from", "2023-10-24", "--to", "2023-12-07"),
    current=("--from", "2024-10-22", "--to", "2024-11-12"),
    eleven=("--from", "2014-12-20", "--to", "2015-01-31"),
    idle_dates=60,
    few_dates=60,
    many_dates=600,
    stack_dates=4,
    operations_dates=20,
    statement_dates=8,
)
"""As little as shows that each part works; the bounds are not about these sizes."""


@dataclass(frozen=True, slots=True)
class Ground:
    """The ground of one measuring."""

    bounds: Bounds
    """Prints figures, and keeps them."""
    sizes: Sizes
    """How much is measured."""
    source: Path
    """The folder of the games."""
    folder: Path
    """Where homes and whatever else is needed may be made; it is gone afterwards."""
    today: Checkout
    """This checkout."""
    before: Checkout | None
    """The yardstick; None: today's is measured alone."""
