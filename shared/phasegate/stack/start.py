"""One ``up`` of a stack finds and checks everything first, then starts all at once, then waits."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from phasegate.adapters.gcp.layout import Layout, environment_of, layout_of
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.errors import InputError, PhasegateError
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.stack import parts
from phasegate.stack.emulators import (
    BIGQUERY,
    CLOUD_TASKS,
    EMULATORS,
    HOST,
    PUBSUB,
    STARTED_WITHIN_SECONDS,
    STORAGE,
    Emulator,
    Server,
    is_ready,
    start_emulator,
    start_server,
)
from phasegate.stack.forking import Forks
from phasegate.stack.ledger import Ledger, StartedProcess, is_free, write_ledger
from phasegate.stack.processes import ProcessId, end
from phasegate.stack.resources import Addresses, create_resources

PROJECT = "demo"
"""The emulator of BigQuery serves one project only, and the others do not care."""

PIPELINE_COPY = "pipeline.yaml"
"""The pipeline file that the stack's processes read, in the stack's folder."""

_PORT_FREED_WITHIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class StackRequest:
    """A request says what a stack is to serve."""

    pipeline: Path
    """The pipeline file, absolute."""

    source: Path | None
    """The source folder of workers that the stack starts, absolute; None: not given."""

    sweep_every: float
    """Seconds between sweeps (Cloud Scheduler: a minute)."""


def url_of(ledger: Ledger, name: str) -> str:
    """Say where a part answers."""
    return f"http://{HOST}:{ledger.ports[name]}"


def second_port(emulator: Emulator) -> str:
    """Say what the ledger calls an emulator's second port."""
    return f"{emulator.name}-{emulator.second.lower()}"


class Start:
    """A start checks everything in its constructor, which changes nothing and raises InputError."""

    def __init__(self, folder: Path, request: StackRequest, ledger: Ledger) -> None:
        self._folder, self._request, self._ledger = folder, request, ledger
        self._copy = folder / PIPELINE_COPY
        self._pipeline: Pipeline = load_pipeline(request.pipeline)
        self._layout: Layout = layout_of(self._pipeline)
        self._services = parts.worker_services(self._pipeline, request.pipeline)
        if self._services and request.source is None:
            raise InputError(
                f"{request.pipeline}: the stack starts its worker ({', '.join(self._services)}): give the source "
                "folder with --source DIR; `phasegate sample DIR` makes one up"
            )
        if request.source is not None and not request.source.is_dir():
            raise InputError(f"--source: {request.source} is not a folder")
        missing = [f"{e.name}: {reason}" for e in EMULATORS if (reason := e.missing())]
        if missing:
            raise InputError("emulators are missing; nothing was started:\n  " + "\n  ".join(missing))
        ledger.choose_ports(self._port_names(), folder)
        self._parts = self._all_parts()

    def _port_names(self) -> list[str]:
        emulators = [name for e in EMULATORS for name in (e.name, *([second_port(e)] if e.second else []))]
        functions = [f.name for f in self._layout.functions]
        return [*emulators, *functions, *(parts.worker_part_name(name) for name in self._services)]

    def _all_parts(self) -> list[parts.StackProcess]:
        ports = self._ledger.ports
        functions = [parts.function_part(f, ports[f.name]) for f in self._layout.functions]
        workers = [
            parts.worker_part(name, service, ports[parts.worker_part_name(name)])
            for name, service in self._services.items()
        ]
        schedules = [
            parts.schedule_part(s.name, url_of(self._ledger, s.function), self._request.sweep_every)
            for s in self._layout.schedules
        ]
        return [*functions, *workers, *schedules]

    @cached_property
    def settings(self) -> CloudSettings:
        """Return what the functions are told."""
        return CloudSettings(
            project=PROJECT,
            pipeline=self._copy,
            dispatcher_url=url_of(self._ledger, "dispatcher"),
            runner_url=url_of(self._ledger, "runner"),
            conductor_url=url_of(self._ledger, "conductor"),
            verifier_url=url_of(self._ledger, "verifier"),
            sweeper_url=url_of(self._ledger, "sweeper"),
        )

    def _environment(self) -> dict[str, str]:
        """What a shell, a function and a worker need alike."""
        emulators = {e.variable: e.setting(self._ledger.ports[e.name]) for e in EMULATORS}
        source = "" if self._request.source is None else str(self._request.source)
        sources = {f"PHASEGATE_{name.upper()}_SOURCE": source for name in self._services}
        return {**emulators, **environment_of(self.settings), **sources}

    def run(self, alive: set[str]) -> list[str]:
        """Start what is not alive; returns the names. Ends what it has started when anything goes wrong."""
        ledger, request = self._ledger, self._request
        begun: dict[str, Server] = {}
        ledger.processes = {name: s for name, s in ledger.processes.items() if name in alive}
        ledger.pipeline, ledger.source, ledger.sweep_every = request.pipeline, request.source, request.sweep_every
        ledger.environment = self._environment()
        urls = {name: url_of(ledger, parts.worker_part_name(name)) for name in self._services}
        parts.write_pipeline_copy(request.pipeline, self._copy, urls)
        try:
            self._begin(alive, begun)
            emulators = [e.name for e in EMULATORS if e.name in begun]
            _wait([begun[name] for name in emulators], begun)
            if begun:
                functions = {f.name: url_of(ledger, f.name) for f in self._layout.functions}
                at = Addresses(
                    pubsub=url_of(ledger, PUBSUB.name),
                    storage=url_of(ledger, STORAGE.name),
                    cloud_tasks=url_of(ledger, second_port(CLOUD_TASKS)),
                    functions=functions,
                )
                create_resources(self._layout, self.settings, at)
            _wait([server for name, server in begun.items() if name not in emulators and server.port], begun)
            for name, url in urls.items():
                if BIGQUERY.name in begun or parts.worker_part_name(name) in begun:
                    _prepare(name, url)
            if BIGQUERY.name in begun:
                _make_own_tables(self.settings, ledger.environment[BIGQUERY.variable])
        except BaseException:
            end([ledger.processes.pop(name).process for name in begun if name in ledger.processes])
            write_ledger(self._folder, ledger)
            raise
        return list(begun)

    def _begin(self, alive: set[str], begun: dict[str, Server]) -> None:
        """Start everything at once: the functions load while the emulators do."""
        ledger = self._ledger
        for emulator in EMULATORS:
            if emulator.name not in alive:
                port, second = ledger.ports[emulator.name], ledger.ports.get(second_port(emulator))
                self._require_free(emulator.name, port)
                self._note(begun, start_emulator(emulator, self._folder, port, second))
        # gunicorn keeps a socket in here; without it all stacks of a person would share one in the home folder.
        sockets = self._folder / "run"
        sockets.mkdir(exist_ok=True)
        path = [str(parts.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        common = {"PYTHONUNBUFFERED": "1", "XDG_RUNTIME_DIR": str(sockets), **ledger.environment}
        forks = Forks(self._folder / "logs" / "functions.log", {"PYTHONPATH": os.pathsep.join(path)})
        try:
            for part in self._parts:
                if part.name not in alive:
                    if part.port is not None:
                        self._require_free(part.name, part.port)
                    python = os.pathsep.join([*([str(part.folder)] if part.folder else []), *path])
                    environment = {"PYTHONPATH": python, **common, **part.environment}
                    self._note(begun, self._start(part, environment, forks))
        finally:
            forks.close()

    def _start(self, part: parts.StackProcess, environment: dict[str, str], forks: Forks) -> Server:
        port = part.port or 0
        if not part.is_function:
            return start_server(part.name, part.command, port, self._folder, environment, part.path)
        log = self._folder / "logs" / f"{part.name}.log"
        process = forks.start(part.command, log, {**os.environ, **environment})
        return Server(part.name, port, process, log, part.path)

    def _note(self, begun: dict[str, Server], server: Server) -> None:
        """Write every process down before the next one is started: ``down`` finds it, whatever happens here."""
        begun[server.name] = server
        self._ledger.processes[server.name] = StartedProcess(
            process=ProcessId.of(server.process.pid), port=server.port or None, path=server.path, log=server.log
        )
        write_ledger(self._folder, self._ledger)

    def _require_free(self, name: str, port: int) -> None:
        ends = time.monotonic() + _PORT_FREED_WITHIN_SECONDS
        while not is_free(port):
            if time.monotonic() > ends:
                raise InputError(
                    f"port {port} of {name} is used by a process that is not of this stack; end that, or remove "
                    f"{self._folder / 'stack.json'} for other ports"
                )
            time.sleep(0.1)


def _prepare(name: str, url: str) -> None:
    """Have a worker make its tables and reference data. Raises InputError with its answer when it cannot."""
    from phasegate.adapters.gcp.http.worker import HttpWorker

    try:
        HttpWorker(url).prepare()
    except PhasegateError as error:
        raise InputError(f"worker '{name}' could not prepare: {error}") from error


def _make_own_tables(settings: CloudSettings, bigquery: str) -> None:
    """Make the history and the tables of SELECTs, whose datasets Terraform makes in a deployment.

    bigquery: the address of the stand-in. Raises InputError where a SELECT does not fit.
    """
    from phasegate.deployment import Deployment
    from phasegate.services.starting.own_tables import make_own_tables

    deployment = Deployment(settings)
    before = os.environ.get(BIGQUERY.variable)
    os.environ[BIGQUERY.variable] = bigquery
    try:
        make_own_tables(deployment.pipeline, deployment.pipeline.phase_names, deployment.backend.warehouse)
    finally:
        if before is None:
            del os.environ[BIGQUERY.variable]
        else:
            os.environ[BIGQUERY.variable] = before


def _wait(awaited: Sequence[Server], begun: Mapping[str, Server]) -> None:
    """Return when the awaited ones answer. Raises InputError as soon as one of all that were begun has died."""
    ends = time.monotonic() + STARTED_WITHIN_SECONDS
    while awaited := [server for server in awaited if not is_ready(server.port, server.path)]:
        dead = [server for server in begun.values() if server.process.poll() is not None]
        for server in dead or (awaited if time.monotonic() > ends else ()):
            server.wait_until_ready(0)
        time.sleep(0.05)
