"""The entry points put HTTP around the services: what every function does with a request before and after its service.

Settled is 2xx, also what went to quarantine; a bad request of a person is 4xx, and nothing was written; 5xx is for what
a later delivery may mend. What Cloud Tasks or Pub/Sub deliver is never answered 4xx: they would deliver it again.
"""

import base64
import binascii
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from phasegate import __version__, telemetry
from phasegate.adapters.gcp.http.callers import Callers, Refused
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.deployment import Deployment
from phasegate.domain.errors import HaltError, InputError, TransientError, UnknownRun
from phasegate.domain.protocol.versions import read_json
from phasegate.services.running.quarantine import claimed_run, set_aside

if TYPE_CHECKING:
    from cloudevents.http import CloudEvent
    from flask import Request

MAX_BODY_BYTES = 1_000_000
"""Far above any request of ours: a Cloud Task is at most 100 KB, an event 512 KB (Cloud Tasks and functions quotas)."""

Answer = tuple[dict[str, Any], int]
Body = TypeVar("Body", bound=BaseModel)

_log = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def deployment() -> Deployment:
    """Return the deployment that this process belongs to. Raises InputError that names a missing variable."""
    return Deployment(CloudSettings.from_environment())


def serve(service: str, *, is_pushed_to: bool = False) -> None:
    """Have the function whose module is being loaded answer ``GET /health`` with its name and code version, and refuse
    every other request of an account that is not among ``PHASEGATE_CALLERS``.

    is_pushed_to: it takes what Pub/Sub pushes, which is looked at here: functions-framework answers 400 to a message
    that has attributes alone, and to whatever else it cannot make an event of, and Pub/Sub would deliver that again.
    functions-framework loads the module inside its application; loaded in any other way, there is nobody to answer.
    """
    from flask import current_app, has_app_context

    if has_app_context():
        health = {"service": service, "version": __version__}
        current_app.add_url_rule("/health", "health", lambda: health, methods=["GET"])
        current_app.before_request(_refuse_strangers)
        if is_pushed_to:
            current_app.before_request(_take_push)


def _refuse_strangers() -> Answer | None:
    """What a request is answered whose account may not call; None: it may."""
    from flask import request

    settings = deployment().settings
    accounts, audiences = _listed(settings.callers), _listed(settings.audiences)
    if not accounts or request.endpoint == "health":
        return None
    if not audiences:
        _log.error("PHASEGATE_CALLERS is set and PHASEGATE_AUDIENCES is not: nobody can be let through")
        return {"error": "PHASEGATE_AUDIENCES: is not set; give the addresses of this function (docs/stack.md)"}, 500
    # Where both headers are sent, Cloud Run looks at this one alone and leaves Authorization as somebody wrote it.
    if "X-Serverless-Authorization" in request.headers:
        return {"error": "send the identity token as Authorization"}, 401
    try:
        Callers(accounts, audiences).require(request.headers.get("Authorization", ""))
    except Refused as refused:
        return {"error": str(refused)}, refused.status
    except TransientError as error:
        _log.warning("%s", error)
        return {"error": str(error)}, 503
    return None


def _listed(text: str) -> frozenset[str]:
    return frozenset(filter(None, map(str.strip, text.split(","))))


def answer(service: str, request: "Request", model: type[Body], act: Callable[[Body], Answer]) -> Answer:
    """Read a request's JSON body as ``model``, act on it, and turn what is raised into a status."""
    return answer_text(service, request, lambda text: act(read(model, text)))


def answer_text(service: str, request: "Request", act: Callable[[str], Answer]) -> Answer:
    """Act on a request's body, and turn what is raised into a status."""
    with telemetry.incoming(request.headers):
        text = request.get_data(cache=False, as_text=True) if _size(request) <= MAX_BODY_BYTES else ""
        if request.method != "POST":
            return {"error": f"{service} takes POST with a JSON body"}, 405
        if _size(request) > MAX_BODY_BYTES:
            return {"error": f"the body has more than {MAX_BODY_BYTES:,} bytes; nothing was written"}, 413
        return settle(service, text, is_from_queue(request), lambda: act(text))


def is_from_queue(request: "Request") -> bool:
    """Tell whether Cloud Tasks delivers the request: for ever, until it is answered 2xx."""
    return "X-CloudTasks-QueueName" in request.headers


def due_at(request: "Request") -> datetime | None:
    """Return when what Cloud Tasks delivers was to be delivered, UTC; None: somebody else asks.

    The end of time for a delivery that does not say it: nothing that was done before stands for that.
    """
    if not is_from_queue(request):
        return None
    try:
        return datetime.fromtimestamp(float(request.headers.get("X-CloudTasks-TaskETA", "")), UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def settle(service: str, text: str, is_delivery: bool, act: Callable[[], Answer]) -> Answer:
    """Act, and turn what is raised into a status; a delivery that can never be applied goes to quarantine."""
    try:
        return act()
    except InputError as error:
        if is_delivery:
            whose = None if isinstance(error, UnknownRun) else claimed_run(text)
            digest = set_aside(deployment().backend, text, whose, f"{service}: {error}")
            return {"quarantined": digest, "reason": str(error)}, 200
        return {"error": str(error)}, 400
    except TransientError as error:
        _log.warning("%s: %s", service, error)
        return {"error": str(error)}, 503
    except HaltError as error:
        # Not a 503, which would slow down the deliveries of every run on the queue.
        _log.error("%s: %s", service, error)
        return {"error": str(error)}, 500
    except Exception as error:
        _log.exception("%s failed", service)
        return {"error": f"{service} failed: {type(error).__name__}; see its log"}, 500


def read(model: type[Body], text: str) -> Body:
    """Read the JSON text as a model; an empty text is an empty object. Raises InputError that names field and
    remedy; also for a key that stands there twice, of which JSON's readers take one or the other."""
    try:
        found = read_json(model, text or "{}")
        json.loads(text or "{}", object_pairs_hook=_without_doubles)
        return found
    except ValidationError as error:
        problems = "; ".join(_sentence(dict(e)) for e in error.errors()[:5])
        known = ", ".join(field.alias or name for name, field in model.model_fields.items())
        raise InputError(f"{problems} (known keys: {known})") from error
    except ValueError as error:
        raise InputError(f"not JSON: {error}") from error


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        doubled = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise InputError(f"{doubled[:100]}: the key stands there twice; give it once")
    return found


class _PushedMessage(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    data: str = Field(default="", description="the message's text, as base64; a message may have attributes alone")
    attributes: dict[str, str] = Field(default={}, description="its attributes, by name")
    publish_time: AwareDatetime | None = Field(
        default=None, alias="publishTime", description="when it was published; null: the push does not say"
    )


class _Push(BaseModel):
    """What Pub/Sub pushes to an HTTP endpoint."""

    model_config = ConfigDict(extra="allow", frozen=True)

    message: _PushedMessage = Field(description="what was published")
    subscription: str = Field(description="the subscription that pushes it, by its full name")


def is_push(request: "Request") -> bool:
    """Tell whether a request came to the address that subscriptions push to, which ends with the topic's name."""
    return "/topics/" in request.path


def pushed(text: str) -> tuple[str, Mapping[str, str], datetime | None]:
    """Read (text, attributes, publish time) of a message that Pub/Sub pushed. Raises InputError when it is no push."""
    try:
        push = read(_Push, text)
    except InputError as error:
        raise InputError(f"not a message of Pub/Sub: {error}") from error
    return decoded(push.message.data), push.message.attributes, push.message.publish_time


def _take_push() -> Answer | None:
    """What a push is answered; None: it is an event that functions-framework reads."""
    from cloudevents.http import from_http
    from flask import request

    if request.method != "POST" or request.endpoint == "health":
        return None
    try:
        from_http(request.headers, request.get_data())
    except Exception as error:
        is_event = "ce-id" in request.headers or request.mimetype.startswith("application/cloudevents")
        text, topic = request.get_data(as_text=True), request.path.rpartition("/topics/")[2]
        reason = f"not a CloudEvent: {type(error).__name__}: {error}" if is_event else ""
        return settle("listener", text, True, lambda: _listen_to_push(topic, text, reason))
    return None


def _listen_to_push(topic: str, body: str, reason: str) -> Answer:
    if reason:
        raise InputError(reason)
    text, attributes, _ = pushed(body)
    if not text:
        raise InputError("a message without data: nobody knows what it is about")
    _listen_to(topic, text, attributes)
    return {}, 200


def listen(event: "CloudEvent") -> None:
    """Hand a message to the listener of its topic: the external event listener for those of an existing system, else
    the listener of completions.

    What is no message is set aside. Raises when a later delivery may help.
    """
    data = event.get_data()
    body = data if isinstance(data, dict) else {"message": data}
    try:
        text, attributes, _ = pushed(json.dumps({"subscription": "", **body}, default=str))
    except InputError as error:
        set_aside(deployment().backend, str(data), None, str(error))
        return
    _listen_to(str(event["source"]).rpartition("/topics/")[2], text, attributes)


def _listen_to(topic: str, text: str, attributes: Mapping[str, str]) -> None:
    with telemetry.incoming(attributes):
        if topic in deployment().pipeline.observed_topics:
            deployment().external_events.handle(topic, [text])
        else:
            deployment().listener.handle([text])


def decoded(data: str) -> str:
    """Return the text of a message's base64 data; data that is none is given as it is."""
    try:
        return base64.b64decode(data, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        return data


def _size(request: "Request") -> int:
    return request.content_length if request.content_length is not None else len(request.get_data())


def _sentence(error: Mapping[str, Any]) -> str:
    where = ".".join(map(str, error["loc"])) or "body"
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown key"
    if error["type"] == "json_invalid":
        return f"not JSON: {error['ctx']['error']}"
    return f"{where}: {error['msg']}"
