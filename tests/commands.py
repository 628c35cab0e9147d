"""``phasegate`` commands as people type them, hundreds of times.

Each is a process of its own, with its own folder, environment and exit status; it is forked from one that has imported
everything and made a run (``tests.warm``), because most of a command's time goes into what a process does once. What is
to be killed, interrupted or asked what it imports is begun as a new interpreter, by the tests of that.
"""

import atexit
import ctypes
import faulthandler
import gc
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 300.0

_processes = multiprocessing.get_context("forkserver")
_WARM = ["__main__", "tests.warm"]
_processes.set_forkserver_preload(_WARM)


def also_import(module: str) -> None:
    """Have commands forked from a process that has imported a module too; of no effect once one was typed here."""
    _processes.set_forkserver_preload([*_WARM, module])


def without_settings() -> dict[str, str]:
    """The environment of this process without any setting of Phasegate, of Python or of an emulator."""
    own = ("PHASEGATE_", "PYTHONPATH")
    return {k: v for k, v in os.environ.items() if not k.startswith(own) and "EMULATOR_HOST" not in k}


def type_command(
    *words: object,
    folder: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    seconds: float = PATIENCE_SECONDS,
    as_root: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Type a ``phasegate`` command in a folder.

    environment: what is set beside ours without settings. as_root: with the rights of root, to which no file is
    read-only, where the tests have them. Raises subprocess.TimeoutExpired after so many seconds.
    """
    given = without_settings() | dict(environment or {})
    typed = ["phasegate", *map(str, words)]
    searched = [*filter(None, given.get("PYTHONPATH", "").split(os.pathsep)), *_searched_by_all()]
    with tempfile.TemporaryDirectory() as scratch:
        out, err = Path(scratch, "out"), Path(scratch, "err")
        of_all = (typed, folder, given, searched, out, err, 0.9 * seconds, as_root)
        process = _processes.Process(target=_run, args=of_all)
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            expired = subprocess.TimeoutExpired(typed, seconds, out.read_text(), err.read_text())
            expired.add_note(f"its last words:\n{expired.stderr}")
            raise expired
        return subprocess.CompletedProcess(typed, process.exitcode, out.read_text(), err.read_text())


@cache
def _searched_by_all() -> list[str]:
    """Where a new interpreter of this environment looks for modules, wherever it is started."""
    words = [sys.executable, "-P", "-c", "import json, sys; print(json.dumps(sys.path))"]
    found: list[str] = json.loads(subprocess.check_output(words, env=without_settings()))
    return found


def _run(
    typed: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    searched: Sequence[str],
    out: Path,
    err: Path,
    patience: float,
    as_root: bool,
) -> None:
    """Become the command: everything in which it differs from the process that it was forked from.

    patience: after so many seconds each of its threads says where it is.
    """
    for file, descriptor in ((out, 1), (err, 2)):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, descriptor)
        os.close(opened)
    faulthandler.dump_traceback_later(patience, file=2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = list(typed)
    sys.path[:] = searched
    if not as_root:
        _give_up_the_rights_of_root()
    from phasegate.cli.main import main

    status: object = 0
    try:
        main()
    except SystemExit as ended:
        status = ended.code
    # What an interpreter does at its end: what nobody holds any more is closed.
    gc.collect()
    atexit._run_exitfuncs()
    sys.exit(status)


def _give_up_the_rights_of_root() -> None:
    """Without capabilities root is a user like others."""
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "capset")
