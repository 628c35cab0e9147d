"""Topics, their subscriptions and the endpoints that these push to are examined in that order."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from phasegate.adapters.gcp.clients import publisher, subscriber
from phasegate.adapters.gcp.http.errors import HTTP_ERRORS, message_of
from phasegate.adapters.gcp.layout import ACK_DEADLINE_SECONDS, Layout, Subscription
from phasegate.adapters.gcp.preflight.examine import PATIENCE_SECONDS, differences, examine, seconds
from phasegate.adapters.gcp.retries import retry_within
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.operations.preflight import Level, PreflightLine, warned
from phasegate.domain.protocol.names import COMPLETIONS

if TYPE_CHECKING:
    from google.pubsub_v1.types import Subscription as Made

_ROLE = "roles/pubsub.viewer"


class Topics:
    """The examination walks topic -> subscription -> endpoint.

    endpoints: after ``inspect``, function -> the base URLs that subscriptions push to, for who asks them.
    """

    def __init__(self, settings: CloudSettings, layout: Layout) -> None:
        self._project, self._layout = settings.project, layout
        self.endpoints: dict[str, set[str]] = {}

    def inspect(self) -> list[PreflightLine]:
        """Return a line per topic and per subscription, and one for whoever else is subscribed to our completions."""
        lines: list[PreflightLine] = []
        for topic in (*self._layout.topics, *self._layout.observed_topics):
            lines += examine("topic", topic, _ROLE, partial(self._topic, topic))
        for each in self._layout.subscriptions:
            lines += examine("subscription", each.name, _ROLE, partial(self._subscription, each))
        if any(line.subject == COMPLETIONS and line.level is Level.PASS for line in lines):
            lines += self._others()
        return lines

    def _topic(self, topic: str) -> Iterator[tuple[str, str]]:
        path = f"projects/{self._project}/topics/{topic}"
        publisher().get_topic(topic=path, retry=retry_within(PATIENCE_SECONDS), timeout=PATIENCE_SECONDS)
        yield from ()

    def _subscription(self, each: Subscription) -> Iterator[tuple[str, str]]:
        path = f"projects/{self._project}/subscriptions/{each.name}"
        made: Made = subscriber().get_subscription(
            subscription=path, retry=retry_within(PATIENCE_SECONDS), timeout=PATIENCE_SECONDS
        )
        if made.topic.rpartition("/")[2] != each.topic or made.detached:
            detached = " and is detached" if made.detached else ""
            yield f"is subscribed to {made.topic}{detached}", f"it must be subscribed to {each.topic}"
        if made.filter:
            yield f"has the filter {made.filter}", "what it leaves out is lost: make it again without one"
        if "expiration_policy" not in made or "ttl" in made.expiration_policy:
            yield "is deleted when it is idle", "make its expiration 'never'"
        yield from differences([("ack deadline in seconds", made.ack_deadline_seconds, ACK_DEADLINE_SECONDS)])
        yield from self._retries(each, made)
        if each.function is not None:
            yield from self._endpoint(each.function, each, made.push_config.push_endpoint)

    def _retries(self, each: Subscription, made: "Made") -> Iterator[tuple[str, str]]:
        if "retry_policy" not in made:
            yield "has no retry policy", "what is refused is delivered again at once: give it the deployment's policy"
        else:
            policy = made.retry_policy
            yield from differences(
                [
                    ("minimum backoff in seconds", seconds(policy.minimum_backoff), each.min_backoff_seconds),
                    ("maximum backoff in seconds", seconds(policy.maximum_backoff), each.max_backoff_seconds),
                ]
            )
        if each.dead_letter is not None:
            dead = made.dead_letter_policy
            yield from differences(
                [
                    ("dead-letter topic", dead.dead_letter_topic.rpartition("/")[2] or "none", each.dead_letter),
                    ("deliveries before it", dead.max_delivery_attempts, each.max_deliveries),
                ]
            )

    def _endpoint(self, function: str, each: Subscription, endpoint: str) -> Iterator[tuple[str, str]]:
        path = each.push_path(self._project)
        if not endpoint.endswith(path):
            yield f"pushes to {endpoint or 'nobody'}", f"it must push to the {function}'s URL followed by {path}"
        else:
            self.endpoints.setdefault(function, set()).add(endpoint.removesuffix(path))

    def _others(self) -> list[PreflightLine]:
        path = f"projects/{self._project}/topics/{COMPLETIONS}"
        try:
            subscriptions = list(publisher().list_topic_subscriptions(topic=path, timeout=PATIENCE_SECONDS))
        except HTTP_ERRORS as error:
            detail = f"not checked who else is subscribed: {message_of(error)}"
            return [warned("topic", COMPLETIONS, detail, f"grant {_ROLE} to who asks")]
        ours = {each.name for each in self._layout.subscriptions} | {each.name for each in self._layout.exports}
        others = sorted({name.rpartition("/")[2] for name in subscriptions} - ours)
        return [
            warned(
                "topic", COMPLETIONS, f"has another subscription, {name}", "the live pipeline must not subscribe to it"
            )
            for name in others
        ]
