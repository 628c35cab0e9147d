"""A run stands on more than the other ports: services, queues, topics, rights."""

from collections.abc import Sequence
from typing import Protocol

from phasegate.domain.operations.preflight import PreflightLine
from phasegate.domain.spec.pipeline import Pipeline


class Installation(Protocol):
    """An installation is what a run stands on beside the other ports: services, queues, topics, rights."""

    def inspect(self, pipeline: Pipeline, phases: Sequence[str]) -> list[PreflightLine]:
        """Inspect all that a run of these phases needs. What could not be inspected is never a PASS; nothing is
        raised for it.
        """
