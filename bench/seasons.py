"""Real seasons with all checks, today's and before's alternately: one, five, and eleven of them; and one by a plain
loop without any orchestrator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.bounds import Beside
from bench.checkout import Checkout
from bench.ground import HISTORICAL, Chosen, Ground
from bench.people import check_plan
from bench.source import make_eleven_seasons, without_batches
from bench.verifying import measure_verifier

SAME_PACE = 1.1
"""Most of one season's time a task that more seasons may take."""

MEMORY_MEGABYTES = 1_000


@dataclass(frozen=True, slots=True)
class Backfill:
    """A backfill is what one command made in a new home."""

    dates: int
    """Dates of the run."""
    tasks: int
    """Its tasks."""
    seconds: float
    """What the whole command took, with the start of its interpreter."""
    megabytes: float
    """The most memory that it had at a time."""
    time: dict[str, Any]
    """Where the time went, as ``run --json`` tells it; empty before there was such a thing."""

    @property
    def microseconds_a_task(self) -> float:
        """Return what a task took."""
        return 1e6 * self.seconds / self.tasks


def backfill(
    of: Checkout,
    source: Path,
    chosen: Chosen,
    home: Path,
    pipeline: Path | None = None,
    profile: Chosen = HISTORICAL,
) -> Backfill:
    """Run the dates in a new home, whose folder must not be there."""
    words = ("--pipeline", pipeline or of.pipeline, "--source", source, *chosen, *profile)
    typed = of.phasegate("--home", home, "run", *words, "--json")
    document = typed.document
    assert document["status"] == "completed", document["status"]
    return Backfill(
        dates=document["dates"],
        tasks=document["tasks"]["expected"],
        seconds=typed.seconds,
        megabytes=typed.megabytes,
        time=document.get("time") or {},
    )


def one_season(ground: Ground) -> None:
    """One season in alternating pairs, and the median of their ratios."""
    ours: list[Backfill] = []
    theirs: list[Backfill] = []
    for n in range(ground.sizes.pairs):
        ours.append(_run(ground, ground.today, f"one-{n}", ground.sizes.season))
        if ground.before:
            theirs.append(_run(ground, ground.before, f"one-before-{n}", ground.sizes.season))
    _compare(ground, "a season", ours, theirs)
    ground.bounds.details["time of a season"] = min(ours, key=lambda each: each.seconds).time


def five_seasons(ground: Ground) -> None:
    """The source's five seasons in one pair and their time a task over one season's; over their home the verifier, and
    a plan."""
    one = _run(ground, ground.today, "one", ground.sizes.season)
    five = _run(ground, ground.today, "five", ground.sizes.five)
    theirs = [_run(ground, ground.before, "five-before", ground.sizes.five)] if ground.before else []
    _compare(ground, "five seasons", [five], theirs)
    _same_pace(ground, "five seasons", five, [one])
    dates, seconds, size = measure_verifier(ground.folder / "five")
    ground.bounds.check(f"verifying {dates} dates, all tables", seconds, "s", most=10)
    ground.bounds.check("  the HTML report", size / 1e6, "MB", most=1)
    check_plan(ground, "all of it there", ground.folder / "five", most=6)


def eleven_seasons(ground: Ground) -> None:
    """Eleven seasons in one pair, six of them made up; their time a task over that of one season before and after."""
    source = make_eleven_seasons(ground.today, ground.source, ground.folder)
    chosen = ground.sizes.eleven
    ones = [_run(ground, ground.today, "one-first", ground.sizes.season)]
    eleven = backfill(ground.today, source, chosen, ground.folder / "all-eleven")
    ones.append(_run(ground, ground.today, "one-last", ground.sizes.season))
    before = ground.before
    theirs = [backfill(before, source, chosen, ground.folder / "all-eleven-before")] if before else []
    _compare(ground, "eleven seasons", [eleven], theirs)
    _same_pace(ground, "eleven seasons", eleven, ones)


def plain_loop(ground: Ground) -> None:
    """One season by a loop over before's worker, beside Phasegate date by date and in batches."""
    if ground.before is None:
        print("the plain loop calls the worker of the commit before: it is left out")
        return
    pipeline = without_batches(ground.today.pipeline, ground.folder / "date-by-date")
    words = ("--pipeline", ground.before.pipeline, "--source", ground.source, *ground.sizes.season)
    loops: list[float] = []
    singles: list[Backfill] = []
    batched: list[Backfill] = []
    for n in range(ground.sizes.loops):
        loops.append(ground.before.measure("bench.plain_loop", *words).document["seconds"])
        singles.append(_run(ground, ground.today, f"single-{n}", ground.sizes.season, pipeline))
        batched.append(_run(ground, ground.today, f"batched-{n}", ground.sizes.season))
    beside = Beside("plain loop", median(loops))
    for told, runs, most in (("date by date", singles, 1.3), ("in batches", batched, 0.5)):
        ratio = median(run.seconds / loop for run, loop in zip(runs, loops, strict=True))
        seconds = median(run.seconds for run in runs)
        ground.bounds.share(f"a season {told} against the plain loop", seconds, "s", beside, most=most, ratio=ratio)
    ground.bounds.details["time date by date"] = min(singles, key=lambda each: each.seconds).time


def all_phases(ground: Ground) -> None:
    """All six phases: a season by the profile `current`, its first dates one by one, and five seasons by `full`."""
    for told, profile, chosen, seconds, megabytes in (
        ("a season", "current", ground.sizes.current, 120, MEMORY_MEGABYTES),
        ("five seasons", "full", ground.sizes.five, 360, 2 * MEMORY_MEGABYTES),
    ):
        made = backfill(ground.today, ground.source, chosen, ground.folder / profile, profile=("--profile", profile))
        what = f"{told} by `{profile}`, {made.dates:,} dates, {made.tasks:,} tasks of six phases"
        ground.bounds.check(what, made.seconds, "s", most=seconds)
        ground.bounds.check(f"  peak memory of {told} by `{profile}`", made.megabytes, "MB", most=megabytes)


def _run(ground: Ground, of: Checkout, home: str, chosen: Chosen, pipeline: Path | None = None) -> Backfill:
    return backfill(of, ground.source, chosen, ground.folder / home, pipeline)


def _compare(ground: Ground, what: str, ours: Sequence[Backfill], theirs: Sequence[Backfill]) -> None:
    """How many times as fast as before, where before was measured; and the memory."""
    told = f"{what}, {ours[0].dates:,} dates, {ours[0].tasks:,} tasks, all checks"
    seconds = median(each.seconds for each in ours)
    if theirs:
        assert {each.tasks for each in theirs} == {ours[0].tasks}
        ratio = median(their.seconds / our.seconds for our, their in zip(ours, theirs, strict=True))
        beside = Beside("before", median(each.seconds for each in theirs))
        ground.bounds.faster(told, seconds, "s", beside, ratio, least=5)
        ground.bounds.check(f"  peak memory of {what}, before", max(each.megabytes for each in theirs), "MB")
    else:
        ground.bounds.check(told, seconds, "s")
    ground.bounds.check(f"  peak memory of {what}", max(each.megabytes for each in ours), "MB", most=MEMORY_MEGABYTES)


def _same_pace(ground: Ground, what: str, many: Backfill, ones: Sequence[Backfill]) -> None:
    beside = Beside("one season", sum(each.microseconds_a_task for each in ones) / len(ones))
    told = f"  time a task of {what} over one season's"
    ground.bounds.share(told, many.microseconds_a_task, "µs", beside, most=SAME_PACE)
