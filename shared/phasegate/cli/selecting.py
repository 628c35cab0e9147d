"""Options that several commands share form groups: a command takes a group as one parameter."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints

from phasegate.cli import options
from phasegate.domain.calendar.relative_dates import AskedRange
from phasegate.domain.calendar.selection import Selection


@dataclass(frozen=True, slots=True)
class SelectingDates:
    """This group says which dates, of which pipeline and source."""

    pipeline: options.PipelineOption = None
    """The pipeline file; None: that of the settings, of the current folder, or the one used last."""

    source: options.SourceOption = None
    """The source folder; None: that of the settings, or the workers know their own."""

    season: options.SeasonOption = None
    """Seasons whose dates are selected; None: not given."""

    first: options.FromOption = None
    """The first date that is selected, YYYY-MM-DD or ``yesterday``; None: not given."""

    last: options.ToOption = None
    """The last date that is selected, YYYY-MM-DD or ``yesterday``; None: not given."""

    past: options.PastOption = None
    """How many days up to yesterday are selected, ``7d`` or ``2w``; None: not given."""

    dates: options.DatesOption = None
    """Dates that are selected by themselves, ``D,D,…`` or ``@FILE``; None: not given."""

    exclude: options.ExcludeOption = None
    """Dates that are left out, ``D,D,…`` or ``@FILE``; None: not given."""

    @property
    def names_dates(self) -> bool:
        """Tell whether dates were selected."""
        return any((self.season, self.first, self.last, self.past, self.dates, self.exclude))

    @property
    def asked_range(self) -> AskedRange:
        """Return the range as it was typed. Raises InputError for what is no date and no number of days."""
        return AskedRange(
            options.parse_asked_day(self.first, "--from") if self.first else None,
            options.parse_asked_day(self.last, "--to") if self.last else None,
            options.parse_past_days(self.past) if self.past else None,
        )

    @property
    def selection(self) -> Selection:
        """Return the dates, which are plain by now (``request.settle_dates``). Raises InputError for a malformed
        one."""
        return options.selection(self.season, self.first, self.last, self.dates, self.exclude)


@dataclass(frozen=True, slots=True)
class Selecting(SelectingDates):
    """This group says which dates and phases, of which pipeline and source."""

    phases: options.PhasesOption = None
    """The phases, ``A..B`` by name or by number from 1; None: all, or those of the profile."""

    @property
    def names_dates_or_phases(self) -> bool:
        """Tell whether dates or phases were selected."""
        return self.names_dates or bool(self.phases)


@dataclass(frozen=True, slots=True)
class OverrideOptions:
    """This group allows what is done only when it is named."""

    include_live: options.IncludeLiveOption = None
    """Selected dates inside the live window to work on all the same, ``D,D,…`` or ``@FILE``; None: no date."""

    exclude_live: options.ExcludeLiveOption = False
    """Whether selected dates inside the live window are left out."""

    allow_destructive: options.AllowDestructiveOption = None
    """Destructive processors that may run; None: no processor."""


def takes_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with the options of each group in place of the parameter that stands for it."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if (group := groups.get(parameter.name)) is None:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
        else:
            annotations = get_type_hints(group, include_extras=True)
            parameters += [
                inspect.Parameter(f.name, parameter.kind, default=f.default, annotation=annotations[f.name])
                for f in fields(group)
            ]

    @wraps(command)
    def called(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{f.name: given.pop(f.name) for f in fields(group)})
        command(**given)

    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called
