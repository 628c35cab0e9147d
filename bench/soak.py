"""``make soak``: a local stack that has no quiet minute, and what must be true in the end.

Runs over dates of the small world are begun, paused, resumed, drained, cancelled and retried at random while processes
are killed, workers fail, every completion comes three times in no order, and messages that mean nothing are sent. In
the end everything is let go on, and then:

- every run is final, or ``explain`` says why it is not and what to do;
- after one more run over all dates the tables are those of an undisturbed embedded run;
- quarantine holds what was planted, and nothing else.

Exits with 1 when one of these is not so. The same seed takes the same steps; how far the stack has come between two of
them differs.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

from phasegate.domain.protocol.names import COMPLETIONS
from phasegate.domain.state.run import RunStatus
from phasegate.services.reading.listing import current_status
from tests.stack.scrambler import Scrambler
from tests.stack.test_kills import KILLED, patient
from tests.stack.world_service import WorldOnTheStack, expected_tables, world_on_the_stack

DATES = 8
DYING = (*(name for name in KILLED if name != "pubsub"), "starter", "verifier")
"""What is killed. Pub/Sub's emulator keeps messages in memory: those that were planted would be lost with it."""

SECONDS_BETWEEN_STEPS = 1.5
SECONDS_TO_END = 300.0
"""How long the stack may take, when it is let go on, until every run is at rest."""

PROCESSORS = (("fetch", "a"), ("raw", "b"), ("shape", "left"), ("shape", "right"), ("final", "total"))
FAILURES = ("fail:transient", "fail:bug", "raise", "short", "lie")


class Soak:
    """What happens to the stack, step by step. done: how often each kind of step was taken."""

    def __init__(self, there: WorldOnTheStack, seed: int) -> None:
        self._there, self._random = there, random.Random(seed)
        self.done: Counter[str] = Counter()
        self.planted = 0
        self._begun = 0
        self._failing: dict[str, list[str]] = {}

    def step(self) -> None:
        """One thing, whatever it is; what the state of the runs makes impossible is no step."""
        steps: list[tuple[int, Callable[[], bool]]] = [
            (5, self._begin), (2, self._pause), (3, self._resume), (1, self._drain), (1, self._cancel),
            (3, self._retry), (4, self._kill), (3, self._fail), (2, self._plant),
        ]  # fmt: skip
        (chosen,) = self._random.choices([step for _, step in steps], [weight for weight, _ in steps])
        if chosen():
            self.done[chosen.__name__.strip("_")] += 1

    def let_go_on(self) -> None:
        """Nothing fails any more, and nobody holds a run back."""
        self._failing.clear()
        self._there.world.misbehave()
        for run_id in self.runs(RunStatus.PAUSED, RunStatus.DRAINING):
            self._type("resume", run_id)
        for run_id in self.runs(RunStatus.COMPLETED_WITH_FAILURES, RunStatus.HALTED):
            self._type("retry", run_id)

    def runs(self, *statuses: RunStatus) -> list[str]:
        """The runs that are in one of these."""
        state = self._there.state
        return [run.run_id for run in state.runs() if current_status(run, state.board(run.run_id)[0]) in statuses]

    def wait_for_the_end(self) -> list[str]:
        """The runs that are not final when the time is up, each with what ``explain`` says."""
        give_up = time.monotonic() + SECONDS_TO_END
        while self._open() and time.monotonic() < give_up:
            time.sleep(1)
        return [f"{run_id}: {self._type('explain', run_id)}" for run_id in self._open()]

    def _open(self) -> list[str]:
        return self.runs(*(status for status in RunStatus if not status.is_final))

    def _begin(self) -> bool:
        days = [day for day in self._there.world.days if day not in self._dates_in_work()]
        if not days:
            return False
        chosen = sorted(self._random.sample(days, self._random.randint(1, len(days))))
        self._begun += 1
        words = ["start", "--dates", ",".join(map(str, chosen)), "--run-id", f"soak-{self._begun}"]
        self._type(*words, "--reprocess", self._random.choice(["all", "missing"]))
        return True

    def _dates_in_work(self) -> set[date]:
        """Dates of runs that are not over: nothing else may be asked of them."""
        return {day for run_id in self._open() for day in self._there.state.index(run_id).days}

    def _pause(self) -> bool:
        return self._asked("pause", RunStatus.RUNNING)

    def _resume(self) -> bool:
        return self._asked("resume", RunStatus.PAUSED, RunStatus.DRAINING)

    def _drain(self) -> bool:
        return self._asked("drain", RunStatus.RUNNING)

    def _cancel(self) -> bool:
        return self._asked("cancel", RunStatus.RUNNING, RunStatus.PAUSED)

    def _retry(self) -> bool:
        return self._asked("retry", RunStatus.COMPLETED_WITH_FAILURES, RunStatus.HALTED)

    def _asked(self, command: str, *statuses: RunStatus) -> bool:
        found = self.runs(*statuses)
        if found:
            self._type(command, self._random.choice(found))
        return bool(found)

    def _kill(self) -> bool:
        self._there.stack.restart(self._random.choice(DYING))
        return True

    def _fail(self) -> bool:
        """From now on the first attempts of a processor fail on a date; or one is mended."""
        if self._failing and self._random.random() < 0.5:
            del self._failing[self._random.choice(sorted(self._failing))]
        else:
            phase, processor = self._random.choice(PROCESSORS)
            act = self._random.choice(FAILURES)
            key = f"{phase}__{processor}__{self._random.randrange(len(self._there.world.days))}"
            self._failing[key] = [act] * self._random.randint(1, 12)
        self._there.world.misbehave(**self._failing)
        return True

    def _plant(self) -> bool:
        """A message that no run can be told by."""
        self.planted += 1
        topic = f"projects/{self._there.deployment.settings.project}/topics/{COMPLETIONS}"
        body = json.dumps({"planted": self.planted}).encode()
        with PublisherClient() as publisher:
            publisher.publish(topic, body).result(timeout=60)
        return True

    def _type(self, *words: str) -> str:
        """Type a command; one that is refused, because the run went on meanwhile, is no fault; a traceback is."""
        done = self._there.stack.command("--backend", "gcp", *words)
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr


def check(there: WorldOnTheStack, soak: Soak, expected: dict[str, Any]) -> list[str]:
    """What is not as it must be."""
    faults = soak.wait_for_the_end()
    last = there.stack.command("--backend", "gcp", "run", "--season", "2023-24", "--run-id", "last", "--json")
    if last.returncode != 0:
        faults.append(f"the last run over all dates ended with {last.returncode}: {last.stderr}{last.stdout}")
    if there.tables() != expected:
        faults.append(f"the tables are not those of an undisturbed run: {there.tables()}")
    for run in there.state.runs():
        for record in there.state.quarantined(run.run_id):
            faults.append(f"set aside of {run.run_id}: {record.reason}")
    give_up = time.monotonic() + SECONDS_TO_END
    while len(planted := there.state.quarantined(None)) < soak.planted and time.monotonic() < give_up:
        time.sleep(1)
    if len(planted) != soak.planted:
        reasons = Counter(record.reason for record in planted)
        faults.append(f"{soak.planted} messages were planted, {len(planted)} are in quarantine: {reasons}")
    return faults


def main() -> None:
    """Soak a stack for so many minutes, then check."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        expected = expected_tables(Path(folder), DATES)
        with (
            world_on_the_stack(Path(folder), dates=DATES, delay=0.3, change=patient) as there,
            Scrambler(there.stack.function_url("listener"), arguments.seed) as scrambler,
        ):
            with SubscriberClient() as subscriber:
                subscriber.modify_push_config(
                    subscription=f"projects/demo/subscriptions/{COMPLETIONS}",
                    push_config={"push_endpoint": f"{scrambler.url}/projects/demo/topics/{COMPLETIONS}"},
                )
            soak = Soak(there, arguments.seed)
            ends = time.monotonic() + 60 * arguments.minutes
            while time.monotonic() < ends:
                soak.step()
                time.sleep(SECONDS_BETWEEN_STEPS)
            soak.let_go_on()
            faults = check(there, soak, expected)
    print(f"seed {arguments.seed}, {arguments.minutes:g} minutes: {dict(soak.done)}, {scrambler.delivered} deliveries")
    for fault in faults:
        print(f"FAULT {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
