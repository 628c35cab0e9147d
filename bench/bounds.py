"""A measure is a figure with the bound that it is held to, or the goal that it is on the way to; ``Bounds`` prints each
as it is taken, and keeps it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FASTER = "times as fast"
"""The unit of a ratio of speeds: how often what is measured is done in the time that the other takes."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Beside a figure stands the one that was taken in the same run, in the same unit."""

    name: str
    """Whose it is, as the page says it: ``before``, ``plain loop``."""
    figure: float
    """The figure itself."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure is one line of the table: what was measured, and what is wanted of it."""

    what: str
    """What was measured."""
    figure: float
    """What came out."""
    unit: str
    """The unit of the figure; empty: it is a ratio by itself."""
    beside: Beside | None = None
    """What it is compared with; None: it is judged by itself."""
    ratio: float | None = None
    """The comparison, as the unit of the ratio says; None where nothing is compared."""
    ratio_unit: str = ""
    """``FASTER``, or empty: the figure divided by the one beside it."""
    least: float | None = None
    """The least that is wanted of the ratio, or else of the figure; None: no least."""
    most: float | None = None
    """The most that is wanted of it; None: no most."""
    is_goal: bool = False
    """Whether it is still to be reached: what falls short of a goal is told, and fails nothing."""

    @property
    def judged(self) -> float:
        """Return what the bound is about."""
        return self.figure if self.ratio is None else self.ratio

    @property
    def holds(self) -> bool | None:
        """Tell whether the bound holds; None: there is none."""
        if self.least is None and self.most is None:
            return None
        return (self.least is None or self.judged >= self.least) and (self.most is None or self.judged <= self.most)

    @property
    def bound(self) -> str:
        """Say what is wanted; nothing where nothing is."""
        if self.least is not None:
            return f"at least {self.least:,g}"
        return f"at most {self.most:,g}" if self.most is not None else ""

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Measure":
        """Return the measure that ``dataclasses.asdict`` wrote."""
        beside = document["beside"]
        return cls(**{**document, "beside": Beside(**beside) if beside else None})


class Bounds:
    """Prints figures, keeps them, and remembers whether all bounds held."""

    def __init__(self) -> None:
        self.all_hold = True
        self.measures: list[Measure] = []
        self.details: dict[str, Any] = {}
        """What the page tells beside the measures, by name: where the time went, who else was measured."""

    def check(
        self, what: str, figure: float, unit: str, *, least: float | None = None, most: float | None = None
    ) -> None:
        """One line: the figure, its bound, and whether it holds; without a bound the figure alone."""
        self._keep(Measure(what, figure, unit, least=least, most=most))

    def reach(
        self, what: str, figure: float, unit: str, *, least: float | None = None, most: float | None = None
    ) -> None:
        """One line: the figure, the goal that it is on the way to, and whether that is reached."""
        self._keep(Measure(what, figure, unit, least=least, most=most, is_goal=True))

    def faster(self, what: str, figure: float, unit: str, beside: Beside, ratio: float, *, least: float) -> None:
        """One line: how many times as fast as what stands beside it; the least is a goal."""
        self._keep(Measure(what, figure, unit, beside, ratio, FASTER, least=least, is_goal=True))

    def share(
        self, what: str, figure: float, unit: str, beside: Beside, *, least: float | None = None,
        most: float | None = None, ratio: float | None = None,
    ) -> None:  # fmt: skip
        """One line: how much of what stands beside it the figure is; least and most are goals. ratio: given where it is
        a median."""
        found = figure / beside.figure if ratio is None else ratio
        self._keep(Measure(what, figure, unit, beside, found, least=least, most=most, is_goal=True))

    def _keep(self, measure: Measure) -> None:
        self.measures.append(measure)
        told = f"{measure.what:<58} {measure.judged:>10,.2f} {measure.ratio_unit or _unit_of(measure):<13} "
        if measure.holds is not None:
            short = "short of it" if measure.is_goal else "MISSED"
            told += f"{measure.bound:<16} {'ok' if measure.holds else short}"
            self.all_hold &= measure.holds or measure.is_goal
        if measure.beside:
            told += f"  ({measure.figure:,.2f} {measure.unit}; {measure.beside.name} {measure.beside.figure:,.2f})"
        print(told.rstrip(), flush=True)


def _unit_of(measure: Measure) -> str:
    return measure.unit if measure.ratio is None else "of it"
