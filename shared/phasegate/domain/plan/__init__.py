"""The plan of a run: the frozen document, and the compiled form that decisions are made on.

A ``Plan`` is what a person confirms; ``compile_plan`` derives its ``PlanIndex``. ``expectation`` says what a
processor's output should hold on a date, in a run or outside of it.
"""

from phasegate.domain.calendar.expectation import EMPTY, EXPECTED, OPTIONAL, expectation
from phasegate.domain.plan.compiler import compile_plan
from phasegate.domain.plan.document import ADOPT, PLAN_VERSION, RUN, Plan
from phasegate.domain.plan.index import PlanIndex
from phasegate.domain.plan.release_groups import (
    ApprovalEdge,
    BarrierEdge,
    Edge,
    ReleaseGroup,
    SameDateEdge,
    TaskSpec,
    WindowEdge,
)

__all__ = [
    "ADOPT",
    "EMPTY",
    "EXPECTED",
    "OPTIONAL",
    "PLAN_VERSION",
    "RUN",
    "ApprovalEdge",
    "BarrierEdge",
    "Edge",
    "Plan",
    "PlanIndex",
    "ReleaseGroup",
    "SameDateEdge",
    "TaskSpec",
    "WindowEdge",
    "compile_plan",
    "expectation",
]
