"""How fast Phasegate alone is: W(D), which ``bench.orchestration`` measures, in processes of their own."""

from typing import Any

from bench.bounds import Beside
from bench.checkout import Checkout
from bench.ground import BATCH, Ground
from bench.orchestration import Pace

TRIES = 3
"""Alternating measurements of each kind, of which the best counts: what disturbs them only makes them slower."""


def orchestration(ground: Ground) -> None:
    """W(D) date by date beside before and the raw limit of SQLite, and in batches."""
    dates, bounds = ground.sizes.idle_dates, ground.bounds
    singles: list[Pace] = []
    befores: list[Pace] = []
    raws: list[Pace] = []
    batched: list[Pace] = []
    for _ in range(TRIES):
        singles.append(measure(ground.today, dates, 1)[0])
        if ground.before:
            befores.append(measure(ground.before, dates, 1)[0])
        raws.append(measure(ground.today, dates, 1, "--raw")[0])
        batched.append(measure(ground.today, dates, BATCH)[0])
    single, raw, batch = best(singles), best(raws), best(batched)
    told = f"W({dates}), {single.tasks:,} idle tasks, date by date"
    if befores:
        before = best(befores)
        bounds.faster(told, single.rate, "tasks/s", Beside("before", before.rate), single.rate / before.rate, least=2)
    else:
        bounds.check(told, single.rate, "tasks/s")
    bounds.share(
        f"W({dates}) over SQLite's raw limit, two commits a task",
        single.rate,
        "tasks/s",
        Beside("raw", raw.rate),
        least=0.6,
    )
    bounds.reach(f"W({dates}) in batches of {BATCH}", batch.rate, "tasks/s", least=25_000)
    kinds = {"date by date": singles, f"in batches of {BATCH}": batched, "of the raw limit": raws}
    for kind, paces in kinds.items():
        bounds.check(f"  processor time a task, {kind}", min(pace.cpu_microseconds for pace in paces), "µs")
    ground.bounds.details["paces"] = [
        _line("Phasegate, in batches of 20", dates, batch),
        _line("Phasegate, date by date", dates, single),
        *([_line("Phasegate, the commit before", dates, best(befores))] if befores else []),
        _line("SQLite alone: two commits a task", dates, raw),
    ]


def scale(ground: Ground) -> None:
    """W(10,000) over W(500): the time a task, and the memory; the best of two each, taken alternately."""
    few_dates, many_dates = ground.sizes.few_dates, ground.sizes.many_dates
    few: list[Pace] = []
    many: list[Pace] = []
    megabytes = 0.0
    for _ in range(2):
        few.append(measure(ground.today, few_dates, BATCH)[0])
        pace, peak = measure(ground.today, many_dates, BATCH)
        many.append(pace)
        megabytes = max(megabytes, peak)
    least, most = best(few), best(many)
    told = f"time a task of W({many_dates:,}) over that of W({few_dates}), batches of {BATCH}"
    ground.bounds.share(told, 1e6 / most.rate, "µs", Beside(f"W({few_dates})", 1e6 / least.rate), most=1.2)
    ground.bounds.check(f"  peak memory of W({many_dates:,}), {most.tasks:,} tasks", megabytes, "MB", most=1_500)


def measure(of: Checkout, dates: int, batch: int, *words: str) -> tuple[Pace, float]:
    """Measure W(dates) once in a process of its own; returns its pace and the process's peak memory in MB."""
    typed = of.measure("bench.orchestration", "--dates", dates, "--batch", batch, *words)
    return Pace(**typed.document), typed.megabytes


def best(paces: list[Pace]) -> Pace:
    """Return the fastest."""
    return max(paces, key=lambda pace: pace.rate)


def _line(name: str, dates: int, pace: Pace) -> dict[str, Any]:
    """A line in the shape of the peers' results."""
    return {
        "name": name,
        "version": "",
        "settings": "",
        "dates": dates,
        "tasks": pace.tasks,
        "seconds": pace.seconds,
        "tasks_per_second": pace.rate,
    }
