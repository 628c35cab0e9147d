"""State in Google's Firestore emulator, for the contract tests: each backend is a project of its own."""

import uuid

from phasegate.adapters.embedded.clock import VirtualClock
from phasegate.adapters.gcp.clients import firestore_client
from phasegate.adapters.gcp.firestore.state import FirestoreState
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.ports import State
from tests.contract.conftest import NOW


class FirestoreBackend:
    """State only. A new process is a new ``FirestoreState``: nothing is remembered but what was written."""

    def __init__(self) -> None:
        self._settings = CloudSettings(project=f"t{uuid.uuid4().hex[:20]}")
        self.clock = VirtualClock(NOW)
        self.reopen()

    def reopen(self) -> None:
        self.state: State = self.beside()

    def beside(self) -> State:
        return FirestoreState(firestore_client(self._settings))
