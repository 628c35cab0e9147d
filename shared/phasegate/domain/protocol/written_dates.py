"""People write a date in one form, ``YYYY-MM-DD``, and a moment in one, ``YYYY-MM-DDTHH:MM[:SS][zone]``.

Python itself reads more (``20240131``, ``2024-W05-3``, a number of seconds), and a form that is accepted by accident
means what nobody has thought of.
"""

import re
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator

_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_MOMENT = f"{_DAY}T[0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\\.[0-9]{{1,6}})?)?(Z|[+-][0-9]{{2}}:[0-9]{{2}})?"


def is_day(text: str) -> bool:
    """Tell whether a text has the form of a date."""
    return re.fullmatch(_DAY, text) is not None


def read_day(text: str) -> date:
    """Return the date of ``YYYY-MM-DD``. Raises ValueError."""
    if not is_day(text):
        raise ValueError("not of the form YYYY-MM-DD")
    return date.fromisoformat(text)


def read_moment(text: str) -> datetime:
    """Return the moment of ``YYYY-MM-DDTHH:MM[:SS][Z|+HH:MM]``, without a zone where none is written. Raises
    ValueError."""
    if not re.fullmatch(_MOMENT, text):
        raise ValueError("not of the form YYYY-MM-DD, nor of YYYY-MM-DDTHH:MM with seconds and a zone if you like")
    return datetime.fromisoformat(text)


def _written_day(value: Any) -> Any:
    if isinstance(value, str):
        return read_day(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError("not of the form YYYY-MM-DD")


WrittenDay = Annotated[date, BeforeValidator(_written_day)]
"""A date of a file or a request, in its one form; YAML reads one that is not quoted as a date already."""
