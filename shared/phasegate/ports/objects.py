"""Named blobs are what workers fetch, and what reports are kept as."""

from collections.abc import Iterable
from typing import Protocol


class ObjectStore(Protocol):
    """An object store keeps named blobs. A write is all or nothing."""

    def write(self, name: str, content: bytes) -> None:
        """Create or replace the object ``name`` (a relative path with forward slashes)."""

    def read(self, name: str) -> bytes:
        """Return the object's content. Raises FileNotFoundError when there is none."""

    def read_versioned(self, name: str) -> tuple[bytes, str] | None:
        """Return the object's content and its generation, which tells it from what stands there before and after it;
        None: there is no object.
        """

    def write_if(self, name: str, content: bytes, generation: str | None) -> bool:
        """Write only where the object still has this generation, or, with None, where there is none; tell whether its
        content stands there now. Where somebody else was quicker, nothing is written: read it anew.

        An object that has many writers is written by this method alone, or what one of them wrote is lost.
        """

    def held(self, names: Iterable[str]) -> set[str]:
        """Return those of the names under which there is an object."""

    def delete(self, names: Iterable[str]) -> set[str]:
        """Delete the objects of these names; returns those that there were. What is gone already is no error."""
