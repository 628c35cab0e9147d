"""What `forget` leaves on Google Cloud, and the command that deletes it."""

from types import SimpleNamespace
from typing import Any

from phasegate.cli.backends.cloud import CloudCommands


def test_the_reports_of_forgotten_runs_are_deleted_where_they_lie() -> None:
    notes = {"a": ["reports/a", "reports/a"], "b": [], "it's": ["reports/it's"]}
    backend: Any = SimpleNamespace(
        state=SimpleNamespace(reports=lambda run_id: [SimpleNamespace(place=place) for place in notes[run_id]])
    )
    commands = CloudCommands()
    commands.__dict__["deployment"] = SimpleNamespace(backend=backend, settings=SimpleNamespace(bucket="mine"))
    assert commands.deletion_of_reports(["a", "b"]) == "gcloud storage rm --recursive gs://mine/reports/a"
    assert commands.deletion_of_reports(["b"]) == ""
    assert commands.deletion_of_reports(["it's"]).endswith("""'gs://mine/reports/it'"'"'s'""")
