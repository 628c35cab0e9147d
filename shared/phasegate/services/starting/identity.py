"""By its identity the same request finds its unfinished run again, whoever asks and how often.

It is made of what was *given*, by flags and by the pipeline file. What was left out does not count: a key that a later
version adds, with its default, asks for nothing new.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.run import Run
from phasegate.services.starting.pipeline_keys_of_version_1 import PIPELINE_KEYS, Keys

IDENTITY_VERSION = 2
"""Raised when the dictionary of given values changes its shape: the digest before is then looked for as well."""


_MOVED = re.compile(r"^([a-z0-9_]+)_worker\.")


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """An identity is short names for one request."""

    digest: str
    """What a run that is begun now keeps as its ``request_hash``: 16 hex digits."""

    digests_of_version_1: frozenset[str]
    """What a run may keep that commit 8e42da0, or an earlier one, began for the same request."""

    def is_of(self, run: Run) -> bool:
        """Tell whether a run was begun for this request."""
        return run.request_hash == self.digest or run.request_hash in self.digests_of_version_1

    def require_same(self, run: Run) -> None:
        """Refuse a run of another request: raises InputError."""
        if not self.is_of(run):
            raise InputError(
                f"run '{run.run_id}' exists and was asked for differently (other dates, phases or pipeline file); "
                "give another run id, or leave it out"
            )


def identify(request: RunRequest, pipeline: Pipeline) -> RequestIdentity:
    """Make the identity of a request. pipeline: as its file gives it (``load_pipeline``), not as a plan has kept it."""
    values = _values_of_version_1(request, pipeline)
    moved_back = {**values, "pipeline": _with_workers_where_they_were(values["pipeline"])}
    return RequestIdentity(_digest(given_values(request, pipeline)), frozenset({_digest(values), _digest(moved_back)}))


def given_values(request: RunRequest, pipeline: Pipeline) -> dict[str, Any]:
    """Return what decides whether two requests are the same, as plain values.

    Dates and seasons are in order, whatever the order in which they were given; the source folder is absolute. Who
    asks, why, and what is named on purpose decide nothing.
    """
    selection = request.selection
    values = {
        "source": os.path.abspath(request.source) if request.source is not None else None,
        "seasons": sorted(set(selection.seasons)),
        "from": selection.first.isoformat() if selection.first else None,
        "to": selection.last.isoformat() if selection.last else None,
        "dates": sorted({day.isoformat() for day in selection.dates}),
        "exclude": sorted({day.isoformat() for day in selection.exclude}),
        "exclude_live": selection.exclude_live,
        "phases": request.phases,
        "profile": request.profile,
        "reprocess": request.reprocess,
    }
    given = {name: value for name, value in values.items() if value}
    pipeline_given = pipeline.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {"version": IDENTITY_VERSION, **given, "pipeline": pipeline_given}


def _values_of_version_1(request: RunRequest, pipeline: Pipeline) -> dict[str, Any]:
    """The dictionary that was hashed up to commit 8e42da0: defaults counted, and the order of dates."""
    return {
        "source": str(request.source),
        "selection": [_selection_of_version_1(request.selection)],
        "phases": request.phases,
        "profile": request.profile,
        "reprocess": request.reprocess,
        "pipeline": _prune(pipeline.model_dump(mode="json", by_alias=True), PIPELINE_KEYS),
    }


def _selection_of_version_1(selection: Selection) -> str:
    """What ``str`` of the dataclass was, whatever its fields are called later."""
    return (
        f"Selection(seasons={selection.seasons!r}, first={selection.first!r}, last={selection.last!r}, "
        f"dates={selection.dates!r}, exclude={selection.exclude!r}, exclude_live={selection.exclude_live!r})"
    )


def _with_workers_where_they_were(dumped: Mapping[str, Any]) -> dict[str, Any]:
    """A pipeline whose file named ``workers.x.service:build`` before that package moved beside it as ``x_worker``."""
    workers = {
        name: {**worker, "factory": _MOVED.sub(r"workers.\1.", worker["factory"]) if worker["factory"] else None}
        for name, worker in dumped["workers"].items()
    }
    return {**dumped, "workers": workers}


def _prune(value: Any, keys: Keys | None) -> Any:
    """A dumped value less the keys that are newer. keys: those of its mapping, or of each element; None: all stay."""
    if keys is None:
        return value
    if isinstance(value, list):
        return [_prune(each, keys) for each in value]
    if not isinstance(value, Mapping):
        return value
    if "*" in keys:
        return {name: _prune(each, keys["*"]) for name, each in value.items()}
    return {name: _prune(each, keys[name]) for name, each in value.items() if name in keys}


def _digest(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
