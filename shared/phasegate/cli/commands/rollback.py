"""The command rollback shows what a phase left behind on some dates, and with ``--yes`` deletes it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasegate.cli import options
from phasegate.cli.backend import CommandBackend
from phasegate.cli.output import show, write_json
from phasegate.cli.request import settle_dates
from phasegate.cli.selecting import SelectingDates, takes_groups
from phasegate.cli.session import Session
from phasegate.domain.calendar.selection import Selection

if TYPE_CHECKING:
    from phasegate.domain.operations.overrides import Overrides
    from phasegate.domain.operations.rollback import Scope
    from phasegate.report.rollback import Words

PhaseOption = Annotated[str | None, typer.Option("--phase", help="Its name, or number from 1; A..B for several.")]
ProcessorOption = Annotated[
    list[str] | None, typer.Option("--processor", help="Only what this processor of the phase wrote (repeatable).")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Delete; without it nothing is.")]
ReasonOption = Annotated[str, typer.Option("--why", help="The reason, kept with the record.")]


def register(app: typer.Typer) -> None:
    """Add the command of this module."""

    @app.command()
    @takes_groups
    def rollback(
        context: typer.Context,
        chosen: SelectingDates,
        phase: PhaseOption = None,
        processor: ProcessorOption = None,
        include_live: options.IncludeLiveOption = None,
        exclude_live: options.ExcludeLiveOption = False,
        yes: YesOption = False,
        why: ReasonOption = "",
        by: options.ByOption = None,
        as_json: options.JsonOption = False,
    ) -> None:
        """Show what a phase left behind on these dates, by output, and what was built from it; --yes deletes it.

        No run is changed: the command that is printed makes all of it anew, with --reprocess all where a run of what is
        missing would not notice. Refused while a run that is not over holds or reads one of the dates, and for dates of
        the live window unless they are named.
        """
        from phasegate.domain.operations.overrides import Overrides
        from phasegate.report.rollback import Words

        session: Session = context.obj
        backend, chosen = session.backend, settle_dates(session, chosen)
        asked = Asked(
            phase=phase,
            processors=tuple(processor or ()),
            pipeline_file=session.pipeline(chosen.pipeline),
            source=backend.source(chosen.source),
            selection=replace(chosen.selection, exclude_live=exclude_live),
            overrides=Overrides(options.parse_days(include_live, "--include-live")),
            words=Words(
                inputs=_typed(("--pipeline", chosen.pipeline), ("--source", chosen.source)),
                dates=_typed(
                    *(("--season", each) for each in chosen.season or ()),
                    ("--from", chosen.first),
                    ("--to", chosen.last),
                    ("--dates", chosen.dates),
                    ("--exclude", chosen.exclude),
                ),
                live=(*_typed(("--include-live", include_live)), *(("--exclude-live",) if exclude_live else ())),
                processors=tuple(processor or ()),
            ),
        )
        _roll_back(backend, asked, options.signed(by) if yes else None, why, as_json)


@dataclass(frozen=True)
class Asked:
    """This is what a person asked for."""

    phase: str | None
    """A phase, or several as ``A..B``; None: it was not said."""

    processors: tuple[str, ...]
    """The processors that were named; empty: all of the phases."""

    pipeline_file: Path
    """The pipeline file, absolute."""

    source: Path | None
    """The source folder, absolute; None where the workers know their own."""

    selection: Selection
    """The dates."""

    overrides: "Overrides"
    """The dates of the live window that were named."""

    words: "Words"
    """What was typed."""


def _roll_back(backend: CommandBackend, asked: Asked, by: str | None, why: str, as_json: bool) -> None:
    """by: who deletes; None: it is only shown."""
    from phasegate.report.rollback import rollback_document, rollback_text
    from phasegate.services.operating.rollback import Signature, delete, require_free, survey

    scope = _scope(backend, asked)
    with backend.rollback_inputs() as ports:
        require_free(scope, ports.state, ports.clock.now(), claims_die_with_us=not ports.is_shared)
        found = survey(scope, ports.warehouse, ports.objects)
        deleted = None
        if by is not None and found.holdings:
            require_free(scope, ports.state, ports.clock.now(), claims_die_with_us=not ports.is_shared)
            signature = Signature(by, why)
            deleted = delete(found, ports.state, ports.warehouse, ports.objects, ports.clock, signature)
    if as_json:
        write_json(rollback_document(found, deleted, asked.words))
    else:
        show(rollback_text(found, deleted, asked.words))


def _scope(backend: CommandBackend, asked: Asked) -> "Scope":
    """What it is about. Raises InputError for everything that is wrong with it, before a home is opened."""
    from phasegate.adapters.embedded.clock import SystemClock
    from phasegate.domain.operations.overrides import without_live
    from phasegate.domain.operations.rollback import Scope, choose_refs
    from phasegate.services.operating.rollback import require_named
    from phasegate.services.reading.schedule_changes import with_lost_dates

    read = backend.calendar(asked.pipeline_file, asked.source)
    pipeline, calendar, now = read.pipeline, read.calendar, SystemClock().now()
    phases, refs = choose_refs(pipeline, asked.phase, asked.processors)
    if any(day not in calendar.by_day for day in asked.selection.dates):
        calendar = with_lost_dates(calendar, backend.state(), pipeline.pipeline)
    days = without_live(asked.selection, pipeline, calendar.by_day, asked.overrides, now).resolve(calendar)
    scope = Scope(pipeline, calendar, phases, tuple(refs), days)
    require_named(scope, asked.overrides, now)
    return scope


def _typed(*flags: tuple[str, object]) -> tuple[str, ...]:
    return tuple(word for flag, value in flags if value for word in (flag, str(value)))
