"""Reads a pipeline file: YAML, then types, then names, edges and the SQL of checks.

Every error names file, path and remedy.
"""

import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from phasegate.adapters.check_sql import sql_problems
from phasegate.domain.errors import InputError
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.spec.problems import problems

MAX_BYTES = 1_000_000
MAX_SHOWN = 20
MAX_DEPTH = 50

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Strict(Loader):  # type: ignore[misc, valid-type]
    """Refuses a key that is given twice, which YAML would let the second one win."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys are all different."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' is given twice", key.start_mark
                )
            seen.add(key.value)
        return dict(super().construct_mapping(node, deep=deep))


def load_pipeline(path: Path) -> Pipeline:
    """The pipeline of a file. Raises InputError that lists what is wrong, at most 20 problems."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: larger than {MAX_BYTES:,} bytes; this is not a pipeline file")
        text = path.read_text(encoding="utf-8")
        _refuse_deep_nesting(path, text)
        document = yaml.load(text, Loader=_Strict)  # noqa: S506 - derived from SafeLoader
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such pipeline file; give one with --pipeline FILE") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: a value or key that YAML cannot make: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: a pipeline file is a mapping; see: phasegate schema")
    try:
        pipeline = Pipeline.model_validate(document)
    except ValidationError as error:
        found = [f"{path}: {_path(e['loc'])}: {_sentence(dict(e))}" for e in error.errors()]
        raise InputError(_listed(found)) from error
    wrong = [*problems(pipeline), *sql_problems(pipeline)]
    if wrong:
        raise InputError(_listed([f"{path}: {at}: {sentence}" for at, sentence in wrong]))
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return pipeline


def _refuse_deep_nesting(path: Path, text: str) -> None:
    """The C loader builds nested values by recursion: too deep a nesting would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise InputError(f"{path}: nested more than {MAX_DEPTH} levels deep; this is not a pipeline file")


def _path(location: tuple[str | int, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text or "file"


def _sentence(error: dict[str, Any]) -> str:
    kind, shown = error["type"], error.get("input")
    if kind == "extra_forbidden":
        return "unknown key; remove it, or see `phasegate schema` for the known ones"
    if kind == "missing":
        return "is required and not there"
    given = "" if isinstance(shown, dict | list) else f" (given: {shown!r})"
    return f"{error['msg']}{given}"


def _listed(found: list[str]) -> str:
    more = f"\n… and {len(found) - MAX_SHOWN} more" if len(found) > MAX_SHOWN else ""
    return "\n".join(found[:MAX_SHOWN]) + more
