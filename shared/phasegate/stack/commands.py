"""What the ``stack`` commands print: the environment of a stack, the commands that begin a run, the state of it."""

import shlex
from collections.abc import Sequence
from typing import Any

from phasegate.adapters.gcp.layout import KICKOFF
from phasegate.stack.emulators import CLOUD_TASKS, PUBSUB
from phasegate.stack.ledger import Ledger
from phasegate.stack.local import Look
from phasegate.stack.start import PROJECT, second_port, url_of

EXAMPLE = '{"from": "2023-10-24", "to": "2023-11-06"}'


def up_document(ledger: Ledger) -> dict[str, Any]:
    """``stack up --json``."""
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
    """``stack up``: a shell script that sets the environment; the rest stands in its comments."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in sorted(ledger.environment.items()) if value]
    begin = ["# Begin a run, either way:", f"#   {gcloud_kickoff(ledger)}", f"#   {curl_kickoff(ledger)}"]
    return "\n".join([*exports, *begin])


def gcloud_environment(ledger: Ledger) -> dict[str, str]:
    """What makes ``gcloud pubsub`` and ``gcloud tasks`` talk to the stack."""
    return {
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_PROJECT": PROJECT,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": url_of(ledger, PUBSUB.name) + "/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS": url_of(ledger, second_port(CLOUD_TASKS)) + "/",
    }


def gcloud_kickoff(ledger: Ledger) -> str:
    """The command that begins a run through Pub/Sub."""
    settings = gcloud_environment(ledger)
    del settings["CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS"]
    words = [f"{name}={value}" for name, value in settings.items()]
    return f"{' '.join(words)} gcloud pubsub topics publish {KICKOFF} --message {shlex.quote(EXAMPLE)}"


def curl_kickoff(ledger: Ledger) -> str:
    """The command that begins a run by calling the starter."""
    return f"curl -sS {url_of(ledger, 'starter')}/ -H 'Content-Type: application/json' -d {shlex.quote(EXAMPLE)}"


def status_document(looks: Sequence[Look]) -> dict[str, Any]:
    """``stack status --json``."""
    return {
        "up": bool(looks) and all(look.answering for look in looks),
        "processes": {
            look.name: {
                "port": look.port,
                "pid": look.pid,
                "alive": look.alive,
                "answering": look.answering,
                "log": str(look.log),
            }
            for look in looks
        },
    }


def status_text(looks: Sequence[Look]) -> str:
    """``stack status``: a line a process."""
    if not looks:
        return "the stack is not up; start it with: phasegate stack up"
    width = max(len(look.name) for look in looks)
    return "\n".join(
        f"{look.name:<{width}}  {_state(look):<14}  port {look.port or '-':<5}  pid {look.pid:<7}  {look.log}"
        for look in looks
    )


def _state(look: Look) -> str:
    if look.answering:
        return "answers" if look.port else "runs"
    return "does not answer" if look.alive else "died"
