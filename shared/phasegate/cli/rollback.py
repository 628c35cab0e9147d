"""rollback: what a phase left behind on some dates, shown, and with ``--yes`` deleted."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasegate.cli import options
from phasegate.cli.decisions import ByOption, signed
from phasegate.domain.errors import InputError

if TYPE_CHECKING:
    from phasegate.domain.calendar.dates import Calendar
    from phasegate.domain.calendar.selection import Selection
    from phasegate.domain.operations.overrides import Overrides
    from phasegate.domain.operations.rollback import Scope
    from phasegate.domain.spec.pipeline import Pipeline
    from phasegate.ports import Clock, ObjectStore, State, Warehouse
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
    def rollback(
        context: typer.Context,
        phase: PhaseOption = None,
        processor: ProcessorOption = None,
        pipeline: options.PipelineOption = None,
        source: options.SourceOption = None,
        season: options.SeasonOption = None,
        first: options.FromOption = None,
        last: options.ToOption = None,
        dates: options.DatesOption = None,
        exclude: options.ExcludeOption = None,
        include_live: options.IncludeLiveOption = None,
        exclude_live: options.ExcludeLiveOption = False,
        yes: YesOption = False,
        why: ReasonOption = "",
        by: ByOption = None,
        as_json: options.JsonOption = False,
    ) -> None:
        """What a phase left behind on these dates, by output, and what was built from it; --yes deletes it.

        No run is changed: the same dates run again (--reprocess missing) make all of it anew. Refused while a run that
        is not over holds or reads one of the dates, and for dates of the live window unless they are named.
        """
        from phasegate.domain.operations.overrides import Overrides
        from phasegate.report.rollback import Words

        settings: options.Settings = context.obj
        asked = Asked(
            settings=settings,
            phase=phase,
            processors=tuple(processor or ()),
            pipeline_file=settings.pipeline(pipeline).absolute(),
            source=settings.source(source),
            selection=replace(options.selection(season, first, last, dates, exclude), exclude_live=exclude_live),
            overrides=Overrides(options.parse_days(include_live, "--include-live")),
            words=Words(
                program=("phasegate", "--backend", "gcp") if settings.is_cloud else ("phasegate",),
                inputs=_typed(("--pipeline", pipeline), ("--source", source)),
                dates=_typed(
                    *(("--season", each) for each in season or ()),
                    ("--from", first),
                    ("--to", last),
                    ("--dates", dates),
                    ("--exclude", exclude),
                ),
                live=(*_typed(("--include-live", include_live)), *(("--exclude-live",) if exclude_live else ())),
                processors=tuple(processor or ()),
            ),
        )
        _roll_back(asked, signed(by) if yes else None, why, as_json)


@dataclass(frozen=True)
class Asked:
    """What a person asked for."""

    settings: options.Settings
    phase: str | None
    processors: tuple[str, ...]
    pipeline_file: Path
    source: Path | None
    selection: "Selection"
    overrides: "Overrides"
    words: "Words"


@dataclass(frozen=True)
class RollbackInputs:
    """What a rollback stands on. is_shared: other processes, and workers, may be at work on it."""

    state: "State"
    warehouse: "Warehouse"
    objects: "ObjectStore"
    clock: "Clock"
    is_shared: bool


def _roll_back(asked: Asked, by: str | None, why: str, as_json: bool) -> None:
    """by: who deletes; None: it is only shown."""
    from phasegate.report.rollback import rollback_document, rollback_text
    from phasegate.services.operating.rollback import Signature, delete, require_free, survey

    scope = _scope(asked)
    with _ground(asked.settings) as ground:
        require_free(scope, ground.state, ground.clock.now(), claims_die_with_us=not ground.is_shared)
        found = survey(scope, ground.warehouse, ground.objects)
        deleted = None
        if by is not None and found.holdings:
            require_free(scope, ground.state, ground.clock.now(), claims_die_with_us=not ground.is_shared)
            signature = Signature(by, why)
            deleted = delete(found, ground.state, ground.warehouse, ground.objects, ground.clock, signature)
    if as_json:
        options.write_json(rollback_document(found, deleted, asked.words))
    else:
        typer.echo(rollback_text(found, deleted, asked.words))


def _scope(asked: Asked) -> "Scope":
    """What it is about. Raises InputError for everything that is wrong with it, before a home is opened."""
    from phasegate.adapters.embedded.clock import SystemClock
    from phasegate.adapters.pipeline_file import load_pipeline
    from phasegate.domain.operations.overrides import without_live
    from phasegate.domain.operations.rollback import Scope, choose_refs
    from phasegate.services.operating.rollback import require_named

    pipeline = load_pipeline(asked.pipeline_file)
    phases, refs = choose_refs(pipeline, asked.phase, asked.processors)
    calendar, now = _calendar(asked, pipeline), SystemClock().now()
    days = without_live(asked.selection, pipeline, calendar.by_day, asked.overrides, now).resolve(calendar)
    scope = Scope(pipeline, calendar, phases, tuple(refs), days)
    require_named(scope, asked.overrides, now)
    return scope


def _calendar(asked: Asked, pipeline: "Pipeline") -> "Calendar":
    from phasegate.services.reading.schedule import read_calendar

    if asked.source is None:
        from phasegate.cli.cloud import deployment
        from phasegate.services.starting.environment import require_deployed

        here = deployment()
        require_deployed(here.pipeline, pipeline.pipeline)
        return read_calendar(pipeline.calendar, lambda sql: list(here.backend.warehouse.query(sql)))
    from phasegate.adapters.embedded.schedule_file import ScheduleFile

    return read_calendar(pipeline.calendar, ScheduleFile(asked.source, pipeline.calendar).query)


@contextmanager
def _ground(settings: options.Settings) -> Iterator[RollbackInputs]:
    """The ports; of a home its lock is held, so that no run begins meanwhile.

    Raises InputError where there is nothing yet, HomeInUse while another process drives the home.
    """
    if settings.is_cloud:
        from phasegate.cli.cloud import deployment

        backend = deployment().backend
        yield RollbackInputs(backend.state, backend.warehouse, backend.objects, backend.clock, is_shared=True)
        return
    from phasegate.adapters.embedded.clock import SystemClock
    from phasegate.adapters.embedded.home import HomeLock
    from phasegate.adapters.embedded.objects import FolderObjectStore
    from phasegate.bootstrap import open_state, open_warehouse

    home = settings.home
    if not home.warehouse.exists():
        raise InputError(f"{home.root}: no warehouse here yet; there is nothing to roll back, or give --home DIR")
    with HomeLock(home):
        state, warehouse = open_state(home), open_warehouse(home)
        try:
            yield RollbackInputs(state, warehouse, FolderObjectStore(home.objects), SystemClock(), is_shared=False)
        finally:
            warehouse.close()


def _typed(*flags: tuple[str, object]) -> tuple[str, ...]:
    return tuple(word for flag, value in flags if value for word in (flag, str(value)))
