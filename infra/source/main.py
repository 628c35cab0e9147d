"""The ``main.py`` that Google's buildpack looks for at the root of the source: what a deployed function loads first.

All functions, and workers that are deployed with them, are built from one source. ``FUNCTION_TARGET`` says which one
this is, and ``PHASEGATE_WORKER_FILE`` where the module of a worker lies. No other module of a function is loaded: each
configures its own process.
"""

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

ROOT = Path(__file__).resolve().parent
TARGET = os.environ["FUNCTION_TARGET"]
FILE = ROOT / os.environ.get("PHASEGATE_WORKER_FILE", f"functions/{TARGET}/main.py")

if "PHASEGATE_WORKER_FILE" in os.environ:
    # A pipeline's worker imports its own modules from the folder of its pipeline file: pipelines/<name>.
    sys.path.insert(0, str(ROOT.joinpath(*FILE.relative_to(ROOT).parts[:2])))
spec = spec_from_file_location(f"target_{TARGET}", FILE)
if spec is None or spec.loader is None:
    raise ImportError(f"{FILE}: no such module for the target {TARGET}")
module = module_from_spec(spec)
sys.modules[spec.name] = module
spec.loader.exec_module(module)
globals()[TARGET] = getattr(module, TARGET)
