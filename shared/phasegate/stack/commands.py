"""The ``stack`` commands print the environment of a stack, the commands that begin a run, and its state."""

import shlex
from collections.abc import Sequence
from typing import Any

from phasegate.domain.protocol.names import KICKOFF
from phasegate.stack.emulators import CLOUD_TASKS, PUBSUB
from phasegate.stack.ledger import Ledger
from phasegate.stack.local import ProcessStatus
from phasegate.stack.start import PROJECT, second_port, url_of

EXAMPLE = '{"from": "2023-10-24", "to": "2023-11-06"}'


def up_document(ledger: Ledger) -> dict[str, Any]:
    """Return the document of ``stack up --json``."""
    return {
        "environment": ledger.environment,
        "gcloud": gcloud_environment(ledger),
        "kickoff": {"gcloud": gcloud_kickoff(ledger), "curl": curl_kickoff(ledger)},
        "processes": {
            name: {
                "pid": started.process.pid,
                "port": started.port,
                "url": url_of(ledger, name) if started.port else None,
                "log": str(started.log),
            }
            for name, started in ledger.processes.items()
        },
    }


def up_text(ledger: Ledger) -> str:
    """Return the text of ``stack up``: a shell script that sets the environment; the rest stands in its comments."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in sorted(ledger.environment.items()) if value]
    begin = ["# Begin a run, either way:", f"#   {gcloud_kickoff(ledger)}", f"#   {curl_kickoff(ledger)}"]
    return "\n".join([*exports, *begin])


def gcloud_environment(ledger: Ledger) -> dict[str, str]:
    """Return what makes ``gcloud pubsub`` and ``gcloud tasks`` talk to the stack."""
    return {
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_PROJECT": PROJECT,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": url_of(ledger, PUBSUB.name) + "/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS": url_of(ledger, second_port(CLOUD_TASKS)) + "/",
    }


def gcloud_kickoff(ledger: Ledger) -> str:
    """Return the command that begins a run through Pub/Sub."""
    settings = gcloud_environment(ledger)
    del settings["CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS"]
    words = [f"{name}={value}" for name, value in settings.items()]
    return f"{' '.join(words)} gcloud pubsub topics publish {KICKOFF} --message {shlex.quote(EXAMPLE)}"


def curl_kickoff(ledger: Ledger) -> str:
    """Return the command that begins a run by calling the starter."""
    return f"curl -sS {url_of(ledger, 'starter')}/ -H 'Content-Type: application/json' -d {shlex.quote(EXAMPLE)}"


def status_document(statuses: Sequence[ProcessStatus]) -> dict[str, Any]:
    """Return the document of ``stack status --json``."""
    return {
        "up": bool(statuses) and all(status.answering for status in statuses),
        "processes": {
            status.name: {
                "port": status.port,
                "pid": status.pid,
                "alive": status.alive,
                "answering": status.answering,
                "log": str(status.log),
            }
            for status in statuses
        },
    }


def status_text(statuses: Sequence[ProcessStatus]) -> str:
    """Return the text of ``stack status``: one line per process."""
    if not statuses:
        return "the stack is not up; start it with: phasegate stack up"
    width = max(len(status.name) for status in statuses)
    return "\n".join(
        f"{status.name:<{width}}  {_state(status):<14}  port {status.port or '-':<5}  pid {status.pid:<7}  {status.log}"
        for status in statuses
    )


def _state(status: ProcessStatus) -> str:
    if status.answering:
        return "answers" if status.port else "runs"
    return "does not answer" if status.alive else "died"
