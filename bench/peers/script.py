"""What the peers' scripts share: the question (how many dates) and the answer (one line of JSON)."""

import argparse
import json
from collections.abc import Callable

from bench.shape import TASKS_A_DATE


def answer(name: str, version: str, settings: str, measure: Callable[[int], float]) -> None:
    """Measure a peer on W(D) and print the answer as the last line; the command line gives D (``--dates``).

    settings: how the tool is set, in a few words. measure: runs W(dates) and returns the seconds from the submission
    of the first task to the end of the last.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--dates", type=int, required=True)
    dates = parser.parse_args().dates
    seconds = measure(dates)
    tasks = dates * TASKS_A_DATE
    told = {
        "name": name,
        "version": version,
        "settings": settings,
        "dates": dates,
        "tasks": tasks,
        "seconds": seconds,
        "tasks_per_second": tasks / seconds,
    }
    print(json.dumps(told), flush=True)
