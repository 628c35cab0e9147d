"""The scheduler stands in for Cloud Scheduler: it calls one URL again and again, and never twice at once.

``python -m phasegate.stack.scheduler --url URL --every SECONDS``; SIGTERM ends it.
"""

import argparse
import signal
import sys
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime
from types import FrameType

from phasegate.adapters.gcp.layout import SCHEDULES

STOPPED = threading.Event()


def call(url: str, seconds: float) -> str | None:
    """POST an empty JSON object; return what went wrong, if anything did within so many seconds."""
    headers = {"Content-Type": "application/json", "X-CloudScheduler-ScheduleTime": datetime.now(UTC).isoformat()}
    request = urllib.request.Request(url, data=b"{}", headers=headers, method="POST")  # noqa: S310 - of the stack
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310 - as above
            answer.read()
    except urllib.error.HTTPError as error:
        return f"answered {error.code}: {error.read(500).decode(errors='replace')}"
    except OSError as error:
        return f"did not answer: {error}"
    return None


def main() -> None:
    """Call until told to end. A failed call is written down, and made good by the next."""
    parser = argparse.ArgumentParser(prog="phasegate.stack.scheduler")
    parser.add_argument("--url", required=True)
    parser.add_argument("--every", type=float, required=True, help="seconds from the start of a call to the next")
    given = parser.parse_args()

    def stop(_number: int, _frame: FrameType | None) -> None:
        STOPPED.set()

    signal.signal(signal.SIGTERM, stop)
    while not STOPPED.wait(given.every):
        problem = call(given.url, SCHEDULES[0].attempt_deadline_seconds)
        if problem is not None:
            print(f"{given.url} {problem}", file=sys.stderr, flush=True)  # noqa: T201 - its log


if __name__ == "__main__":
    main()
