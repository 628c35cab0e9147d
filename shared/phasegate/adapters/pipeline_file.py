"""A pipeline file is read as YAML, then as types, then for its names, edges, and the SQL of its checks and processors.

Every error names file, line and column, path and remedy.
"""

import math
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from phasegate.adapters.check_sql import sql_problems
from phasegate.adapters.gcp.firestore.largest_date import MOST_BYTES, largest_date
from phasegate.adapters.schema_files import read_json_schemas
from phasegate.adapters.sql_files import read_sql_files, sql_file_problems
from phasegate.adapters.yaml_document import Part, YamlDocument, YamlProblem
from phasegate.domain.errors import InputError
from phasegate.domain.messages.tasks import MOST_TASK_BYTES, largest_payload
from phasegate.domain.spec.pipeline import JSON_SCHEMAS, SCHEMA_TEXTS, SQL_FILES, Pipeline, did_you_mean
from phasegate.domain.spec.problems import problems
from phasegate.domain.spec.strict import FORMER_NAMES, SQL_PATH

MAX_BYTES = 1_000_000
MAX_SHOWN = 20
LARGEST_WHOLE = 2**53
"""Beyond it readers of JSON disagree on whole numbers."""

_UNKNOWN = "unknown key"
_FORMER_SPELLINGS = {name: former for former, name in FORMER_NAMES.items()}
_KIND_KEYS = ("check", "kind")
"""The keys by which a mapping of the file says what it is."""


def load_pipeline(path: Path) -> Pipeline:
    """Return the pipeline of a file. Raises InputError that lists what is wrong, at most 20 problems."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: larger than {MAX_BYTES:,} bytes; this is not a pipeline file")
        document = YamlDocument(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such pipeline file; give one with --pipeline FILE") from error
    except YamlProblem as error:
        raise InputError(f"{path}:{error.place}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if not isinstance(document.content, dict):
        raise InputError(f"{path}: a pipeline file is a mapping; see: phasegate schema")
    if numbers := list(_numbers_that_are_not_kept(document.content, [], set())):
        raise InputError(_listed(path, document, numbers))
    if added := [key for key in (SQL_FILES, SCHEMA_TEXTS, JSON_SCHEMAS) if key in document.content]:
        raise InputError(_listed(path, document, [([key], _unknown_key(document.content, [key])) for key in added]))
    try:
        pipeline = Pipeline.model_validate(document.content)
    except ValidationError as error:
        raise InputError(_listed(path, document, _wrong_values(document, error))) from error
    selects, schemas, unread = read_sql_files(pipeline, path.parent)
    json_schemas, unsound = read_json_schemas(pipeline, path.parent)
    if selects or schemas or json_schemas:
        texts = {SQL_FILES: selects, SCHEMA_TEXTS: schemas, JSON_SCHEMAS: json_schemas}
        pipeline = pipeline.model_copy(update=texts)
    found = (*problems(pipeline), *sql_problems(pipeline), *unread, *unsound)
    # What the SQL of a processor may name hangs on the gates, which are right only where nothing else is wrong.
    wrong = [(_parts(at), sentence) for at, sentence in found or sql_file_problems(pipeline)]
    if wrong := wrong or list(_too_large(pipeline)):
        raise InputError(_listed(path, document, wrong))
    return pipeline


def _too_large(pipeline: Pipeline) -> Iterator[tuple[list[Part], str]]:
    """(path, sentence) for what Firestore or Cloud Tasks would not take."""
    if (size := largest_date(pipeline)) > MOST_BYTES:
        tasks = sum(len(phase.processors) for phase in pipeline.phases)
        yield (
            ["phases"],
            f"what can happen on one date takes {size:,} bytes, and its document in Firestore holds {MOST_BYTES:,}: "
            f"{tasks} processors are too many, or have too many retries or checks; take some out, or make two "
            "pipelines",
        )
    for p, phase in enumerate(pipeline.phases):
        for i, processor in enumerate(phase.processors):
            if (size := largest_payload(pipeline, phase, processor)) > MOST_TASK_BYTES:
                at: list[Part] = ["processors", i] if processor.batch else ["dispatch"]
                yield (
                    ["phases", p, *at, "batch", "dates"],
                    f"so many dates of '{processor.name}' take {size:,} bytes with the attempts of its "
                    f"{len(processor.needs)} needs, and a Cloud Task holds {MOST_TASK_BYTES:,}; fewer dates",
                )


def place_in_file(path: Path, at: str, line: int | None = None, column: int | None = None) -> str:
    """Return ``file:line:column`` of a value of a pipeline file that was loaded.

    at: its path (``phases[2].checks[0].query``). line, column: a place in the value's text, where it is one; else, and
    where the text is not written as it is, its key is meant.
    """
    try:
        document = YamlDocument(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"{path}: {at}"
    parts = _parts(at)
    place = None if line is None or column is None else document.place_of_text(parts, line, column)
    return f"{path}:{place or document.place(parts, _FORMER_SPELLINGS)}"


def _numbers_that_are_not_kept(content: Any, path: list[Part], seen: set[int]) -> Iterator[tuple[Sequence[Part], str]]:
    """(path, sentence) for each number that no stored plan could give back, wherever it stands.

    seen: what was looked into already; an anchor of YAML may stand in many places, or in itself.
    """
    if isinstance(content, dict | list):
        if id(content) not in seen:
            seen.add(id(content))
            for part, value in content.items() if isinstance(content, dict) else enumerate(content):
                yield from _numbers_that_are_not_kept(value, [*path, part], seen)
    elif isinstance(content, float) and not math.isfinite(content):
        yield path, f"{content} is no number that a plan can keep; write a finite one"
    elif isinstance(content, int) and abs(content) > LARGEST_WHOLE:
        yield path, f"{_shortened(content)} is beyond {LARGEST_WHOLE:,}; write a smaller number"


def _shortened(number: int) -> str:
    return f"a number of about 2 to the power of {number.bit_length()}"


def _wrong_values(document: YamlDocument, error: ValidationError) -> list[tuple[Sequence[Part], str]]:
    """(path in the file, sentence) for each value of a wrong type, and each key that is missing or unknown.

    Unknown keys come first: what is missing is often there under one of them.
    """
    found: list[tuple[Sequence[Part], str]] = []
    for problem in error.errors():
        at = _path_in(document.content, problem["loc"])
        if problem["type"] == "union_tag_not_found":
            found.append(_without_kind(document.content, at, problem["ctx"]["discriminator"].strip("'")))
        else:
            found.append((at, _sentence(dict(problem), document.content, at)))
    return sorted(found, key=lambda each: not each[1].startswith(_UNKNOWN))


def _without_kind(content: Any, path: Sequence[Part], key: str) -> tuple[Sequence[Part], str]:
    """(path, sentence) for a mapping that does not say what it is, or says it under a misspelt key."""
    for part in path:
        content = _inside(content, part)
    if near := get_close_matches(key, list(content), n=1, cutoff=0.7):
        return [*path, near[0]], f"{_UNKNOWN}; did you mean '{key}'?"
    return [*path, key], "is required and not there"


def _path_in(content: Any, location: Sequence[Part]) -> list[Part]:
    """The path of a value in the file: without the names of kinds that pydantic puts between the keys."""
    path: list[Part] = []
    told_apart = False
    for part in location:
        if not told_apart and isinstance(content, dict) and part in [content.get(key) for key in _KIND_KEYS]:
            told_apart = True
            continue
        told_apart = False
        path.append(part)
        content = _inside(content, part)
    return path


def _inside(content: Any, part: Part) -> Any:
    if isinstance(content, dict):
        return content.get(part)
    return content[part] if isinstance(content, list) and isinstance(part, int) and part < len(content) else None


def _parts(path: str) -> list[Part]:
    """The parts of ``phases[2].gates[0].phase``."""
    return [int(n) if n else key for n, key in re.findall(r"\[(\d+)\]|([^.\[\]]+)", path)]


def _written(path: Sequence[Part]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text or "file"


def _sentence(error: dict[str, Any], content: Any, path: Sequence[Part]) -> str:
    kind, shown = error["type"], error.get("input")
    if kind == "extra_forbidden":
        return _unknown_key(content, path)
    if kind == "missing":
        return "is required and not there"
    if kind == "union_tag_invalid":
        tag, known = error["ctx"]["tag"], re.findall(r"'(\w+)'", error["ctx"]["expected_tags"])
        return f"unknown {error['ctx']['discriminator'].strip(chr(39))} '{tag}'{did_you_mean(tag, known)}"
    given = "" if isinstance(shown, dict | list) else f" (given: {shown!r})"
    if kind == "string_pattern_mismatch" and error["ctx"]["pattern"] == SQL_PATH:
        return f"write a file below the folder of this file, such as sql/totals.sql{given}"
    return f"{error['msg']}{given}"


def _unknown_key(content: Any, path: Sequence[Part]) -> str:
    key = str(path[-1])
    known = set(_known_keys(content, path[:-1])) - {key}  # Of another kind than the mapping is by its other keys.
    if (name := FORMER_NAMES.get(key)) in known:
        return f"is the former name of '{name}', which is given too; remove one of them"
    hint = did_you_mean(key, known)
    return (
        f"{_UNKNOWN}{hint}"
        if hint.startswith("; did")
        else f"{_UNKNOWN}; remove it, or see `phasegate schema` for the known ones"
    )


def _known_keys(content: Any, path: Sequence[Part]) -> Iterator[str]:
    """The keys that may stand in the mapping at a path."""
    root = Pipeline.model_json_schema(by_alias=True)
    schema = _settled(root, root, content)
    for part in path:
        content = _inside(content, part)
        inner = schema.get("items") if isinstance(part, int) else schema.get("properties", {}).get(part)
        if inner is None:
            inner = next(iter(schema.get("patternProperties", {}).values()), {})
        schema = _settled(root, inner, content)
    for key, value in schema.get("properties", {}).items():
        if not value.get("deprecated"):
            yield key


def _settled(root: dict[str, Any], schema: dict[str, Any], content: Any) -> dict[str, Any]:
    """The schema of one mapping, where there is a choice that of what the content says it is."""
    while True:
        if "$ref" in schema:
            schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
        elif "discriminator" in schema:
            kinds = schema["discriminator"]
            kind = content.get(kinds["propertyName"]) if isinstance(content, dict) else None
            schema = {"$ref": kinds["mapping"][kind]} if kind in kinds["mapping"] else {}
        elif "anyOf" in schema:
            given = set(content) if isinstance(content, dict) else set()
            choices = [_settled(root, each, content) for each in schema["anyOf"]]
            schema = max(choices, key=lambda each: len(given & set(each.get("properties", ()))))
        else:
            return schema


def _listed(path: Path, document: YamlDocument, found: Sequence[tuple[Sequence[Part], str]]) -> str:
    lines = [f"{path}:{document.place(at, _FORMER_SPELLINGS)}: {_written(at)}: {sentence}" for at, sentence in found]
    more = f"\n… and {len(lines) - MAX_SHOWN} more" if len(lines) > MAX_SHOWN else ""
    return "\n".join(lines[:MAX_SHOWN]) + more
