"""A request that is answered by a run which stopped at a bad date is told why nothing was begun, and what frees it."""

from collections.abc import Collection
from datetime import date

from phasegate.ports import RunReader
from phasegate.report.explain import explain
from phasegate.report.explanation import roots_text


def stopped_text(state: RunReader, run_id: str, days: Collection[date]) -> str:
    """Say of a run which of its dates stop it, what is wrong there, and what to type.

    days: the dates that ended badly and that nobody has freed, one at least.
    """
    first = min(days)
    roots = [root for root in explain(state, run_id, None, None).roots if root.day in days]
    return "\n".join(
        [
            f"nothing was begun: run {run_id} stopped at {first}, which ended badly; neither that date nor a later one "
            "is called before somebody has freed it",
            *roots_text(roots),
        ]
    )
