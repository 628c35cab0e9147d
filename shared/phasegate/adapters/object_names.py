"""Every object store calls an object by the same names."""

from pathlib import PurePosixPath

from phasegate.domain.errors import InputError


def checked_name(name: str) -> PurePosixPath:
    """Return the name as a path below the store's root. Raises InputError for one that is none, or that leads out of
    it.
    """
    path = PurePosixPath(name)
    is_bad = path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or path.as_posix() != name
    if is_bad or name == ".":
        raise InputError(f"'{name}' is not an object name: write a relative path with forward slashes, without '..'")
    return path
