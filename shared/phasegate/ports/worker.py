"""A worker is a processing service, as the runner calls it."""

from collections.abc import Mapping
from typing import Any, Protocol

from phasegate.domain.protocol.worker import Said


class Worker(Protocol):
    """A worker is a processing service. In-process or behind HTTP, the bodies are the same. Thread-safe."""

    def prepare(self) -> None:
        """Set up what every request relies on: tables, reference data. Repeatable.

        Embedded mode calls it before a run is driven, ``stack up`` when the service has started; on Google Cloud it
        belongs to the deployment of the service.
        """

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer one request: HTTP status and JSON body (a ``WorkerAnswer`` when 200).

        In process it may raise HaltError (a full disk); anything else that it raises counts as transient.
        """

    def made_with(self) -> Said:
        """Say what rows would be made with now; what is absent it does not say. Raises PhasegateError where it cannot
        be asked.

        A worker in process need not have this method: it says nothing then.
        """
