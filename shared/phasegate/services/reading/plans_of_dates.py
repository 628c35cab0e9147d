"""Each date of a run is decided by the generation of its plan that the date's own facts name."""

from collections.abc import Mapping
from datetime import date

from phasegate.domain.plan import PlanIndex
from phasegate.domain.state.facts import DateFacts
from phasegate.ports import RunReader


def indexes_of(state: RunReader, run_id: str, dates: Mapping[date, DateFacts]) -> dict[date, PlanIndex]:
    """Return, for each of these dates, the index that decides about it. Each generation is looked up once."""
    names = {day: facts.plan for day, facts in dates.items()}
    indexes = {name: state.index(run_id, name) for name in set(names.values())}
    return {day: indexes[name] for day, name in names.items()}
