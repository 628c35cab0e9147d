"""Objects are files below a folder here."""

import errno
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from phasegate.domain.errors import HaltError, InputError
from phasegate.domain.protocol.object_names import UNFINISHED, checked_name


class FolderObjectStore:
    """The store keeps named blobs below ``root``, which is created when first written to.

    A write goes to a temporary file beside its target and is moved over it: a reader sees the old content or the
    new, whatever dies. Thread-safe; the last of two writers of one name wins.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, name: str, content: bytes) -> None:
        """Create or replace an object. Raises InputError for a bad name, HaltError on a full disk."""
        target = self._path(name)
        if not target.parent.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(prefix=UNFINISHED, dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(unfinished, target)
        except BaseException as error:
            Path(unfinished).unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise HaltError(
                    f"the disk of {self._root} is full: make room, then run the same command again"
                ) from error
            raise

    def read(self, name: str) -> bytes:
        """Return the object's content. Raises FileNotFoundError when there is none, InputError for a bad name or a file
        that may not be read.
        """
        path = self._path(name)
        try:
            return path.read_bytes()
        except (PermissionError, IsADirectoryError) as error:
            raise _unreadable(path, error) from error

    def read_versioned(self, name: str) -> tuple[bytes, str] | None:
        """See the port: the generation is the SHA-256 of the content. Content that was written anew in between, and is
        the same, is the same generation: whoever writes over it has read it.
        """
        try:
            content = self.read(name)
        except FileNotFoundError:
            return None
        return content, hashlib.sha256(content).hexdigest()

    def write_if(self, name: str, content: bytes, generation: str | None) -> bool:
        """See the port. Writers in all processes of this machine come one after the other."""
        with self._alone():
            found = self.read_versioned(name)
            if (found and found[1]) != generation:
                return found is not None and found[0] == content
            self.write(name, content)
            return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The only one who writes under a condition: the system frees the lock when its holder dies."""
        self._root.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._root, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def held(self, names: Iterable[str]) -> set[str]:
        """Return those of the names under which there is an object. Raises InputError for a folder that may not be
        read."""
        held: set[str] = set()
        for name in names:
            path = self._path(name)
            try:
                if path.is_file():
                    held.add(name)
            except PermissionError as error:
                raise _unreadable(path, error) from error
        return held

    def delete(self, names: Iterable[str]) -> set[str]:
        """Delete the objects of these names; returns those that there were."""
        there = self.held(names)
        for name in there:
            self._path(name).unlink(missing_ok=True)
        return there

    def _path(self, name: str) -> Path:
        return self._root / checked_name(name)


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be read: {error.strerror}; give whoever runs this the right to")
