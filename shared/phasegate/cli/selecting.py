"""Options that several commands share, as groups: a command takes a group as one parameter."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints

from phasegate.cli import options
from phasegate.domain.calendar.selection import Selection


@dataclass(frozen=True, slots=True)
class Selecting:
    """Which dates and phases, of which pipeline and source."""

    pipeline: options.PipelineOption = None
    source: options.SourceOption = None
    season: options.SeasonOption = None
    first: options.FromOption = None
    last: options.ToOption = None
    dates: options.DatesOption = None
    exclude: options.ExcludeOption = None
    phases: options.PhasesOption = None

    @property
    def selection(self) -> Selection:
        """The dates. Raises InputError for a malformed one."""
        return options.selection(self.season, self.first, self.last, self.dates, self.exclude)

    @property
    def names_dates_or_phases(self) -> bool:
        """Whether anything was selected."""
        return any((self.season, self.first, self.last, self.dates, self.exclude, self.phases))


@dataclass(frozen=True, slots=True)
class OverrideOptions:
    """What is done only when it is named."""

    include_live: options.IncludeLiveOption = None
    exclude_live: options.ExcludeLiveOption = False
    allow_destructive: options.AllowDestructiveOption = None


def takes_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of each group in place of the parameter that stands for it."""
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

    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called
