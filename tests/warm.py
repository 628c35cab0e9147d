"""What commands that tests type have before they begin: one process imports and does it (``tests.commands``).

All of Phasegate that runs on one machine, whatever a command imports late, is imported. One run of the small world is
made and verified, for what a process makes once: SQL that is translated, templates that are compiled. Nothing else is
left of it: no thread, no open file, no folder.
"""

import gc
import tempfile
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import phasegate.cli
import phasegate.report
import phasegate.services
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.report.verifier import verify_run
from phasegate.report.verify.compose import VerifierInputs
from tests.world import World, scratch

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

# Whoever is forked need not copy it.
gc.collect()
gc.freeze()
