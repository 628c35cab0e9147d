"""What commands that tests type have before they begin: one process imports and does it (``tests.commands``).

All of Phasegate that runs on one machine, whatever a command imports late, is imported. One run of the small world is
made and verified, and two dates of the league are run, for what a process makes once: SQL that is translated, templates
that are compiled. Nothing else is left of it: no thread, no open file, no folder, and no module of the league's worker,
of which tests change copies.
"""

import gc
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from datetime import date
from importlib import import_module
from io import StringIO
from pathlib import Path
from pkgutil import walk_packages

import pytest  # noqa: F401 - workers of tests come from modules that import it
from typer.main import get_command

import phasegate.cli.main
import phasegate.report
import phasegate.services
from phasegate.adapters import factories
from phasegate.adapters.embedded.home import Home
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.cli.backends.driving import run_to_the_end
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.messages.run_request import RunRequest
from phasegate.report.verifier import verify_run
from phasegate.report.verify.compose import VerifierInputs
from tests.commands import ROOT
from tests.world import World, scratch

LEAGUE = ROOT / "pipelines" / "nba"

for room in (phasegate.cli, phasegate.report, phasegate.services):
    for module in walk_packages(room.__path__, f"{room.__name__}."):
        import_module(module.name)
with tempfile.TemporaryDirectory() as folder:
    world = World(Path(folder), dates=3)
    with world.open() as embedded:
        world.begin(embedded)
        embedded.drive("r")
        inputs = VerifierInputs(embedded.state, embedded.warehouse, embedded.objects)
        verify_run(inputs, FolderObjectStore(world.home.root), world.clock, "r")
    del world, embedded, inputs
    scratch.cache_clear()
with tempfile.TemporaryDirectory() as folder, redirect_stderr(StringIO()), redirect_stdout(StringIO()):
    source, searched = Path(folder, "source"), list(sys.path)
    sys.path.insert(0, str(LEAGUE))
    import_module("nba_worker.sample").write_sample(source, seasons=["2023-24"])
    dates = Selection(first=date(2023, 10, 24), last=date(2023, 10, 25))
    league = RunRequest(dates, str(LEAGUE / "pipeline.yaml"), str(source))
    run_to_the_end(Home(Path(folder, "home")), league, "r", durable=False, as_json=True, is_verbose=False)
    sys.path[:] = searched
    for name in [name for name in sys.modules if name.split(".")[0] == "nba_worker"]:
        del sys.modules[name]
    factories._folders.clear()
# What typer makes of the commands' signatures: for most commands that is most of their work.
phasegate.cli.main.app = get_command(phasegate.cli.main.app)  # type: ignore[assignment]  # is called alike

# Whoever is forked need not copy it.
gc.collect()
gc.freeze()
