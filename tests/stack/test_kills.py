"""Whatever dies on the stack, and however often and in whatever order completions come: the same tables in the end."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from google.cloud.pubsub_v1 import SubscriberClient

from phasegate.domain.state.run import RunStatus
from tests.stack.scrambler import Scrambler
from tests.stack.world_service import WorldOnTheStack, expected_tables, world_on_the_stack

KILLED = ("runner", "listener", "pubsub", "conductor", "dispatcher", "sweeper")


def patient(document: dict[str, Any]) -> None:
    """Short leases, and attempts enough for what is killed."""
    for phase in document["phases"]:
        phase["dispatch"]["timeout_seconds"] = 3
        phase["failure"] |= {"retries": 9}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the tables hold after an undisturbed run in embedded mode."""
    return expected_tables(tmp_path_factory.mktemp("expected"))


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorldOnTheStack]:
    """A stack that serves the world; a call takes a third of a second, so that there is something to kill."""
    with world_on_the_stack(tmp_path_factory.mktemp("kills"), delay=0.3, change=patient) as made:
        yield made


def check(there: WorldOnTheStack, run_id: str, expected: dict[str, Any]) -> None:
    """The run ended well; tables, releases and calls are those of an undisturbed one."""
    assert there.finish(run_id) is RunStatus.COMPLETED
    assert there.tables() == expected
    assert there.released_twice() == []
    assert max(there.service.calls.values()) == 1, "no attempt was made twice"


def test_each_function_and_pubsub_are_killed_while_events_flow(
    there: WorldOnTheStack, expected: dict[str, Any]
) -> None:
    there.service.calls.clear()
    there.kick_off("kills", reprocess="all")
    for name in KILLED:
        # Calls end while there is no Pub/Sub; of the others it is left open what is under way.
        with held_up(there) if name == "pubsub" else nullcontext():
            _until_called(there, len(there.service.calls) + 1)
            there.stack.kill(name)
        there.stack.up()
        there.look("kills")
    check(there, "kills", expected)
    assert {heal.kind for heal in there.state.heals("kills")} <= {"lease", "event", "at_rest", "dispatch", "delivery"}


def test_every_completion_is_delivered_three_times_in_random_order(
    there: WorldOnTheStack, expected: dict[str, Any]
) -> None:
    there.service.calls.clear()
    with Scrambler(there.stack.function_url("listener"), seed=7) as scrambler:
        with held_up(there):
            # Begun with the endpoint as it should be: preflight refuses a start with another one.
            there.kick_off("scrambled", reprocess="all")
            with SubscriberClient() as subscriber:
                subscriber.modify_push_config(
                    subscription="projects/demo/subscriptions/backfill-completions",
                    push_config={"push_endpoint": f"{scrambler.url}/projects/demo/topics/backfill-completions"},
                )
        check(there, "scrambled", expected)
    assert scrambler.delivered == 3 * scrambler.taken >= 3 * 25, "27 tasks, of which two have nothing to do"
    assert there.state.quarantined("scrambled") == []


@contextmanager
def held_up(there: WorldOnTheStack) -> Iterator[None]:
    """Let no call of the worker end before the block has."""
    released = threading.Event()

    def wait(_: object) -> float:
        released.wait(60)
        return 0.0

    before, there.service.delay = there.service.delay, wait
    try:
        yield
    finally:
        there.service.delay = before
        released.set()


def _until_called(there: WorldOnTheStack, calls: int) -> None:
    """Wait until the worker was called so often, or the run is over."""
    give_up = time.monotonic() + 60
    while len(there.service.calls) < calls and time.monotonic() < give_up:
        time.sleep(0.02)
