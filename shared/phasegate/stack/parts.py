"""Parts are the processes of a stack that are not emulators: functions, worker services, and the sweeper's schedule."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from phasegate.adapters.factories import find_factory
from phasegate.adapters.gcp.layout import Function
from phasegate.domain.errors import InputError
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.stack.emulators import HOST

ROOT = Path(__file__).resolve().parents[3]
FUNCTIONS = ROOT / "functions"

WORKER_CONCURRENCY = 32
"""Requests that a worker service serves at once: as many as one runner has under way."""


@dataclass(frozen=True, slots=True)
class StackProcess:
    """A stack process is one that can be started."""

    name: str
    """What the stack calls it."""
    command: tuple[str, ...]
    """Program and arguments; of a function only the arguments, of functions-framework."""
    port: int | None
    """Where it answers; None: nowhere."""
    path: str
    """A GET without effect that it answers."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What it needs beside the stack's common variables."""
    folder: Path | None = None
    """What stands first on its Python path; None: nothing beside the common folders."""
    is_function: bool = False
    """Whether functions-framework serves it."""


class WorkerFile(NamedTuple):
    """A worker file is the code of a worker that the stack serves."""

    main: Path
    """The ``main.py`` beside the module of the worker's factory."""
    folder: Path | None
    """The pipeline's folder, which its imports need; None when Python's path has what they need."""


def function_part(function: Function, port: int) -> StackProcess:
    """Return the process of a function, which functions-framework serves. Raises InputError when its folder is not
    there.
    """
    file = FUNCTIONS / function.name / "main.py"
    if not file.is_file():
        raise InputError(f"{file}: no such function; the stack runs from a checkout of the project, not from a package")
    return _framework(function.name, file, function.name, function.signature, port, function.concurrency)


def worker_part(name: str, service: WorkerFile, port: int) -> StackProcess:
    """Return the process of a worker service: it serves the target ``name`` of a ``main.py``."""
    part = _framework(worker_part_name(name), service.main, name, "http", port, WORKER_CONCURRENCY)
    return replace(part, folder=service.folder)


def worker_part_name(name: str) -> str:
    """Say what the stack calls the service of a worker: a function may have the same name."""
    return f"worker-{name}"


def schedule_part(name: str, url: str, every: float) -> StackProcess:
    """Return the process that stands in for Cloud Scheduler's job."""
    command = (sys.executable, "-P", "-m", "phasegate.stack.scheduler", "--url", url, "--every", str(every))
    return StackProcess(f"schedule-{name}", command, None, "")


def _framework(name: str, file: Path, target: str, signature: str, port: int, concurrency: int) -> StackProcess:
    words = ("--source", str(file), "--target", target, "--signature-type", signature)
    threads = {"THREADS": str(concurrency), "WORKERS": "1"}
    # functions-framework answers this path itself: asking for it calls nothing.
    path = "/robots.txt"
    return StackProcess(name, (*words, "--host", HOST, "--port", str(port)), port, path, threads, is_function=True)


def worker_services(pipeline: Pipeline, file: Path) -> dict[str, WorkerFile]:
    """Return the code of each worker without a URL: a ``main.py`` beside the module of the worker's factory.

    Raises InputError for a worker that has neither.
    """
    found: dict[str, WorkerFile] = {}
    for name, spec in pipeline.workers.items():
        if spec.url is not None:
            continue
        where = f"{file}: workers.{name}"
        if spec.factory is None:
            raise InputError(f"{where}: has no url, and no factory beside which a service could lie; give it a url")
        try:
            module = find_factory(file, spec.factory)
        except InputError as error:
            raise InputError(f"{where}: {error}; mend it, or give the worker a url") from error
        service = module.file.parent / "main.py"
        if not service.is_file():
            raise InputError(
                f"{where}: its factory has no service beside it ({service} is not there); write one that "
                f"functions-framework can serve under the target '{name}', or give the worker a url"
            )
        found[name] = WorkerFile(service, module.folder)
    return found


def write_pipeline_copy(original: Path, copy: Path, urls: Mapping[str, str]) -> None:
    """Write the pipeline as the stack's processes read it: the workers that the stack starts have their URLs. The SQL
    files of its processors and the schemas of its checks lie beside it.
    """
    document: dict[str, Any] = yaml.safe_load(original.read_text(encoding="utf-8"))
    for name, url in urls.items():
        document["workers"][name]["url"] = url
    processors = [processor for phase in document["phases"] for processor in phase["processors"]]
    selects = (processor.get("sql") for processor in processors)
    schemas = (check.get("schema") for processor in processors for check in processor.get("checks", ()))
    for name in (*filter(None, (*selects, *schemas)), *document.get("schema_files", ())):
        (copy.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (copy.parent / name).write_bytes((original.parent / name).read_bytes())
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    copy.write_text(f"# A copy of {original} with the URLs of this stack; written anew by each start.\n{text}")
