"""Objects as files below a folder."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from shared.domain.errors import InputError

_UNFINISHED = ".unfinished-"


class FolderObjectStore:
    """Named blobs below ``root``, which is created when first written to.

    A write goes to a temporary file beside its target and is moved over it: a reader sees the old content or the
    new, whatever dies. Thread-safe; the last of two writers of one name wins.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, name: str, content: bytes) -> None:
        """Create or replace an object. Raises InputError for a name that leaves the folder."""
        target = self._path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(prefix=_UNFINISHED, dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(unfinished, target)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise

    def read(self, name: str) -> bytes:
        """The object's content. Raises FileNotFoundError when there is none, InputError for a bad name."""
        return self._path(name).read_bytes()

    def names(self, prefix: str) -> Iterator[str]:
        """Names that begin with ``prefix`` (``""`` for all), sorted."""
        found = (path for path in self._root.rglob("*") if path.is_file() and not path.name.startswith(_UNFINISHED))
        names = (path.relative_to(self._root).as_posix() for path in found)
        yield from sorted(name for name in names if name.startswith(prefix))

    def _path(self, name: str) -> Path:
        path = PurePosixPath(name)
        is_bad = path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or path.as_posix() != name
        if is_bad or name == ".":
            raise InputError(
                f"'{name}' is not an object name: write a relative path with forward slashes, without '..'"
            )
        return self._root / path
