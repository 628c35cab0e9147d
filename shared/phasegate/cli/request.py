"""Options become a request for a run here."""

import re
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from phasegate.cli import options
from phasegate.cli.output import say
from phasegate.cli.selecting import OverrideOptions, Selecting, SelectingDates
from phasegate.cli.session import Session
from phasegate.domain.errors import InputError

if TYPE_CHECKING:
    from phasegate.domain.messages.run_request import RunRequest

Chosen = TypeVar("Chosen", bound=SelectingDates)


def settle_dates(session: Session, chosen: Chosen) -> Chosen:
    """Return the options with plain dates in place of relative ones, and tell whoever watches which these are.

    They are counted from today, by the clock of the backend, in the time zone of the pipeline. Nothing that a command
    does or prints afterwards knows the words: what it says may be done on another day means the same dates. Raises
    InputError for a malformed date, a range that is named in two ways, and a pipeline file that cannot be read.
    """
    asked = chosen.asked_range
    if not asked.is_relative:
        return chosen
    from phasegate.adapters.pipeline_file import load_pipeline

    pipeline = load_pipeline(session.pipeline(chosen.pipeline))
    today = pipeline.date_at(session.backend.clock().now())
    first, last = (str(day) if day else None for day in asked.on(today))
    if first and last:
        say(f"dates: {first} to {last} (today is {today} in {pipeline.timezone})")
    return replace(chosen, first=first, last=last, past=None)


def request_of(
    session: Session,
    chosen: Selecting,
    override_options: OverrideOptions,
    profile: str | None,
    reprocess: str = "missing",
    why: str = "",
    alongside: bool = False,
) -> "RunRequest":
    """Return what the shared options ask for, paths absolute and dates plain. Raises InputError for one that is wrong
    by itself."""
    from phasegate.domain.messages.run_request import RunRequest
    from phasegate.domain.operations.overrides import Overrides

    if reprocess not in ("missing", "stale", "failed", "all"):
        raise InputError(f"--reprocess: '{reprocess}' is not one of missing, stale, failed, all")
    pipeline_file, source = session.pipeline(chosen.pipeline), session.backend.source(chosen.source)
    selection = replace(settle_dates(session, chosen).selection, exclude_live=override_options.exclude_live)
    live = options.parse_days(override_options.include_live, "--include-live")
    return RunRequest(
        selection=selection,
        pipeline_file=str(pipeline_file),
        source=str(source) if source else None,
        phases=chosen.phases,
        profile=profile,
        reprocess=reprocess,  # type: ignore[arg-type]  # one of the four, as was just seen
        why=why,
        overrides=Overrides(live, tuple(override_options.allow_destructive or ()), alongside),
    )


def check_run_id(run_id: str | None) -> None:
    """Refuse a name that no run may have: raises InputError."""
    from phasegate.domain.state.run import RUN_ID

    if run_id is not None and not re.fullmatch(RUN_ID, run_id):
        raise InputError(f"--run-id: '{run_id}': letters, digits, '-', '_' and '.', at most 63 of them")
