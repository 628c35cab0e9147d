"""A run in embedded mode stands on the workers in this process, and the home."""

from collections.abc import Callable, Sequence
from pathlib import Path

from phasegate.adapters.embedded.home import Home
from phasegate.bootstrap import check_dispatch, open_warehouse, workers_apart
from phasegate.domain.errors import InputError, PhasegateError
from phasegate.domain.operations.preflight import PreflightLine, differing_batches, failed, passed, warned
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.services.starting.own_tables import made_here
from phasegate.services.starting.preflight import check_tables


class EmbeddedInstallation:
    """An embedded installation is the ``Installation`` port for one home, pipeline file and source folder. Nothing is
    written."""

    def __init__(self, home: Home, pipeline_file: Path | None, source: Path) -> None:
        self._home, self._pipeline_file, self._source = home, pipeline_file, source

    def inspect(self, pipeline: Pipeline, phases: Sequence[str]) -> list[PreflightLine]:
        """Check that the phases can be run here, the workers load, the home is free and its tables are right."""
        return [
            *_tried("phases", pipeline.pipeline, lambda: check_dispatch(pipeline, phases)),
            *_tried(
                "workers",
                ", ".join(pipeline.workers) or "none",
                lambda: inspect_workers(self._pipeline_file, pipeline, phases, self._source),
            ),
            *self._home_lines(pipeline, phases),
        ]

    def _home_lines(self, pipeline: Pipeline, phases: Sequence[str]) -> list[PreflightLine]:
        home = str(self._home.root)
        try:
            self._home.require_whole()
            driver = self._home.driver()
        except InputError as error:
            return [failed("home", home, str(error), "mend it, or give another --home")]
        if driver:
            return [failed("home", home, f"is in use by {driver}", "wait for that run, or give another --home")]
        free = passed("home", home, "no other process uses it")
        if not self._home.warehouse.exists():
            unseen = "not checked: there is no warehouse yet, the workers make their tables at the start"
            return [free, warned("tables", "all", unseen, "nothing now: the start checks before it writes a run")]
        try:
            warehouse = open_warehouse(self._home)
        except PhasegateError as error:
            return [failed("home", home, str(error), "mend it, or give another --home")]
        try:
            return [free, *check_tables(pipeline.tables(phases), warehouse, made_here(pipeline, phases))]
        finally:
            warehouse.close()


def inspect_workers(
    pipeline_file: Path | None, pipeline: Pipeline, phases: Sequence[str], source: Path | None
) -> list[PreflightLine]:
    """Make every worker once; returns a line for each that takes several dates otherwise than the pipeline file says,
    at a path at which these phases call it. One that does not say how it takes them is left alone.

    pipeline_file: where the pipeline was read, beside which its workers lie. Raises InputError when one cannot be made.
    """
    paths = pipeline.paths(phases)
    with workers_apart(pipeline_file, pipeline.workers, source) as workers:
        offers = {name: worker.offered_batches() for name, worker in workers.items()}
    lines = (
        differing_batches(name, pipeline.workers[name].batches, offered, paths.get(name, ()))
        for name, offered in offers.items()
        if offered is not None
    )
    return [line for line in lines if line is not None]


def _tried(check: str, subject: str, try_it: Callable[[], list[PreflightLine] | None]) -> list[PreflightLine]:
    try:
        found = try_it() or []
    except InputError as error:
        return [failed(check, subject, str(error), "no run can start before that is mended")]
    return found or [passed(check, subject, "can be run here")]
