"""What a deployed function loads first: the ``main.py`` that Google's buildpack looks for at the root of the source.

All functions, and workers that are deployed with them, are built from one source; ``FUNCTION_TARGET`` says which one
this is. Its module is loaded here, and no other: each configures its own process.
"""

import os
from importlib import import_module
from importlib.util import find_spec

TARGET = os.environ["FUNCTION_TARGET"]
_FOLDER = "functions" if find_spec(f"functions.{TARGET}") else "workers"

globals()[TARGET] = getattr(import_module(f"{_FOLDER}.{TARGET}.main"), TARGET)
