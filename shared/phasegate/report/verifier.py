"""The verifier reads all tables over the whole calendar, compares them with state and plan, and writes a report.

The report is kept as ``report.json`` (``docs/report.schema.json``), ``report.md`` and ``report.html`` below
``reports/{run}`` of a store, as a row in the pipeline's reports table, and for a run as a summary in its state.
"""

import json
from dataclasses import dataclass
from typing import Any

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.domain.plan import Plan
from phasegate.domain.plan.blank import blank_plan
from phasegate.domain.spec.pipeline import NoOutput, Pipeline
from phasegate.ports import Clock, ObjectStore, ReportNote
from phasegate.report.verify.compose import VerifierInputs, report_on_dates, report_on_run
from phasegate.report.verify.document.report import Report
from phasegate.report.verify.page import html_of, markdown_of
from phasegate.services.reading.reads import reads_kept
from phasegate.services.starting.scope import choose_phases

VERDICT_KEPT = 1000
"""Characters of a verdict in state and table: Firestore indexes no more than 1,500 bytes of a value."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A verification has made a report, and has written its files."""

    report: Report
    """What was found, as one document."""

    names: tuple[str, ...]
    """The names of its files in the store."""

    @property
    def page(self) -> str:
        """The name that the HTML page has in the store."""
        return next(name for name in self.names if name.endswith(".html"))

    def summary(self) -> dict[str, Any]:
        """The summary is what the function ``verifier`` answers: the verdict, and where the files are."""
        return {
            "report_id": self.report.report_id,
            "run_id": self.report.run_id,
            "agrees": self.report.agrees,
            "is_final": self.report.is_final,
            "findings": self.report.findings_total,
            "verdict": self.report.verdict,
            "files": list(self.names),
        }


def verify_run(inputs: VerifierInputs, store: ObjectStore, clock: Clock, run_id: str) -> Verified:
    """Verify a run, also one that is still going. Raises InputError for an unknown run."""
    if inputs.state is None:
        raise ValueError("a run cannot be verified without state")
    with reads_kept(inputs.state, run_id):
        report = report_on_run(inputs, inputs.state, run_id, clock.now())
        return _keep(inputs, store, report, inputs.state.plan(run_id).pipeline, run_id)


def verify_dates(
    inputs: VerifierInputs,
    store: ObjectStore,
    clock: Clock,
    pipeline: Pipeline,
    calendar: Calendar,
    selection: Selection,
    phases: str | None,
) -> Verified:
    """Verify dates without a run, as of a backfill made by hand.

    Raises InputError for an unknown phase and an empty selection, before anything is written.
    """
    plan = plan_of_dates(pipeline, calendar, selection, phases)
    report = report_on_dates(inputs, plan, clock.now())
    return _keep(inputs, store, report, pipeline, report.report_id)


def plan_of_dates(pipeline: Pipeline, calendar: Calendar, selection: Selection, phases: str | None) -> Plan:
    """Plan the dates that are verified, against the whole calendar.

    Raises InputError for an unknown phase, an empty selection, and phases without any output.
    """
    chosen, _ = choose_phases(pipeline, phases, None)
    outputs = [processor.output for phase in chosen for processor in pipeline.phase(phase).processors]
    if all(isinstance(output, NoOutput) for output in outputs):
        raise InputError(
            f"{', '.join(chosen)}: no processor leaves an output that could be verified; name other phases, or a run"
        )
    return blank_plan(pipeline, chosen, selection.resolve(calendar), calendar.dates)


def files_of(report: Report) -> dict[str, bytes]:
    """The files that a report is written to: content by name."""
    document = json.dumps(report.model_dump(mode="json"), indent=1, ensure_ascii=False)
    return {
        "report.json": document.encode(),
        "report.md": markdown_of(report).encode(),
        "report.html": html_of(report).encode(),
    }


def _keep(inputs: VerifierInputs, store: ObjectStore, report: Report, pipeline: Pipeline, folder: str) -> Verified:
    """Write files, row and summary, in this order: the files that the summary names are there."""
    place = f"reports/{folder}"
    files = {f"{place}/{name}": content for name, content in files_of(report).items()}
    for name, content in files.items():
        store.write(name, content)
    kinds = {kind.kind: kind.findings for kind in report.kinds if kind.findings}
    if pipeline.report.table is not None:
        _append_row(inputs, report, pipeline.report.table, kinds, place)
    if report.run_id is not None and inputs.state is not None:
        note = ReportNote(
            report.report_id,
            report.made_at,
            report.agrees,
            report.is_final,
            report.findings_total,
            kinds,
            report.verdict[:VERDICT_KEPT],
            place,
        )
        inputs.state.note_report(report.run_id, note)
    return Verified(report, tuple(files))


_COLUMNS = (
    "report_id STRING, run_id STRING, pipeline STRING, made_at TIMESTAMP, first_date DATE, last_date DATE, "
    "dates INT64, agrees BOOL, is_final BOOL, findings INT64, kinds STRING, verdict STRING, place STRING"
)


def _append_row(inputs: VerifierInputs, report: Report, table: str, kinds: dict[str, int], place: str) -> None:
    inputs.warehouse.apply_schema(f"CREATE TABLE IF NOT EXISTS `{table}` ({_COLUMNS})")
    row = {
        "report_id": report.report_id,
        "run_id": report.run_id,
        "pipeline": report.pipeline,
        "made_at": report.made_at,
        "first_date": report.first,
        "last_date": report.last,
        "dates": report.dates,
        "agrees": report.agrees,
        "is_final": report.is_final,
        "findings": report.findings_total,
        "kinds": json.dumps(kinds, sort_keys=True),
        "verdict": report.verdict[:VERDICT_KEPT],
        "place": place,
    }
    inputs.warehouse.append_missing(table, [row], ("report_id",))
