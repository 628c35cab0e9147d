"""What a pipeline file knows to be wrong becomes waivers of each run, and of what is judged outside any run."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from phasegate.domain.spec.checks import UNRECOVERABLE, tell_of_units
from phasegate.domain.spec.known import KnownException
from phasegate.domain.spec.ordering import needed_by
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.run import NO_END, SIGNED_BY_FILE, Waiver


def end_of(known: KnownException, timezone: str) -> datetime:
    """Return the end of a known exception, UTC; ``NO_END`` for one without."""
    if known.until is None:
        return NO_END
    return datetime.combine(known.until + timedelta(days=1), time.min, ZoneInfo(timezone)).astimezone(UTC)


def standing(pipeline: Pipeline, now: datetime, days: Collection[date] | None = None) -> tuple[Waiver, ...]:
    """Return the waivers that a pipeline's known exceptions amount to, those left out whose end has passed.

    days: only these dates count; None: all of them.
    """
    return tuple(_waivers(pipeline, now, days))


def known_to_be_gone(pipeline: Pipeline, known: Iterable[Waiver]) -> dict[tuple[date, str], Waiver]:
    """Map (date, ``phase/processor``) to the waiver by which the date goes on without that output: its source is known
    to be gone, or that of something it needs."""
    gone: dict[tuple[date, str], Waiver] = {}
    for waiver in known:
        if waiver.check != UNRECOVERABLE:
            continue
        source = (waiver.phase, waiver.processor)
        for phase in pipeline.phases:
            for processor in phase.processors:
                if source in ((phase.name, processor.name), *needed_by(pipeline, phase.name, processor.name)):
                    gone.update({(day, f"{phase.name}/{processor.name}"): waiver for day in waiver.dates})
    return gone


def known_to_lack_units(pipeline: Pipeline, known: Collection[Waiver]) -> set[tuple[str, date]]:
    """Find the (``phase/processor``, date) of tables that may lack units of their date, or hold others: a person lets a
    check pass that tells how much they hold, or their source is gone."""
    found = {(ref, day) for day, ref in known_to_be_gone(pipeline, known)}
    for phase in pipeline.phases:
        for processor in phase.processors:
            telling = tell_of_units(phase.checks_of(processor))
            for waiver in known:
                is_about = waiver.phase in (None, phase.name) and waiver.processor in (None, processor.name)
                if is_about and waiver.check in telling:
                    found.update((f"{phase.name}/{processor.name}", day) for day in waiver.dates)
    return found


def _waivers(pipeline: Pipeline, now: datetime, days: Collection[date] | None) -> Iterator[Waiver]:
    for known in pipeline.known:
        until = end_of(known, pipeline.timezone)
        concerned = tuple(sorted(day for day in set(known.dates) if days is None or day in days))
        if until <= now or not concerned:
            continue
        phase, processor = pipeline.resolve(known.processor, pipeline.phase_names)
        yield Waiver(
            id=_name(known),
            dates=concerned,
            check=known.check,
            phase=phase,
            processor=processor,
            why=known.why,
            by=SIGNED_BY_FILE,
            at=now,
            until=until,
        )


def _name(known: KnownException) -> str:
    """The same for the same exception, in every run."""
    written = json.dumps(known.model_dump(mode="json"), sort_keys=True)
    return f"known-{hashlib.sha256(written.encode()).hexdigest()[:12]}"
