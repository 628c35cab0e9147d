"""Objects lie in a Cloud Storage bucket here."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from google.api_core.exceptions import NotFound, PreconditionFailed
from google.cloud.storage import Blob, Client
from google.cloud.storage.retry import DEFAULT_RETRY

from phasegate.adapters.gcp.http.errors import HTTP_ERRORS, is_transient, message_of
from phasegate.domain.errors import InputError, TransientError
from phasegate.domain.protocol.object_names import checked_name

RETRY = DEFAULT_RETRY.with_timeout(60.0)
"""The library's own retry (exponential, jittered), bounded in seconds. Every call here may be made again: a write puts
the same content under the same name, and needs no precondition on the object's generation for that; one that has a
precondition is refused where it has succeeded before."""

PAGE = 1_000
"""Names in one answer to a listing, at most (https://cloud.google.com/storage/docs/json_api/v1/objects/list, 2026)."""


CALLS_AT_ONCE = 8
"""Threads of ``delete``, which has no call for many. Fewer than the client keeps connections."""


class GcsObjectStore:
    """The store keeps named blobs in one bucket, which must exist.

    A write is one upload: a reader sees the old content or the new. Thread-safe; the last of two writers of one name
    wins. Raises TransientError for what a later try may mend, InputError for a bucket that is missing or closed.
    """

    def __init__(self, client: Client, bucket: str) -> None:
        self._client, self._bucket = client, client.bucket(bucket)

    def write(self, name: str, content: bytes) -> None:
        """Create or replace an object. Raises InputError for a bad name."""
        with self._errors_explained():
            blob = self._bucket.blob(str(checked_name(name)))
            blob.upload_from_string(content, content_type="application/octet-stream", retry=RETRY)

    def read(self, name: str) -> bytes:
        """Return the object's content. Raises FileNotFoundError when there is none, InputError for a bad name."""
        with self._errors_explained():
            try:
                return bytes(self._bucket.blob(str(checked_name(name))).download_as_bytes(retry=RETRY))
            except NotFound as error:
                raise FileNotFoundError(f"gs://{self._bucket.name}/{name} is not there") from error

    def read_versioned(self, name: str) -> tuple[bytes, str] | None:
        """See the port: the generation is Cloud Storage's own."""
        with self._errors_explained():
            blob = self._bucket.blob(str(checked_name(name)))
            try:
                content = bytes(blob.download_as_bytes(retry=RETRY))
            except NotFound:
                return None
            return content, str(blob.generation)

    def write_if(self, name: str, content: bytes, generation: str | None) -> bool:
        """See the port. An upload whose answer was lost is tried again and meets itself: what stands there then is
        looked at.
        """
        with self._errors_explained():
            blob = self._bucket.blob(str(checked_name(name)))
            expected = 0 if generation is None else int(generation)
            try:
                blob.upload_from_string(
                    content, content_type="application/octet-stream", if_generation_match=expected, retry=RETRY
                )
            except PreconditionFailed:
                found = self.read_versioned(name)
                return found is not None and found[0] == content
            return True

    def held(self, names: Iterable[str]) -> set[str]:
        """Return those of the names under which there is an object.

        Walks the names in order with listings that begin at the next one asked for: a call settles at least one name,
        and a thousand where they stand close together.
        """
        asked = sorted({str(checked_name(name)) for name in names})
        found: set[str] = set()
        position = 0
        with self._errors_explained():
            while position < len(asked):
                page = self._list(asked[position], asked[-1])
                found.update(page)
                if len(page) < PAGE:
                    break
                position = bisect_right(asked, page[-1])
        return found.intersection(asked)

    def delete(self, names: Iterable[str]) -> set[str]:
        """Delete the objects of these names, a call each; returns those that there were.

        In a bucket that keeps versions the last one can be brought back.
        """
        blobs = {name: self._bucket.blob(str(checked_name(name))) for name in names}
        with ThreadPoolExecutor(CALLS_AT_ONCE) as threads:
            was_there = threads.map(self._delete, blobs.values())
            return {name for name, there in zip(blobs, was_there, strict=True) if there}

    def _delete(self, blob: Blob) -> bool:
        with self._errors_explained():
            try:
                blob.delete(retry=RETRY)
            except NotFound:
                return False
            return True

    def _list(self, first: str, last: str) -> list[str]:
        blobs = self._client.list_blobs(
            self._bucket,
            start_offset=first,
            end_offset=f"{last}\0",
            max_results=PAGE,
            fields="items(name),nextPageToken",
            retry=RETRY,
        )
        return [blob.name for blob in blobs]

    @contextmanager
    def _errors_explained(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except HTTP_ERRORS as error:
            said = message_of(error)
            if is_transient(error):
                raise TransientError(f"the bucket {self._bucket.name} did not answer: {said}") from error
            raise InputError(
                f"the bucket {self._bucket.name} cannot be used: {said}. Create it, or set PHASEGATE_BUCKET, and grant "
                "the account roles/storage.objectUser on it"
            ) from error
