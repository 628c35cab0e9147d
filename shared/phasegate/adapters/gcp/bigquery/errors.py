"""BigQuery's errors become errors on which a person, or a retry, can act."""

import re

from google.api_core.exceptions import Forbidden, GoogleAPICallError, NotFound
from google.auth.exceptions import GoogleAuthError

from phasegate.adapters.gcp.http.errors import is_transient, message_of, reason_of
from phasegate.domain.errors import (
    InputError,
    PhasegateError,
    ReadsTooMuch,
    StatementRefused,
    TableNotThere,
    TransientError,
)

_CROWDED = (
    "Too many DML statements",
    "Transaction is aborted due to concurrent",
    "Could not serialize access",
    "rows in the streaming buffer",
)
"""How BigQuery words a statement that met others on its table, or rows that were streamed in and cannot be changed for
up to 90 minutes; the reason it gives is that of a wrong statement."""


def may_be_of_a_value(error: BaseException | None) -> bool:
    """Tell whether an error may be that of a value: BigQuery gives the same reason for it as for a wrong statement."""
    return isinstance(error, GoogleAPICallError) and reason_of(error) == "invalidQuery"


def explained(error: Exception, max_bytes_billed: int) -> PhasegateError:
    """Return what to raise for an error of the BigQuery client: TransientError when a later try may mend it,
    ReadsTooMuch when a person has to allow more, else InputError.

    max_bytes_billed: the limit under which the statement ran, for the message.
    """
    said = message_of(error)
    if is_transient(error) or any(words in said for words in _CROWDED):
        return TransientError(f"BigQuery could not finish the statement: {said}")
    if reason_of(error) == "bytesBilledLimitExceeded":
        return ReadsTooMuch(
            f"the statement would read more than PHASEGATE_MAX_BYTES_BILLED allows ({max_bytes_billed} bytes), and was "
            f"not run: bound it by date, or raise the setting (max_bytes_billed in Terraform). BigQuery says: {said}"
        )
    if isinstance(error, NotFound):
        return InputError(f"{said}. Create the tables first, or correct the name")
    if isinstance(error, GoogleAuthError):
        return InputError(f"no credentials for BigQuery: {said}. Run: gcloud auth application-default login")
    if isinstance(error, Forbidden):
        return InputError(
            f"{said}. Grant the account roles/bigquery.jobUser on the project, and roles/bigquery.dataEditor on the "
            "dataset (dataViewer where it only reads)"
        )
    return InputError(f"BigQuery refused the statement: {said}")


_PLACE = re.compile(r"\s*\bat \[(\d+):(\d+)\]")
_NO_TABLE = re.compile(r"[Tt]able (?:not found: )?(?:[\w-]+[:.])?(\w+\.\w+)")


def refused(error: InputError) -> StatementRefused:
    """Return what BigQuery said of a statement that it does not bind, with the place that it names in it."""
    if isinstance(error, StatementRefused):
        return error
    said = str(error)
    place = _PLACE.search(said)
    line, column = (int(place[1]), int(place[2])) if place else (None, None)
    sentence = _PLACE.sub("", said)
    if "not found" in said.lower() and (table := _NO_TABLE.search(said)):
        return TableNotThere(table[1], sentence, line, column)
    return StatementRefused(sentence, line, column)
