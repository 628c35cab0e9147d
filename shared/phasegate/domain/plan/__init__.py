"""The plan of a run has two forms: the frozen document, and the compiled form that decisions are made on.

A ``Plan`` is what a person confirms; ``compile_plan`` derives its ``PlanIndex``.
"""

from phasegate.domain.plan.changes import ScheduleChanges, compare
from phasegate.domain.plan.compiler import compile_plan
from phasegate.domain.plan.document import PLAN_MINOR, PLAN_VERSION, Plan, PlanScope, WorkLetter
from phasegate.domain.plan.generations import FIRST, generation_name, regenerate
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
    "FIRST",
    "PLAN_MINOR",
    "PLAN_VERSION",
    "ApprovalEdge",
    "BarrierEdge",
    "Edge",
    "Plan",
    "PlanIndex",
    "PlanScope",
    "ReleaseGroup",
    "SameDateEdge",
    "ScheduleChanges",
    "TaskSpec",
    "WindowEdge",
    "WorkLetter",
    "compare",
    "compile_plan",
    "generation_name",
    "regenerate",
]
