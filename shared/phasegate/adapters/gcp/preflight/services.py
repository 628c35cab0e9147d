"""Functions and workers are asked for ``/health``: do they answer, are they who they should be, and with which code."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import requests

from phasegate import __version__
from phasegate.adapters.gcp.preflight.examine import PATIENCE_SECONDS
from phasegate.domain.errors import TransientError
from phasegate.domain.operations.preflight import (
    PreflightLine,
    differing_batches,
    failed,
    passed,
    unanswered,
    warned,
)
from phasegate.domain.protocol.worker import Offered, read_offered
from phasegate.domain.spec.pipeline import WorkerSpec

Token = Callable[[str], str]
"""An identity token for an audience (``IdentityTokens``); raises TransientError."""


@dataclass(frozen=True, slots=True)
class Health:
    """A health is what ``GET /health`` answered."""

    status: int
    """The HTTP status."""

    service: str | None
    """The name that the service gives itself; None: the answer has none."""

    version: str | None
    """The version of its code; None: the answer has none."""

    batches: Offered | None = None
    """How it takes several dates in one request; None: it does not say."""


def inspect_functions(endpoints: Mapping[str, Sequence[str]], token: Token | None) -> list[PreflightLine]:
    """Return a line for each URL under which a function is called: it answers by its name, with the code that runs
    here.
    """
    lines: list[PreflightLine] = []
    for function, urls in endpoints.items():
        for url in urls:
            found = ask_health("function", function, url, token)
            lines.append(found if isinstance(found, PreflightLine) else _function(function, url, found))
    return lines


def inspect_workers(
    workers: Mapping[str, WorkerSpec], paths: Mapping[str, Collection[str]], token: Token | None
) -> list[PreflightLine]:
    """Return a line per worker: it answers, with the code version that the pipeline file asks for, if any, and takes
    batches as the file says.

    paths: those at which each of them is called.
    """
    return [_worker(name, spec, paths.get(name, ()), token) for name, spec in workers.items()]


def _function(function: str, url: str, found: Health) -> PreflightLine:
    if found.status != 200 or found.service is None:
        remedy = f"its URL must be that of the function {function}; deploy it again, or correct the URL"
        return failed("function", function, f"{url}/health answered {found.status} and no name", remedy)
    if found.service != function:
        remedy = f"correct the URL: it must be that of the function {function}"
        return failed("function", function, f"at {url} answers the {found.service}", remedy)
    if found.version != __version__:
        return failed("function", function, f"runs version {found.version}", f"deploy version {__version__}")
    return passed("function", function, f"version {found.version} answers at {url}")


def _worker(name: str, spec: WorkerSpec, paths: Collection[str], token: Token | None) -> PreflightLine:
    if spec.url is None:
        return failed("worker", name, "has no url in the pipeline file", "give workers." + name + ".url")
    found = ask_health("worker", name, spec.url, token)
    if isinstance(found, PreflightLine):
        return found
    if found.status in (404, 405):
        return warned("worker", name, f"{spec.url} answers, and has no /health", "give it one (docs/workers.md)")
    if found.status != 200:
        return failed("worker", name, f"{spec.url}/health answered {found.status}", "see the log of the service")
    if spec.version is not None and found.version != spec.version:
        detail = f"runs version {found.version}, the pipeline file wants {spec.version}"
        return failed("worker", name, detail, f"deploy it, or correct workers.{name}.version")
    if spec.batches != "none" and found.batches is None:
        detail = f"does not say how it takes several dates, the pipeline file has batches: {spec.batches}"
        return warned("worker", name, detail, f"see that it does, or take workers.{name}.batches out")
    if differing := differing_batches(name, spec.batches, found.batches or {}, paths):
        return differing
    return passed("worker", name, f"version {found.version or 'unnamed'} answers at {spec.url}")


def ask_health(check: str, name: str, url: str, token: Token | None) -> Health | PreflightLine:
    """Ask a service for its health; return the line in its place when it cannot be asked."""
    headers = {}
    try:
        if token is not None:
            headers["Authorization"] = f"Bearer {token(url)}"
    except TransientError as error:
        return warned(check, name, f"not checked: {error}", "start the run as a service account")
    try:
        answer = requests.get(f"{url}/health", headers=headers, timeout=PATIENCE_SECONDS, allow_redirects=False)
    except requests.Timeout:
        return unanswered(check, name, f"{url} gave no answer within {PATIENCE_SECONDS:.0f} s")
    except (requests.RequestException, ValueError) as error:
        detail = f"{url or 'no address'} could not be asked: {type(error).__name__}"
        return failed(check, name, detail, "start it, or correct its URL")
    if answer.status_code in (401, 403):
        return warned(check, name, f"not checked: {url} answers {answer.status_code}", "grant who starts run.invoker")
    try:
        body = answer.json()
    except ValueError:
        body = None
    told = body if isinstance(body, dict) else {}
    service, version = (str(told[key]) if key in told else None for key in ("service", "version"))
    return Health(answer.status_code, service, version, read_offered(told.get("batches")))
