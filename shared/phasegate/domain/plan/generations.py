"""A run may go on by a later generation of its plan: the same dates and tasks, of which something else is expected.

A generation is kept under its name, and never changes. The first is what was confirmed at the start; its name is empty.
"""

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.plan.compiler import compile_plan
from phasegate.domain.plan.document import PLAN_MINOR, Plan, WorkLetter
from phasegate.domain.plan.index import PlanIndex
from phasegate.domain.spec.pipeline import Pipeline

FIRST = ""
"""The name of the plan that was confirmed at the start."""


def generation_name(before: str, plan: Plan) -> str:
    """Name the generation that follows on another one: a number, so that a later one has a higher name, and the hash of
    its content, so that two that are made at once are two."""
    number = int(before.partition("-")[0]) if before else 1
    return f"{number + 1:04}-{plan.hash}"


def regenerate(plan: Plan, pipeline: Pipeline, calendar: Calendar | None) -> Plan:
    """Make a plan's next generation, by another pipeline or another calendar.

    calendar: as the schedule reads now; None: it stays. A date of the run that it does not have is lost: nothing is due
    there. Where something is due that was not, it is run; what was adopted stays so, unless what it is made from is
    made again.
    """
    fields = {name: getattr(plan, name) for name in type(plan).model_fields}
    fields |= {"pipeline": pipeline, "schema_minor": PLAN_MINOR}
    if calendar is not None:
        known = Calendar(plan.calendar, plan.by_numbers)
        lost = tuple(day for day in plan.days if day not in calendar.by_day)
        seasons = {known.by_day[day].season for day in plan.days}
        seasons |= {calendar.by_day[day].season for day in plan.days if day in calendar.by_day}
        dates = [each for each in calendar.dates if each.season in seasons]
        made = Calendar.of((*dates, *(known.by_day[day] for day in lost)))
        fields |= {"calendar": made.dates, "lost": lost}
    index = compile_plan(Plan(**fields))
    return index.plan.with_letters({ref: _letters(index, ref) for ref in plan.work})


def _letters(index: PlanIndex, ref: str) -> str:
    task, lost = index.by_ref[ref], frozenset(index.plan.lost)
    letters: list[str] = []
    for position, letter in enumerate(task.work):
        is_due = index.days[position] not in lost and (task.is_called(position) or not index.plan.by_numbers)
        if not is_due:
            letters.append(WorkLetter.NOTHING_DUE)
        else:
            letters.append(WorkLetter.RUN if letter == WorkLetter.NOTHING_DUE else letter)
    return "".join(letters)
