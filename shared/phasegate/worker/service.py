"""A processing service goes from a request to the user's own function, and back to an answer of the protocol."""

import json
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from phasegate import telemetry
from phasegate.domain.errors import (
    HaltError,
    InputError,
    PhasegateError,
    ReadsTooMuch,
    StaleFence,
    TransientError,
    WouldEmpty,
)
from phasegate.domain.foreign_text import is_interruption, said, told
from phasegate.domain.protocol.versions import PROTOCOL, read_fields
from phasegate.domain.protocol.worker import (
    NEEDS_A_PERSON,
    Batches,
    ErrorClass,
    Offered,
    ProcessorResult,
    ResultStatus,
    Said,
    WorkerAnswer,
    WorkerRequest,
)
from phasegate.worker.batches import BatchRequest
from phasegate.worker.ranges import RangeRequest, summed_up

if TYPE_CHECKING:
    import flask

MAX_BODY_BYTES = 2_000_000
"""A request names one task; Cloud Tasks itself takes none above 1 MiB (Cloud Tasks quotas)."""

_CHUNK = 64 * 1024

_log = logging.getLogger(__name__)

Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Accepted:
    """Work was accepted, and is returned in place of a result: it goes on elsewhere, and ends with a completed event
    (HTTP 202)."""

    message: str = "the end will be reported by event"
    """What the answer says, for people."""


Handler = Callable[[WorkerRequest], ProcessorResult | Accepted]
BatchHandler = Callable[[BatchRequest], Mapping[date, ProcessorResult | PhasegateError] | Accepted]
RangeHandler = Callable[[RangeRequest], Mapping[date, ProcessorResult]]

Words = str | Callable[[str], str]
"""What rows are made with, in a short text: of all processors of a path, or by the name of one. A function is called
whenever it is asked for, so that it keeps what takes long to find."""


@dataclass(frozen=True, slots=True)
class _Route:
    """How a request of one path is read, and the function from that request to the answer's body."""

    model: type[WorkerRequest]
    """What the request is read as."""

    date_field: str
    """The name under which the date travels."""

    processor_fields: tuple[str, ...]
    """The names of which exactly one carries the processor."""

    processors: frozenset[str] | None
    """The processors that the path knows; None: the function sees to that."""

    made_with: Words
    """What rows of a processor are made with; empty: the service does not say."""

    answer: Callable[[Any], Accepted | dict[str, Any]]
    """Takes the request, as ``model``, to the answer's body."""

    answer_batch: Callable[[BatchRequest], Accepted | dict[str, Any]] | None = None
    """Takes a request for several dates to the answer's body; None: the path takes no list of them."""

    @property
    def batches(self) -> Batches:
        """Say how several dates are taken in one request."""
        if self.answer_batch is not None:
            return "list"
        return "range" if self.model is RangeRequest else "none"

    def answer_to(self, request: WorkerRequest | BatchRequest) -> Accepted | dict[str, Any]:
        """Answer a request as this route reads it."""
        if isinstance(request, BatchRequest) and self.answer_batch is not None:
            return self.answer_batch(request)
        return self.answer(request)


class WorkerService:
    """A worker service turns functions of one's own into a service. Thread-safe if its functions are.

    Behind HTTP its entry point calls ``respond``; ``handle`` and ``prepare`` make it a worker in process. Not for
    services that are there already and speak HTTP by themselves: they need the protocol, not the library.

    name: for log lines and ``/health``. version: of the service's code. prepare: makes tables and loads reference
    data; must be repeatable, and safe in two instances at once.
    """

    def __init__(self, name: str, *, version: str = "", prepare: Callable[[], None] = lambda: None) -> None:
        self._name, self._version = name, version
        self.prepare = prepare
        self._routes: dict[str, _Route] = {}

    def route(
        self,
        path: str,
        *,
        date_field: str = "date",
        processor_fields: tuple[str, ...] = ("processor",),
        processors: Collection[str] | None = None,
        made_with: Words = "",
    ) -> Callable[[Handler], Handler]:
        """Decorate the function that processes one processor and date per request.

        date_field, processor_fields: the names under which date and processor travel. processors: those that the
        path knows; None: the function sees to that. made_with: what the rows are made with (a version of the code, the
        ``hash_of_statement``), where that is to be compared with what made the rows that are there; it takes
        ``processors``. What the function raises is answered as ``handle`` says.
        """
        known = _known(path, processors, made_with)

        def add(handler: Handler) -> Handler:
            def answer(request: WorkerRequest) -> Accepted | dict[str, Any]:
                result = _handled(handler, request)
                return (
                    result if isinstance(result, Accepted) else _results(request, _worded(request, result, made_with))
                )

            self._routes[path] = _Route(WorkerRequest, date_field, processor_fields, known, made_with, answer)
            return handler

        return add

    def route_batch(
        self,
        path: str,
        *,
        date_field: str = "date",
        processor_fields: tuple[str, ...] = ("processor",),
        processors: Collection[str] | None = None,
        made_with: Words = "",
    ) -> Callable[[BatchHandler], BatchHandler]:
        """Decorate the function that processes one processor over the dates that a ``BatchRequest`` lists; a request
        for one date becomes a list of one.

        It returns a result for each date, or the error that met this date alone (as ``Warehouse.load_partitions``
        does), which is answered like one that is raised for a single date. A date without either has failed. What it
        raises is that of the whole request, which is then made again for half of the dates. The other arguments are
        those of ``route``.
        """
        known = _known(path, processors, made_with)

        def add(handler: BatchHandler) -> BatchHandler:
            def answer_batch(request: BatchRequest) -> Accepted | dict[str, Any]:
                found = handler(request)
                if isinstance(found, Accepted):
                    return found
                asked = {one.date: one for one in request.apart}
                dates: dict[str, Any] = {}
                for day, outcome in found.items():
                    result = outcome
                    if isinstance(result, PhasegateError):
                        result = _of_error(handler, asked[day], result) if day in asked else _failed_by(result)
                    dates[str(day)] = _results(request, _worded(request, result, made_with))
                return {"dates": dates}

            def answer(request: WorkerRequest) -> Accepted | dict[str, Any]:
                result = _handled(lambda one: _of_one(one, handler(BatchRequest.of(one))), request)
                if isinstance(result, Accepted):
                    return result
                return _results(request, _worded(request, result, made_with))

            route = _Route(WorkerRequest, date_field, processor_fields, known, made_with, answer, answer_batch)
            self._routes[path] = route
            return handler

        return add

    def route_range(
        self, path: str, *, processors: Collection[str], made_with: Words = ""
    ) -> Callable[[RangeHandler], RangeHandler]:
        """Decorate the function that processes one processor over the dates of a ``RangeRequest``.

        The answer holds ``results`` of the dates taken together, and ``dates`` with those of each date. processors,
        made_with: as for ``route``.
        """
        known = _known(path, processors, made_with)

        def add(handler: RangeHandler) -> RangeHandler:
            def answer(request: RangeRequest) -> dict[str, Any]:
                by_date = {day: _worded(request, result, made_with) for day, result in handler(request).items()}
                dates = {str(day): _results(request, result) for day, result in by_date.items()}
                return {**_results(request, summed_up(by_date)), "dates": dates}

            self._routes[path] = _Route(RangeRequest, "start_date", ("processor",), known, made_with, answer)
            return handler

        return add

    def handle(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Answer one request: 200 with results, 202, or a refusal with ``error_class`` and ``message``.

        404 unknown path, 422 bad request (or InputError), 409 the attempt is void: its deadline has passed or a newer
        one owns the partition (StaleFence); no ``error_class`` then. 503 try again (TransientError, and OSError: the
        network or the file system), 500 anything else, class bug. Raises HaltError when the function does.
        """
        route = self._routes.get(path)
        if route is None:
            return _refusal(404, ErrorClass.BUG, f"no path {path}: use one of {', '.join(self._routes)}")
        try:
            request = _read_request(route, body)
        except ValueError as error:
            return _refusal(422, ErrorClass.BUG, f"{path}: {error}")
        if has_passed(request.deadline):
            return void(request)
        first = request.dates[0] if isinstance(request, BatchRequest) else request
        with telemetry.bind(
            run_id=request.run_id,
            date=first.date,
            phase=request.phase,
            processor=request.processor,
            attempt=first.attempt,
        ):
            return _answered(lambda: _answer_of(route.answer_to(request)))

    def made_with(self) -> Said:
        """Say what the rows of each processor are made with: path -> processor -> text, as ``/health`` does."""
        return {
            path: {name: said for name in sorted(route.processors or ()) if (said := _words(route.made_with, name))}
            for path, route in self._routes.items()
            if route.made_with
        }

    def offered_batches(self) -> Offered:
        """Say how each path takes several dates in one request, as ``/health`` does; one that takes none is absent."""
        return {path: route.batches for path, route in self._routes.items() if route.batches != "none"}

    def respond(self, request: "flask.Request") -> tuple[str, int, dict[str, str]]:
        """Answer an HTTP request, in the form that Flask and functions-framework take from a function.

        Beside the paths: ``GET /health``, and ``POST /prepare``. A full disk (HaltError) is a 503 here; a
        statement that would read more than a person allowed (ReadsTooMuch) a 402, which halts the run.
        """
        with telemetry.incoming(request.headers):
            status, body = self._answer(request)
            _log.info("%s %s: %d", request.method, request.path, status)
        return json.dumps(body), status, {"Content-Type": "application/json"}

    def _answer(self, request: "flask.Request") -> Answer:
        if request.path == "/health" and request.method == "GET":
            return _answered(lambda: (200, self._health()))
        if request.method != "POST":
            return _refusal(405, ErrorClass.BUG, f"{request.method} {request.path}: use POST, or GET /health")
        try:
            if request.path == "/prepare":
                return _answered(self._prepared)
            content = _read_body(request)
            if content is None:
                return _refusal(413, ErrorClass.BUG, f"the body is larger than {MAX_BODY_BYTES:,} bytes")
            try:
                body = json.loads(content)
            except ValueError as error:
                return _refusal(422, ErrorClass.BUG, f"the body is not JSON: {error}")
            if not isinstance(body, dict):
                return _refusal(422, ErrorClass.BUG, "the body is not a JSON object")
            return self.handle(request.path, body)
        except ReadsTooMuch as error:
            return NEEDS_A_PERSON, {"message": said(error)}
        except HaltError as error:
            return _refusal(503, ErrorClass.TRANSIENT, str(error))

    def _health(self) -> dict[str, Any]:
        health = {"service": self._name, "version": self._version, "protocol": PROTOCOL}
        said = self.made_with()
        return health | {"batches": self.offered_batches()} | ({"made_with": said} if said else {})

    def _prepared(self) -> Answer:
        self.prepare()
        return 200, {"message": f"{self._name} is prepared"}


def _handled(handler: Handler, request: WorkerRequest) -> ProcessorResult | Accepted:
    """What the function says. Where it would leave nothing in the place of rows, it is asked again without them, if
    that is right on this date."""
    try:
        return handler(request)
    except WouldEmpty as refusal:
        if not refusal.is_fenced:
            return kept_rows(refusal, "look whose they are, and delete them by hand", ErrorClass.BUG)
        if not request.may_be_empty:
            return kept_rows(refusal)
        deleted = refusal.empty()
        result = handler(request)
        if isinstance(result, Accepted):
            return result
        said_before = f"{deleted} row{'' if deleted == 1 else 's'} of before deleted"
        return result.model_copy(update={"message": "; ".join(filter(None, (result.message, said_before)))})


def kept_rows(
    refusal: WouldEmpty, why: str = "rows are expected there", error_class: ErrorClass = ErrorClass.NOT_YET
) -> ProcessorResult:
    """Return the result of an attempt that left what stands there, as it has nothing to put in its place."""
    message = f"{refusal}; {why}"
    return ProcessorResult(status=ResultStatus.FAILED, message=message, error_class=error_class)


def answer(handler: Handler, request: WorkerRequest) -> Answer:
    """Answer a request that was read already, as ``WorkerService.handle`` does for a path's function; a statement that
    would read more than a person allowed (ReadsTooMuch) as ``respond`` does. Raises HaltError.
    """
    return void(request) if has_passed(request.deadline) else answer_in_time(handler, request)


def answer_in_time(handler: Handler, request: WorkerRequest) -> Answer:
    """Answer as ``answer`` does a request whose work was begun before its deadline, whatever the time is now."""

    def of_handler() -> Answer:
        result = _handled(handler, request)
        return _answer_of(result if isinstance(result, Accepted) else _results(request, result))

    try:
        return _answered(of_handler)
    except ReadsTooMuch as error:
        return NEEDS_A_PERSON, {"message": said(error)}


def void(request: WorkerRequest | BatchRequest) -> Answer:
    """Answer a request whose deadline had passed before anything was done."""
    return 409, {"message": f"the deadline {request.deadline} has passed: this attempt is void"}


def has_passed(deadline: datetime) -> bool:
    """Tell whether a request's deadline lies behind; without a zone it is UTC."""
    return datetime.now(UTC) >= (deadline if deadline.tzinfo else deadline.replace(tzinfo=UTC))


def _answer_of(found: Accepted | dict[str, Any]) -> Answer:
    return (202, {"message": found.message}) if isinstance(found, Accepted) else (200, found)


def _answered(answer: Callable[[], Answer]) -> Answer:
    """The answer, or the one that stands for what was raised instead. Raises HaltError."""
    try:
        return answer()
    except StaleFence as error:
        return 409, {"message": said(error)}
    except HaltError:
        raise
    except InputError as error:
        return _refusal(422, ErrorClass.BUG, said(error))
    except (TransientError, OSError) as error:
        return _refusal(503, ErrorClass.TRANSIENT, said(error) or type(error).__name__)
    except BaseException as error:
        if is_interruption(error):
            raise
        _log.exception("the request failed: %s", type(error).__name__)
        return _refusal(500, ErrorClass.BUG, told(error).partition(r"\n")[0])


def _read_request(route: _Route, body: Mapping[str, Any]) -> WorkerRequest | BatchRequest:
    """The request under its own field names. Raises ValueError that says what is wrong with which field."""
    fields = dict(body)
    names = [name for name in route.processor_fields if name in fields]
    if len(names) != 1:
        raise ValueError(f"name the processor in exactly one of {', '.join(route.processor_fields)}")
    is_batch = route.answer_batch is not None and "dates" in fields
    if is_batch and isinstance(fields["dates"], list):
        fields["dates"] = [_with_date(route, each) if isinstance(each, dict) else each for each in fields["dates"]]
    elif not is_batch:
        fields = _with_date(route, fields)
    fields["processor"] = fields.pop(names[0])
    try:
        request = read_fields(BatchRequest, fields) if is_batch else read_fields(route.model, fields)
    except ValidationError as error:
        on_the_wire = {"date": route.date_field, "processor": names[0]}
        wrong = (
            f"{'.'.join(str(on_the_wire.get(str(part), part)) for part in problem['loc']) or 'body'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ValueError("; ".join(wrong)) from error
    if route.processors is not None and request.processor not in route.processors:
        raise ValueError(f"unknown processor '{request.processor}': use one of {', '.join(sorted(route.processors))}")
    return request


def _with_date(route: _Route, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a date, which travels under the route's name for it."""
    if route.date_field not in fields or (route.date_field != "date" and "date" in fields):
        raise ValueError(f"the date travels as {route.date_field}, and under no other name")
    return {"date" if name == route.date_field else name: value for name, value in fields.items()}


def _read_body(request: "flask.Request") -> bytes | None:
    """The body, whether or not its length was announced; None when it is too large."""
    content = bytearray()
    while chunk := request.stream.read(_CHUNK):
        content += chunk
        if len(content) > MAX_BODY_BYTES:
            return None
    return bytes(content)


def _known(path: str, processors: Collection[str] | None, made_with: Words) -> frozenset[str] | None:
    """The processors that a path knows. Raises ValueError where it does not name those that it says something of."""
    if processors is None and made_with:
        raise ValueError(f"{path}: made_with is said by processor; name the path's processors")
    return None if processors is None else frozenset(processors)


def _words(made_with: Words, processor: str) -> str:
    return made_with if isinstance(made_with, str) else made_with(processor)


def _worded(request: WorkerRequest | BatchRequest, result: ProcessorResult, made_with: Words) -> ProcessorResult:
    """A good result with what its rows were made with, unless it says so itself."""
    if not made_with or result.made_with or result.status is ResultStatus.FAILED:
        return result
    return result.model_copy(update={"made_with": _words(made_with, request.processor)})


def _of_error(handler: BatchHandler, request: WorkerRequest, error: PhasegateError) -> ProcessorResult:
    """What an error that met one date of several says of it. Where it is right that nothing is left there, the function
    is asked for the date again, alone. Raises HaltError, and ReadsTooMuch."""
    met: list[PhasegateError] = [error]

    def again(one: WorkerRequest) -> ProcessorResult | Accepted:
        if met:
            raise met.pop()
        return _of_one(one, handler(BatchRequest.of(one)))

    try:
        result = _handled(again, request)
    except (HaltError, ReadsTooMuch):
        raise
    except PhasegateError as raised:
        return _failed_by(raised)
    if isinstance(result, Accepted):
        return _failed(ErrorClass.BUG, "accepted when it was asked for alone, and not with the other dates")
    return result


def _failed_by(error: PhasegateError) -> ProcessorResult:
    if isinstance(error, StaleFence):
        return _failed(ErrorClass.TRANSIENT, f"stale fence: {said(error)}")
    return _failed(ErrorClass.TRANSIENT if isinstance(error, TransientError) else ErrorClass.BUG, said(error))


def _failed(error_class: ErrorClass, message: str) -> ProcessorResult:
    return ProcessorResult(status=ResultStatus.FAILED, message=message, error_class=error_class)


def _of_one(
    request: WorkerRequest, found: Mapping[date, ProcessorResult | PhasegateError] | Accepted
) -> ProcessorResult | Accepted:
    """What a function for several dates says of the one that it was asked for. Raises the error that met it."""
    if isinstance(found, Accepted):
        return found
    if found.keys() != {request.date}:
        named = ", ".join(map(str, found)) or "no date"
        raise ValueError(f"asked for {request.date} alone, the function has results of {named}")
    result = found[request.date]
    if isinstance(result, PhasegateError):
        raise result
    return result


def _results(request: WorkerRequest | BatchRequest, result: ProcessorResult) -> dict[str, Any]:
    return WorkerAnswer(results={request.processor: result}).model_dump(mode="json")


def _refusal(status: int, error_class: ErrorClass, message: str) -> Answer:
    return status, {"error_class": error_class.value, "message": message}
