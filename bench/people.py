"""What a person waits for: commands that are typed before a run."""

from pathlib import Path

from bench.ground import HISTORICAL, Ground

TRIES = 3
"""Each is typed so often, and the quickest counts."""


def commands(ground: Ground) -> None:
    """``--help``, and a plan of all seasons over a home that is not there."""
    help_seconds = min(ground.today.phasegate("--help").seconds for _ in range(TRIES))
    ground.bounds.check("phasegate --help", help_seconds, "s", most=0.4)
    check_plan(ground, "nothing there", ground.folder / "none", most=1.5)


def check_plan(ground: Ground, there: str, home: Path, most: float) -> None:
    """A plan of the source's five seasons over a home. there: what of them it holds, in words."""
    words = ("--pipeline", ground.today.pipeline, "--source", ground.source, *ground.sizes.five, *HISTORICAL, "--json")
    seconds = min(ground.today.phasegate("--home", home, "plan", *words).seconds for _ in range(TRIES))
    ground.bounds.check(f"plan of five seasons, {there}", seconds, "s", most=most)
