"""By these names the parts of Phasegate find each other on a cloud: topics, queues and tasks.

None of them changes with a release: what an earlier one has queued or published is still to be delivered.
"""

import hashlib

COMPLETIONS = "backfill-completions"
"""The topic of completion events, Phasegate's own. The live pipeline must not subscribe to it."""

KICKOFF = "backfill-kickoff"
"""The topic of kick-offs: a message on it is a request for a run."""

CONDUCTOR_QUEUE = "conductor"
"""The queue of wake-ups for the conductor."""

DISPATCH_QUEUE = "dispatch"
"""The queue of dispatch pages."""

SWEEP_QUEUE = "sweep"
"""The queue of sweeps: a task for each unfinished run and minute."""

VERIFY_QUEUE = "verify"
"""The queue of requests for a report on a run that has ended."""


def task_name(*parts: str) -> str:
    """Name a task by a hash, so that names spread over Cloud Tasks' index and hold only characters it allows."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:40]
