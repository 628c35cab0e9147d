"""A factory is what a pipeline file names in Python (``module:callable``): it is looked for beside the file first, then
on Python's path.

A process keeps one module per name. So two pipelines whose folders hold modules of the same name cannot both be loaded
in one process: the second is refused, for it would run the code of the first.
"""

import importlib
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from threading import RLock
from typing import Any, NamedTuple

from phasegate.domain.errors import InputError, PhasegateError
from phasegate.domain.foreign_text import is_interruption, told
from phasegate.domain.spec.pipeline import did_you_mean

CHECKOUT = Path(__file__).resolve().parents[3]
"""The project's own folder, when it runs from a checkout."""

_FORMER_WORKER = re.compile(r"workers\.(\w+)\.(.+)")
"""Before a pipeline was a folder, the worker of ``pipelines/NAME`` was the package ``workers.NAME`` of the checkout."""

_FORMER_MODULES = {
    "shared.domain.worker_protocol": "phasegate.worker",
    "shared.domain.events": "phasegate.domain.messages.completion",
    "shared.adapters.gcp.warehouse": "phasegate.adapters.gcp.bigquery.warehouse",
    "shared.adapters.gcp.leases": "phasegate.adapters.gcp.firestore.leases",
}
"""Modules that a service may import and that moved inside the package, beside its new name."""

_lock = RLock()
_folders: dict[Path, bool] = {}
"""Folders from which pipelines were loaded in this process -> whether they were put on Python's path for that."""


class FoundModule(NamedTuple):
    """A found module is the code behind a factory, not run yet."""

    module: str
    """Its full name; another one than was asked for when it moved."""
    file: Path
    """Its source file."""
    folder: Path | None
    """The folder that has to be on Python's path for it; None when it is there already."""


def load_factory(pipeline_file: Path | None, factory: str) -> Callable[..., Any]:
    """Return the callable behind ``module:callable``. Its module is run, with the pipeline's folder first on Python's
    path.

    pipeline_file: None for a pipeline that was read from no file. Raises InputError that names what was searched,
    and what was wrong.
    """
    attribute = factory.partition(":")[2]
    with _lock:
        found = find_factory(pipeline_file, factory)
        if found.folder is not None:
            _put_on_path(found.folder, factory)
        _refuse_another(found, factory)
        try:
            module = importlib.import_module(found.module)
            made: Callable[..., Any] | None = getattr(module, attribute, None)
        except BaseException as error:
            if is_interruption(error):
                raise
            raise InputError(f"cannot load {factory}: {_reason(error)}; {_searched(pipeline_file)}") from error
        _refuse_another(found, factory)
    if not callable(made):
        what = "no callable" if attribute in vars(module) else "not there"
        known = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise InputError(
            f"cannot load {factory}: '{attribute}' is {what} in {found.file}{did_you_mean(attribute, known)}"
        )
    return made


def call_factory(factory: str, make: Callable[..., Any], *given: object) -> Any:
    """Return what a loaded factory makes. Raises InputError for whatever it raises but our own errors."""
    try:
        return make(*given)
    except BaseException as error:
        if isinstance(error, PhasegateError) or is_interruption(error):
            raise
        raise InputError(f"{factory} raised {told(error)}") from error


def find_factory(pipeline_file: Path | None, factory: str) -> FoundModule:
    """Say where the module of ``module:callable`` lies. Raises InputError that names the folders that were searched."""
    module = factory.partition(":")[0]
    importlib.invalidate_caches()
    for name, folder in _places(_folder_of(pipeline_file), module):
        if (spec := _spec(name, folder)) is not None and spec.origin is not None:
            return FoundModule(name, Path(spec.origin), folder)
    raise InputError(f"cannot load {factory}: there is no module {module}; {_searched(pipeline_file)}")


def _folder_of(pipeline_file: Path | None) -> Path | None:
    return pipeline_file.resolve().parent if pipeline_file is not None else None


def _places(folder: Path | None, module: str) -> Iterator[tuple[str, Path | None]]:
    """(name, folder) in the order of the search; None: Python's path."""
    for name in (module, *_moved(module)):
        if folder is not None:
            yield name, folder
        yield name, None
    if former := _FORMER_WORKER.fullmatch(module):
        yield _moved(module)[0], CHECKOUT / "pipelines" / former[1]


def _moved(module: str) -> tuple[str, ...]:
    """The name of today for a worker's module of a plan, or of a copy of a pipeline file, from before the move."""
    former = _FORMER_WORKER.fullmatch(module)
    return (f"{former[1]}_worker.{former[2]}",) if former else ()


def _spec(module: str, folder: Path | None) -> ModuleSpec | None:
    """What Python would load under a name, found without running any of it; None when there is no such module."""
    top, *inside = module.split(".")
    spec = _on_path(top) if folder is None else PathFinder.find_spec(top, [str(folder)])
    for part in inside:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{part}", list(spec.submodule_search_locations))
    return spec


def _on_path(top: str) -> ModuleSpec | None:
    """A top-level module of Python's path; what lies in the folder of another pipeline is none of it."""
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    origin = spec.origin if spec is not None else None
    others = [folder for folder, was_put in _folders.items() if was_put]
    return None if origin is not None and any(Path(origin).is_relative_to(folder) for folder in others) else spec


def _put_on_path(folder: Path, factory: str) -> None:
    """Let the code of a pipeline's folder find what lies beside it, from now on. Raises InputError."""
    for other in _folders:
        if other != folder and (both := sorted(_names(folder) & _names(other))):
            raise InputError(
                f"cannot load {factory}: {folder} and {other}, from which a pipeline was loaded in this process "
                f"before, both have a module '{both[0]}'; rename one, or run them in processes of their own"
            )
    _folders.setdefault(folder, str(folder) not in sys.path)
    if sys.path[:1] != [str(folder)]:
        sys.path[:] = [str(folder), *(entry for entry in sys.path if entry != str(folder))]


def _names(folder: Path) -> set[str]:
    return {module.name for module in iter_modules([str(folder)])}


def _refuse_another(found: FoundModule, factory: str) -> None:
    """Raises InputError when this process has other code under the name of the factory's package."""
    parts = found.module.split(".")
    for n in range(1, len(parts) + 1):
        name = ".".join(parts[:n])
        spec = _spec(name, found.folder) if found.folder is not None else None
        loaded = getattr(sys.modules.get(name), "__file__", None)
        if spec and spec.origin and loaded and Path(loaded).resolve() != Path(spec.origin).resolve():
            raise InputError(
                f"cannot load {factory}: this process has loaded another '{name}' before, from {loaded}, and not from "
                f"{spec.origin}; rename one, or run them in processes of their own"
            )


def _searched(pipeline_file: Path | None) -> str:
    path = ", ".join(str(Path(entry or ".").absolute()) for entry in sys.path)
    folder = _folder_of(pipeline_file)
    first = f"{folder} (the folder of {pipeline_file.name}), then " if pipeline_file is not None else ""
    return f"searched: {first}Python's path: {path}"


def _reason(error: BaseException) -> str:
    """What went wrong while a module was run, where, and for an import of before what to write now."""
    ours = (__file__, importlib.__file__)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in ours and not frame.filename.startswith("<frozen")
    ]
    at = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    advice = _former_import(error, frames[-1].line or "") if frames and isinstance(error, ImportError) else ""
    return f"{told(error)}{at}{advice}"


def _former_import(error: ImportError, statement: str) -> str:
    """``; write …`` for a statement that imports what had another name before, else nothing."""
    missing = error.name or ""
    if missing.partition(".")[0] == "shared" and (written := re.search(r"\bshared(\.\w+)*", statement)):
        now = _FORMER_MODULES.get(written[0], f"phasegate{written[0].removeprefix('shared')}")
        if _spec(now, None) is not None:
            return f"; Phasegate's package `shared` is called `phasegate` now: write `from {now} import …`"
    if missing.partition(".")[0] == "workers" and (written := re.search(r"\bworkers\.(\w+)(\.\w+)*", statement)):
        module = f"{written[1]}_worker{written[0].removeprefix(f'workers.{written[1]}')}"
        return f"; `{written[0]}` lies in pipelines/{written[1]} now: write `from {module} import …`"
    return ""
