"""What a deployment consists of: the one list that Terraform, the local stack, the functions and the tests share."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from phasegate.adapters.gcp.settings import PREFIX, CloudSettings
from phasegate.domain.messages.names import COMPLETIONS, CONDUCTOR_QUEUE, DISPATCH_QUEUE, KICKOFF, VERIFY_QUEUE
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
    """A Pub/Sub subscription. It never expires: by default an idle one is deleted after 31 days.

    function: where messages are pushed; None: they wait to be pulled, as dead letters do.
    min_backoff_seconds, max_backoff_seconds: between deliveries of a message that the function refused (0 to 600).
    dead_letter: the topic for what was refused ``max_deliveries`` times (Pub/Sub allows 5 to 100).
    """

    name: str
    topic: str
    function: str | None = None
    min_backoff_seconds: int = 1
    max_backoff_seconds: int = 60
    dead_letter: str | None = None
    max_deliveries: int = 5

    def push_path(self, project: str) -> str:
        """The path of the push endpoint: from such a path functions-framework reads a CloudEvent's ``source``."""
        return f"/projects/{project}/topics/{self.topic}"


@dataclass(frozen=True, slots=True)
class Function:
    """A Cloud Run function: ``functions/<name>/main.py``, whose target is called as the folder is.

    called_by: who calls it, in words of this page. concurrency: requests that one instance serves at once.
    """

    name: str
    called_by: tuple[str, ...]
    signature: Literal["http", "cloudevent"] = "http"
    concurrency: int = 8


@dataclass(frozen=True, slots=True)
class Queue:
    """A Cloud Tasks queue and the function that it calls. ``name``: what the pipeline file and the services call it."""

    name: str
    function: str
    spec: QueueSpec

    @property
    def id(self) -> str:
        """The name as Cloud Tasks takes it: letters, digits and hyphens."""
        return queue_id(self.name)


@dataclass(frozen=True, slots=True)
class Export:
    """A Pub/Sub subscription that writes every message of a topic into a BigQuery table, for people's questions.

    Nothing reads it back, so no run waits for it and the local stack has none: Pub/Sub's emulator writes no tables.
    table: without its dataset, which is that of the pipeline's history table.
    """

    name: str
    topic: str
    table: str
    dead_letter: str
    min_backoff_seconds: int = 10
    max_backoff_seconds: int = 600
    max_deliveries: int = 10


@dataclass(frozen=True, slots=True)
class SchedulerJob:
    """A Cloud Scheduler job that calls a function by HTTP POST; cron in UTC.

    attempt_deadline_seconds: Cloud Scheduler's own default. retries: of a call that failed; its own default is none,
    and a job never runs twice at once (job.proto).
    """

    name: str
    function: str
    cron: str
    attempt_deadline_seconds: int = 180
    retries: int = 3


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything that has to exist before a pipeline can be run.

    observed_topics: those of the existing system, which makes them itself; the local stack has to.
    schedules: without them nothing is healed. kickoffs: jobs that ask the starter for runs; a deployment may have them,
    the local stack has none.
    """

    topics: tuple[str, ...]
    observed_topics: tuple[str, ...]
    subscriptions: tuple[Subscription, ...]
    exports: tuple[Export, ...]
    functions: tuple[Function, ...]
    queues: tuple[Queue, ...]
    schedules: tuple[SchedulerJob, ...]
    kickoffs: tuple[SchedulerJob, ...]


FUNCTIONS = (
    Function("starter", called_by=("people", f"topic {KICKOFF}", "Cloud Scheduler")),
    Function("dispatcher", called_by=(f"queue {DISPATCH_QUEUE}",)),
    # A runner waits for its worker nearly all of the time.
    Function("runner", called_by=("queues of the pipeline",), concurrency=32),
    Function("listener", called_by=(f"topic {COMPLETIONS}",), signature="cloudevent"),
    Function("conductor", called_by=(f"queue {CONDUCTOR_QUEUE}",), concurrency=2),
    Function("sweeper", called_by=("Cloud Scheduler, every minute",), concurrency=2),
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
    """The id of the queue that the pipeline file calls ``name``."""
    return name.replace("_", "-")


def layout_of(pipeline: Pipeline) -> Layout:
    """The deployment of a pipeline."""
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
    """The variables that every function needs: what ``CloudSettings.from_environment`` reads; empty: not set."""
    values = {name: getattr(settings, name) for name in CloudSettings.model_fields}
    return {PREFIX + name.upper(): "" if value is None else str(value) for name, value in values.items()}
