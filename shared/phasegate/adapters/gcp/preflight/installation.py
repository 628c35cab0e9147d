"""The ``Installation`` port on Google Cloud inspects everything that the layout lists, as it really is."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from phasegate.adapters.gcp.http.identity import IdentityTokens
from phasegate.adapters.gcp.layout import FUNCTIONS, layout_of
from phasegate.adapters.gcp.preflight.data import (
    inspect_datasets,
    inspect_firestore,
    inspect_quotas,
    inspect_rights,
)
from phasegate.adapters.gcp.preflight.queues import inspect_queues
from phasegate.adapters.gcp.preflight.services import inspect_functions, inspect_workers
from phasegate.adapters.gcp.preflight.topics import Topics
from phasegate.adapters.gcp.settings import PREFIX, CloudSettings
from phasegate.domain.operations.preflight import PreflightLine, warned
from phasegate.domain.spec.dispatch import Dispatch
from phasegate.domain.spec.pipeline import Pipeline, WorkerSpec


class CloudInstallation:
    """The installation inspects topics, subscriptions, endpoints, queues, workers, Firestore, datasets, rights and
    quotas.

    What must be is ``layout_of(pipeline)``. A start asks some forty times, most of it at once and none of it dear: one
    Firestore read, one BigQuery query of 10 MB, the rest is metadata.
    """

    def __init__(self, settings: CloudSettings) -> None:
        self._settings = settings
        self._token = IdentityTokens() if settings.invoker else None

    def inspect(self, pipeline: Pipeline, phases: Sequence[str]) -> list[PreflightLine]:
        """See the port."""
        settings, layout, tables = (
            self._settings,
            layout_of(pipeline),
            [*pipeline.calendar.tables, *pipeline.tables(phases)],
        )
        topics = Topics(settings, layout)
        parts: tuple[Callable[[], list[PreflightLine]], ...] = (
            lambda: [*topics.inspect(), *self._functions(topics.endpoints)],
            lambda: inspect_queues(settings, layout),
            lambda: inspect_workers(_workers(pipeline, phases), pipeline.paths(phases), self._token),
            lambda: inspect_firestore(settings),
            lambda: inspect_datasets(settings, tables),
            lambda: inspect_rights(settings, pipeline.calendar.table),
            lambda: inspect_quotas(settings, tables),
        )
        with ThreadPoolExecutor(len(parts), "preflight") as pool:
            return list(chain.from_iterable(pool.map(lambda part: part(), parts)))

    def _functions(self, pushed: dict[str, set[str]]) -> list[PreflightLine]:
        settings = self._settings
        called = {
            "dispatcher": [settings.dispatcher_url],
            "runner": [settings.runner_url],
            "conductor": [settings.conductor_url],
            # Runs begin without these two, so that no address is a warning; a wrong one is a failure.
            **{name: [url] for name in ("verifier", "sweeper") if (url := getattr(settings, f"{name}_url"))},
            **{function: sorted(urls) for function, urls in pushed.items()},
        }
        unknown = [function.name for function in FUNCTIONS if function.name not in called]
        return [
            *inspect_functions(called, self._token),
            *(
                warned(
                    "function", name, "not checked: nothing here knows the address", f"set {PREFIX}{name.upper()}_URL"
                )
                for name in unknown
            ),
        ]


def _workers(pipeline: Pipeline, phases: Sequence[str]) -> dict[str, WorkerSpec]:
    """The workers that the phases call; a phase of nothing but SELECTs names none."""
    called = (pipeline.phase(name).how for name in phases)
    return {how.worker: pipeline.workers[how.worker] for how in called if isinstance(how, Dispatch) and how.worker}
