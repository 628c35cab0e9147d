"""The index of the exports lists the files that are there, by kind and date: one object, which many writers keep."""

import json
import logging
import random
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from errno import EACCES, EPERM, EROFS
from hashlib import sha256
from threading import Lock
from time import sleep
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from phasegate.domain.errors import InputError, TransientError
from phasegate.ports import ObjectStore

FOLDER = "v1"
"""Where all exports lie; it is named after the version of their form."""

SCHEMA_VERSION: Final = 1
"""The version of their form, in each file. Whoever changes what a reader relies on raises it and names a new folder."""

INDEX = f"{FOLDER}/index.json"

WAITS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 3.2, 3.2, 3.2)
"""Seconds, at most, before each further try to write the index where another writer came first: 16 s together. Cloud
Storage takes one write a second of the same object (https://cloud.google.com/storage/quotas, 2026)."""

_log = logging.getLogger(__name__)


class Entry(BaseModel):
    """An entry says what a reader needs to fetch one file, and to tell whether it is the one that is meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    """The object's name."""
    bytes: int
    """Its length."""
    sha256: str
    """The hash of its content, in hexadecimal digits."""


class Index(BaseModel):
    """An index lists exports."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = SCHEMA_VERSION
    """The version of the form of the index and of the files."""
    exports: dict[str, dict[date, Entry]]
    """The files that are there, by kind and date."""


def export_name(kind: str, day: date) -> str:
    """Say where the export of a kind lies for a date."""
    return f"{FOLDER}/{kind}/{day}.json"


def as_json(document: object) -> bytes:
    """Write a document so that equal documents are equal bytes. Raises ValueError for what JSON cannot say (NaN)."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f"{text}\n".encode()


Export = tuple[str, date]
"""The kind and the date of a file."""


@contextmanager
def permission_explained(name: str) -> Iterator[None]:
    """Turn a refusal of the file system, which no later try mends, into an InputError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in {EACCES, EPERM, EROFS}:
            raise
        raise InputError(
            f"{name} may not be read or written: {error.strerror}. Give the worker the right to read, write and delete "
            f"below {FOLDER}/ of the object store, then retry"
        ) from error


class ExportIndex:
    """The index is brought up to date by whoever has written files. Thread-safe, and safe among processes.

    Every writer puts his files first, then reads the index and after it the files, replaces the index only if nobody
    has since, and looks whether the files are still as he listed them: the store may take an index that was replaced by
    an equal one for the one that he read. So whoever writes a file last lists it last: when all writers have ended,
    index and files agree. Where one was killed in between, they agree after his next attempt.
    """

    def __init__(self, objects: ObjectStore, kinds: Collection[str], dates: Collection[date]) -> None:
        """kinds, dates: of which exports may be there; by them an index that is gone is made again."""
        self._objects, self._kinds, self._dates = objects, kinds, dates
        self._writing = Lock()

    def bring_up_to_date(self, kind: str, days: Collection[date]) -> None:
        """List the files of a kind on these dates as they are now, and no file any more that is gone, of any kind.

        Raises TransientError where others came first each time, InputError where it may not be written.
        """
        written = {(kind, day) for day in days}
        with self._writing, permission_explained(INDEX):
            for wait in (*WAITS, None):
                generation, listed = self._listed()
                found = self._found(written)
                others = {each: entry for each, entry in listed.items() if each not in written}
                content = as_json(Index(exports=_by_kind(others | found)).model_dump(mode="json"))
                if self._objects.write_if(INDEX, content, generation) and self._found(written) == found:
                    return
                if wait is not None:
                    sleep(random.uniform(0, wait))  # noqa: S311 - it keeps writers apart, and guards nothing
        raise TransientError(
            f"{INDEX} was written by others each time that this attempt tried ({len(WAITS) + 1} times); its files are "
            "there, and the next attempt lists them"
        )

    def _listed(self) -> tuple[str | None, dict[Export, Entry]]:
        """The generation of the index, and what it lists that is there. Where there is none that can be read, whatever
        is there.
        """
        generation, index = None, None
        if held := self._objects.read_versioned(INDEX):
            content, generation = held
            try:
                index = Index.model_validate_json(content)
            except ValidationError as error:
                _log.warning("%s is made again: it cannot be read (%s)", INDEX, str(error).splitlines()[0])
        if index is None:
            return generation, self._found({(kind, day) for kind in self._kinds for day in self._dates})
        entries = {(kind, day): entry for kind, of_kind in index.exports.items() for day, entry in of_kind.items()}
        there = self._objects.held(export_name(*each) for each in entries)
        return generation, {each: entry for each, entry in entries.items() if export_name(*each) in there}

    def _found(self, exports: Collection[Export]) -> dict[Export, Entry]:
        """What is to be said of those of these files that are there now."""
        names = {each: export_name(*each) for each in exports}
        there = self._objects.held(names.values())
        found = {each: self._entry(name) for each, name in names.items() if name in there}
        return {each: entry for each, entry in found.items() if entry is not None}

    def _entry(self, name: str) -> Entry | None:
        """What is to be said of a file; None where it is gone after all."""
        try:
            content = self._objects.read(name)
        except FileNotFoundError:
            return None
        return Entry(path=name, bytes=len(content), sha256=sha256(content).hexdigest())


def _by_kind(entries: Mapping[Export, Entry]) -> dict[str, dict[date, Entry]]:
    exports: dict[str, dict[date, Entry]] = {}
    for (kind, day), entry in entries.items():
        exports.setdefault(kind, {})[day] = entry
    return exports
