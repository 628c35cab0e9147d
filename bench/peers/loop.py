"""A plain Python loop: the tasks of each date go to a pool of two threads, in the right order, and nothing is kept.

Whatever fails, or is killed, begins from the start. Two threads are what the machines of the other measurements have as
cores; the tasks do nothing, so that more threads add only switches.
"""

import platform
import time
from concurrent.futures import ThreadPoolExecutor

from bench.peers.script import answer
from bench.shape import days, waves

THREADS = 2


def idle(day: str, name: str) -> tuple[str, str]:
    """Do nothing for a task of a day."""
    return day, name


def measure(dates: int) -> float:
    """Run W(dates) date by date, and each date wave by wave; returns seconds."""
    groups, ended = waves(), 0
    with ThreadPoolExecutor(THREADS) as pool:
        begun = time.perf_counter()
        for day in days(dates):
            for group in groups:
                ended += len(list(pool.map(idle, [day] * len(group), group)))
        seconds = time.perf_counter() - begun
    assert ended == dates * sum(map(len, groups))
    return seconds


if __name__ == "__main__":
    answer("plain loop", f"Python {platform.python_version()}", f"{THREADS} threads, no state", measure)
