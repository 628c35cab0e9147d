"""The check ``json_schema`` reads an object and holds it against a JSON Schema of the pipeline's folder."""

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Any

from phasegate.domain.checks.subject import Finding
from phasegate.domain.foreign_text import escaped, told

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

DETAIL_KEPT = 300
"""Characters of a problem that a verdict keeps."""

PROBLEMS_COUNTED = 100
"""Problems of an object after which no more are looked for."""


def schema_problem(text: str) -> str | None:
    """Say why a text is no JSON Schema that can be used by itself; None: it is one."""
    # Imported by whoever has such a check: it takes a tenth of a second.
    from jsonschema.exceptions import SchemaError
    from referencing import Registry, Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"is no JSON: {_told(str(error))}"
    if not isinstance(schema, dict):
        return f"is no JSON Schema: an object is wanted, not a {type(schema).__name__}"
    if not isinstance(schema.get("$schema", ""), str):
        return "is no JSON Schema: `$schema` names the draft, as a text"
    if any("$id" in each for each in _subschemas(schema)):
        return "has an `$id` below its root, which would move its references: take it out"
    try:
        type(_validator(text)).check_schema(schema)
        own = Resource.from_contents(schema, default_specification=DRAFT202012)
        resolver = Registry().with_resource("", own).resolver()
        for reference in _references(schema):
            if not reference.startswith("#"):
                return f"refers to {escaped(reference[:100])}; nothing is fetched: write what it means into this file"
            resolver.lookup(reference)
        probes: tuple[Any, ...] = (None, True, 0, "", [], {})
        for probe in probes:
            next(_validator(text).iter_errors(probe), None)
    except SchemaError as error:
        return f"is no JSON Schema: at {error.json_path}: {escaped(error.message[:DETAIL_KEPT])}"
    except Unresolvable as error:
        return f"refers to what is not there: {escaped(str(error)[:DETAIL_KEPT])}"
    except RecursionError:
        return "refers to itself without end"
    except Exception as error:  # the library raises as it comes
        return f"cannot be used: {_told(told(error))}"
    return None


def fingerprint(text: str) -> str:
    """Name a schema: 12 hex digits of the SHA-256 of its text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def judge_object(text: str, content: bytes) -> Finding:
    """Hold an object against a schema. ``found`` counts its problems, of which the first is told with its place."""
    try:
        document = json.loads(content.decode("utf-8"), parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        return Finding(False, 0, 1, f"is no JSON: {_told(str(error))}")
    try:
        found = islice(_validator(text).iter_errors(document), PROBLEMS_COUNTED)
        problems = [f"at {problem.json_path}: {problem.message}" for problem in found]
    except Exception as error:  # too deep, a number too large: the library raises as it comes
        return Finding(False, 0, 1, f"cannot be held against the schema: {_told(told(error))}")
    if not problems:
        return Finding(True, 0, 0, "0 problems")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Finding(False, 0, len(problems), f"{_told(problems[0])}{more}")


@lru_cache
def _validator(text: str) -> "Validator":
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for

    schema = json.loads(text)
    made: Callable[..., Validator] = validator_for(schema, default=Draft202012Validator)
    return made(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def _references(schema: Any) -> list[str]:
    """Every ``$ref`` and ``$dynamicRef`` of a schema."""
    if isinstance(schema, dict):
        own = [schema[key] for key in ("$ref", "$dynamicRef") if isinstance(schema.get(key), str)]
        return [*own, *(each for value in schema.values() for each in _references(value))]
    return [each for value in schema for each in _references(value)] if isinstance(schema, list) else []


def _subschemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every mapping below the root of a schema."""
    waiting: list[Any] = list(schema.values())
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _finite(word: str) -> float:
    if not isfinite(number := float(word)):
        raise ValueError(f"{word[:40]} is too large a number")
    return number


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def _told(problem: str) -> str:
    return escaped(problem if len(problem) <= DETAIL_KEPT else f"{problem[: DETAIL_KEPT - 1]}…")
