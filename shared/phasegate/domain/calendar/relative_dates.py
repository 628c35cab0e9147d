"""Relative dates are words for dates that are others on another day: ``yesterday``, ``7d``.

They become plain dates when a request is taken, before anything is made of it: nothing that is stored knows the words.
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from phasegate.domain.errors import InputError
from phasegate.domain.protocol.written_dates import is_day, read_day

YESTERDAY: Literal["yesterday"] = "yesterday"
"""The date before today."""

AskedDay = date | Literal["yesterday"]
"""One end of a range, as somebody asks for it."""

_PAST = "([1-9][0-9]{0,3})([dw])"
_DAYS_OF = {"d": 1, "w": 7}


def read_asked_day(text: str) -> AskedDay:
    """Return the date of ``YYYY-MM-DD``, or ``yesterday`` as it is. Raises ValueError."""
    if text == YESTERDAY:
        return YESTERDAY
    if not is_day(text):
        raise ValueError("not of the form YYYY-MM-DD, nor yesterday")
    return read_day(text)


def read_past_days(text: str) -> int:
    """Return the days of ``7d``, or of the weeks ``2w``; at least 1. Raises ValueError, which says how to write it."""
    if not (found := re.fullmatch(_PAST, text)):
        said = f"'{text[:40]}' is not a number of days or weeks"
        raise ValueError(f"{said}; write 7d, or 2w, with a number from 1 to 9999")
    return int(found[1]) * _DAYS_OF[found[2]]


@dataclass(frozen=True, slots=True)
class AskedRange:
    """An asked range is a range of dates as somebody names it: by its ends, or by how far it goes back."""

    first: AskedDay | None = None
    """The first date, itself included; None: it is not given."""

    last: AskedDay | None = None
    """The last date, itself included; None: it is not given."""

    past_days: int | None = None
    """The range ends yesterday and has so many calendar days, with and without work; None: it is not named so."""

    @property
    def is_relative(self) -> bool:
        """Tell whether it is another range on another day."""
        return self.past_days is not None or YESTERDAY in (self.first, self.last)

    def on(self, today: date) -> tuple[date | None, date | None]:
        """Return the first and the last date that are meant on a day; None for an end that is not given.

        Raises InputError where the range is named in both ways.
        """
        yesterday = today - timedelta(days=1)
        if self.past_days is None:
            return _plain(self.first, yesterday), _plain(self.last, yesterday)
        if self.first is not None or self.last is not None:
            raise InputError("--last names the whole range, which ends yesterday; leave out --from and --to, or --last")
        return today - timedelta(days=self.past_days), yesterday


def _plain(asked: AskedDay | None, yesterday: date) -> date | None:
    return yesterday if asked == YESTERDAY else asked
