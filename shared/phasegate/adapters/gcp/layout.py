"""A deployment consists of what is listed here, for Terraform, the local stack, the functions and the tests alike."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from phasegate.adapters.gcp.settings import PREFIX, CloudSettings
from phasegate.domain.protocol.names import (
    COMPLETIONS,
    CONDUCTOR_QUEUE,
    DISPATCH_QUEUE,
    KICKOFF,
    SWEEP_QUEUE,
    VERIFY_QUEUE,
)
from phasegate.domain.spec.dispatch import ObservedDispatch
from phasegate.domain.spec.pipeline import Pipeline, QueueSpec

ACK_DEADLINE_SECONDS = 600
"""The longest that Pub/Sub allows, and its push timeout: a slower handler is delivered the message again."""

MAX_ATTEMPTS = -1
"""A queue delivers a task without end: attempts are counted by Phasegate, which may give one back."""

MAX_DOUBLINGS = 16
"""Cloud Tasks' default: the backoff of a delivery doubles until it meets the queue's upper bound."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of Pub/Sub never expires here: by default an idle one is deleted after 31 days."""

    name: str
    """The subscription's id."""

    topic: str
    """The id of the topic whose messages it gets."""

    function: str | None = None
    """Where messages are pushed; None: they wait to be pulled, as dead letters do."""

    min_backoff_seconds: int = 1
    """The shortest wait before a message that the function refused is delivered again, in seconds (0 to 600)."""

    max_backoff_seconds: int = 60
    """The longest wait before a message that the function refused is delivered again, in seconds (0 to 600)."""

    dead_letter: str | None = None
    """The topic for what was refused ``max_deliveries`` times; None: nothing is set aside."""

    max_deliveries: int = 5
    """Deliveries of a message before it becomes a dead letter (Pub/Sub allows 5 to 100)."""

    def push_path(self, project: str) -> str:
        """Return the path of the push endpoint: from such a path functions-framework reads an event's ``source``."""
        return f"/projects/{project}/topics/{self.topic}"


@dataclass(frozen=True, slots=True)
class Function:
    """A Cloud Run function is ``functions/<name>/main.py``, whose target is called as the folder is."""

    name: str
    """The function's name, and that of its folder."""

    called_by: tuple[str, ...]
    """Who calls it, for people: a queue, a topic, a service or people themselves."""

    signature: Literal["http", "cloudevent"] = "http"
    """What it takes: an HTTP request, or a CloudEvent that Pub/Sub pushes."""

    concurrency: int = 8
    """Requests that one instance serves at once."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A Cloud Tasks queue delivers its tasks to one function."""

    name: str
    """What the pipeline file and the services call it."""

    function: str
    """The function that it calls."""

    spec: QueueSpec
    """Its rate, concurrency and backoff."""

    @property
    def id(self) -> str:
        """Return the name as Cloud Tasks takes it: letters, digits and hyphens."""
        return queue_id(self.name)


@dataclass(frozen=True, slots=True)
class Export:
    """An export is a Pub/Sub subscription that writes every message of a topic into a BigQuery table, for people's
    questions.

    Nothing reads it back, so no run waits for it and the local stack has none: Pub/Sub's emulator writes no tables.
    """

    name: str
    """The subscription's id."""

    topic: str
    """The id of the topic whose messages it writes."""

    table: str
    """The table without its dataset, which is that of the pipeline's history table."""

    dead_letter: str
    """The topic for messages that could not be written ``max_deliveries`` times."""

    min_backoff_seconds: int = 10
    """The shortest wait before a message is written again, in seconds (0 to 600)."""

    max_backoff_seconds: int = 600
    """The longest wait before a message is written again, in seconds (0 to 600)."""

    max_deliveries: int = 10
    """Tries to write a message before it becomes a dead letter (Pub/Sub allows 5 to 100)."""


@dataclass(frozen=True, slots=True)
class SchedulerJob:
    """A Cloud Scheduler job calls a function by HTTP POST, and never runs twice at once (job.proto)."""

    name: str
    """The job's id."""

    function: str
    """The function that it calls."""

    cron: str
    """When it calls, in UTC: minute, hour, day, month, weekday."""

    attempt_deadline_seconds: int = 180
    """How long one call may take, in seconds (180: Cloud Scheduler's default)."""

    retries: int = 3
    """How often a call that failed is made again (Cloud Scheduler's default: not at all)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout holds everything that has to exist before a pipeline can be run."""

    topics: tuple[str, ...]
    """Ids of Phasegate's own topics."""

    observed_topics: tuple[str, ...]
    """Ids of the existing system's topics, which it makes itself; the local stack has to."""

    subscriptions: tuple[Subscription, ...]
    """All that get messages, those that keep dead letters included."""

    exports: tuple[Export, ...]
    """Subscriptions that write a topic's messages into a table."""

    functions: tuple[Function, ...]
    """The Cloud Run functions."""

    queues: tuple[Queue, ...]
    """The control queues, then those of the pipeline's work."""

    schedules: tuple[SchedulerJob, ...]
    """Jobs without which nothing is healed."""

    kickoffs: tuple[SchedulerJob, ...]
    """Jobs that ask the starter for runs; a deployment may have them, the local stack has none."""


FUNCTIONS = (
    Function("starter", called_by=("people", f"topic {KICKOFF}", "Cloud Scheduler")),
    Function("dispatcher", called_by=(f"queue {DISPATCH_QUEUE}",)),
    # A runner waits for its worker nearly all of the time.
    Function("runner", called_by=("queues of the pipeline",), concurrency=32),
    Function("listener", called_by=(f"topic {COMPLETIONS}",), signature="cloudevent"),
    Function("conductor", called_by=(f"queue {CONDUCTOR_QUEUE}",), concurrency=2),
    Function("sweeper", called_by=("Cloud Scheduler, every minute", f"queue {SWEEP_QUEUE}"), concurrency=4),
    Function("verifier", called_by=(f"queue {VERIFY_QUEUE}", "people"), concurrency=2),
)

SCHEDULES = (SchedulerJob("sweeper", function="sweeper", cron="* * * * *"),)

KICKOFFS = (
    # One date through everything every Monday: what has rotted is seen before it is needed.
    SchedulerJob("canary", function="starter", cron="0 9 * * 1"),
    SchedulerJob("kickoff", function="starter", cron="0 11 * * *"),
)

CONTROL_QUEUES = (
    # Two conductors at once would ask the tables the same questions, and one of them would lose its commit.
    Queue(CONDUCTOR_QUEUE, "conductor", QueueSpec(max_concurrent=1)),
    Queue(DISPATCH_QUEUE, "dispatcher", QueueSpec(max_concurrent=8)),
    # Sweeps of runs do not wait for each other; a run that takes long to sweep keeps no other waiting.
    Queue(SWEEP_QUEUE, "sweeper", QueueSpec(max_concurrent=8)),
    # A report reads whole tables: one after the other.
    Queue(VERIFY_QUEUE, "verifier", QueueSpec(max_concurrent=1)),
)

_PUSHED = (
    # The listener may be given a message as often as it likes: an outage of an hour costs no completion.
    Subscription(COMPLETIONS, COMPLETIONS, "listener", dead_letter=f"{COMPLETIONS}-dead", max_deliveries=100),
    # A person waits for this one: a bad request is set aside within minutes.
    Subscription(KICKOFF, KICKOFF, "starter", dead_letter=f"{KICKOFF}-dead", max_deliveries=10),
)

EXPORTS = (Export("backfill-events", COMPLETIONS, "backfill_events", dead_letter=f"{COMPLETIONS}-dead"),)


def queue_id(name: str) -> str:
    """Return the id of the queue that the pipeline file calls ``name``."""
    return name.replace("_", "-")


def layout_of(pipeline: Pipeline) -> Layout:
    """Return the deployment of a pipeline."""
    observed = tuple(
        dict.fromkeys(p.dispatch.observed.topic for p in pipeline.phases if isinstance(p.dispatch, ObservedDispatch))
    )
    subscriptions = tuple(_with_dead_letters((*_PUSHED, *map(_observing, observed))))
    work = tuple(Queue(name, "runner", spec) for name, spec in pipeline.queues.items())
    return Layout(
        topics=tuple(dict.fromkeys(each.topic for each in subscriptions if each.topic not in observed)),
        observed_topics=observed,
        subscriptions=subscriptions,
        exports=EXPORTS,
        functions=FUNCTIONS,
        queues=(*CONTROL_QUEUES, *work),
        schedules=SCHEDULES,
        kickoffs=KICKOFFS,
    )


def _observing(topic: str) -> Subscription:
    """A subscription beside those of the existing system, under a name that is not its own."""
    name = f"phasegate-{topic}"
    return Subscription(name, topic, "listener", dead_letter=f"{name}-dead", max_deliveries=100)


def _with_dead_letters(pushed: Iterable[Subscription]) -> Iterable[Subscription]:
    """Pub/Sub forgets what is published on a topic that has no subscription: dead letters need one to be kept."""
    for each in pushed:
        yield each
        if each.dead_letter is not None:
            yield Subscription(each.dead_letter, each.dead_letter)


def environment_of(settings: CloudSettings) -> dict[str, str]:
    """Return the variables that every function needs: what ``CloudSettings.from_environment`` reads; empty: not set."""
    values = {name: getattr(settings, name) for name in CloudSettings.model_fields}
    return {PREFIX + name.upper(): "" if value is None else str(value) for name, value in values.items()}
