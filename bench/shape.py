"""The shape of W(D), the work over D dates that Phasegate and its peers are measured on: 21 → 5 → {2} → 1 → 1 → 1 → 1
idle tasks per date.

These are raw tables, analytics, a phase in which three processors follow two by their needs, and predictions. The
module imports the standard library alone: the peers' environments have nothing of Phasegate.
"""

from collections.abc import Mapping
from datetime import date, timedelta

FIRST_DAY = date(2020, 1, 1)

NEEDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "raw": {f"raw_{n}": () for n in range(21)},
    "analytics": {f"analytics_{n}": () for n in range(5)},
    "precompute": {
        "zones_of_teams": (),
        "zones_of_players": (),
        "factors": ("zones_of_teams", "zones_of_players"),
        "cache": ("factors",),
        "features": ("cache",),
    },
    "predictions": {"predictions": ()},
}
"""By phase: its processors, with what each needs. A phase begins on a date when the one before has passed there."""

TASKS_A_DATE = sum(map(len, NEEDS.values()))


def days(dates: int) -> list[str]:
    """The days of W(dates), as YYYY-MM-DD."""
    return [(FIRST_DAY + timedelta(days=n)).isoformat() for n in range(dates)]


def task_needs() -> dict[str, tuple[str, ...]]:
    """Each task of a date with the tasks of that date that it waits for, in an order in which they can run.

    Tools without phases get the phase before as needs of the tasks that need nothing within their own phase. Tasks that
    others of their phase need are left out there: to wait for those others is enough.
    """
    needs: dict[str, tuple[str, ...]] = {}
    last_of_phase_before: tuple[str, ...] = ()
    for needs_of in NEEDS.values():
        needs |= {name: own or last_of_phase_before for name, own in needs_of.items()}
        needed = {need for own in needs_of.values() for need in own}
        last_of_phase_before = tuple(name for name in needs_of if name not in needed)
    return needs


def waves() -> list[tuple[str, ...]]:
    """The tasks of a date in groups that run one after the other, each at once: 21, 5, 2, 1, 1, 1, 1."""
    needs, depth = task_needs(), dict[str, int]()
    for name, needed in needs.items():
        depth[name] = 1 + max((depth[need] for need in needed), default=-1)
    return [tuple(name for name in needs if depth[name] == n) for n in range(max(depth.values()) + 1)]
