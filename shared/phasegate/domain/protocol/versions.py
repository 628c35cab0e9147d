"""Messages of a newer version are read as far as this version knows them.

While a deployment is rolled out, or back, what one version sends another one reads: tasks, completions, requests to
workers. Their layout has a number (major, ``schema_version`` where it is written down) that changes only when an older
reader would do wrong. Keys that it may ignore raise ``MINOR``: a message that has such a key says so by
``protocol_minor``. Without that, an unknown key is somebody's mistake, and refused.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

MINOR = 1
"""The newest keys that this version knows; 0 are those of the first version. A completion that has one
of them says ``protocol_minor``.

Whoever adds a key raises it by one. A worker is sent the key only when its ``/health`` names that protocol: those of
the first version refuse every key that they do not know.
"""

PROTOCOL = f"1.{MINOR}"
"""What a service's ``/health`` names."""

MINOR_KEY = "protocol_minor"

Read = TypeVar("Read", bound=BaseModel)


def read_json(model: type[Read], text: str) -> Read:
    """Read a message. Raises pydantic.ValidationError where it is none, even without what a newer version added."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        if not _is_only_unknown(error):
            raise
        return _without_newer(model, json.loads(text), error)


def read_fields(model: type[Read], fields: Mapping[str, Any]) -> Read:
    """Read the fields of a message. Raises pydantic.ValidationError, as ``read_json`` does."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        if not _is_only_unknown(error):
            raise
        return _without_newer(model, fields, error)


def _is_only_unknown(error: ValidationError) -> bool:
    return all(problem["type"] == "extra_forbidden" for problem in error.errors())


def _without_newer(model: type[Read], fields: Any, error: ValidationError) -> Read:
    """The message without its unknown keys, where it says that it is newer; else the error is raised."""
    minor = fields.get(MINOR_KEY)
    if not isinstance(minor, int) or minor <= MINOR:
        raise error
    unknown = {problem["loc"][0] for problem in error.errors() if len(problem["loc"]) == 1}
    return model.model_validate({name: value for name, value in fields.items() if name not in unknown})
