"""Every object store calls an object by the same names, and some of them are Phasegate's own."""

from pathlib import PurePosixPath

from phasegate.domain.errors import InputError

RECORDS = ("rollbacks", "reports")
"""Folders of the object store in which Phasegate keeps its own records."""

UNFINISHED = ".unfinished-"
"""How the name of a file begins that a folder store is still writing; one that was left behind is deleted."""

LINES = f"{UNFINISHED}lines"
"""The folder beside a warehouse's file that holds rows on their way into it."""

LONGEST_NAME = 1_000
"""Characters of a whole name (Cloud Storage: 1,024 bytes)."""

LONGEST_PART = 200
"""Characters between two slashes (file systems: 255 bytes)."""


def checked_name(name: str) -> PurePosixPath:
    """Return the name as a path below the store's root. Raises InputError for one that is none, or that leads out of
    it.
    """
    path = PurePosixPath(name)
    is_bad = path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or path.as_posix() != name
    if is_bad or name == ".":
        raise InputError(f"'{name}' is not an object name: write a relative path with forward slashes, without '..'")
    return path


def output_name_problem(name: str) -> str | None:
    """Say why no processor may write an object of this name; None: it may."""
    try:
        path = checked_name(name)
    except InputError as error:
        return str(error)
    if path.parts[0] in RECORDS:
        return f"'{path.parts[0]}/' holds Phasegate's own records; choose another folder"
    if any(part.startswith(UNFINISHED) for part in path.parts):
        return f"no part of it may begin with '{UNFINISHED}': such files are unfinished ones, and are deleted"
    if len(name) > LONGEST_NAME or max(map(len, path.parts)) > LONGEST_PART:
        return f"is too long: at most {LONGEST_NAME} characters, and {LONGEST_PART} between two slashes"
    return None
