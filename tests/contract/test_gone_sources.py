"""A source that is gone, waived on Firestore; ``tests/decisions_by_people`` has every case on the embedded backend."""

from datetime import timedelta
from pathlib import Path

import pytest

from phasegate.domain.state.run import RunStatus
from phasegate.services.operating.decisions import waive
from tests.catalogue.cloud import CloudWorld

A_WHILE = timedelta(minutes=5)


@pytest.mark.usefixtures("firestore_emulator")
def test_a_waived_source_passes_and_blocks_again_when_the_waiver_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dates_at_once: int
) -> None:
    def change(document: dict[str, list[dict[str, list[dict[str, str]]]]]) -> None:
        document["phases"][2]["gates"].append({"check": "approval"})

    with CloudWorld(tmp_path, monkeypatch, dates=2, change=change) as cloud:
        cloud.world.misbehave(fetch__b__0=["fail:unrecoverable"])
        cloud.begin()
        assert cloud.drive(A_WHILE).tasks["unrecoverable"] == 1
        fetched = [facts.tasks["fetch", "b"][0].dispatched for facts in cloud.state.dates("r", cloud.days).values()]
        assert [each.batch for each in fetched if each] == [min(2, dates_at_once)] * 2
        clock = cloud.world.clock
        waive(
            cloud.state, clock, "r", dates=cloud.days[:1], check="unrecoverable", phase="fetch", processor="b",
            until=(clock.now() + timedelta(days=1)).isoformat(), by="ann", why="the site was closed",
        )  # fmt: skip
        cloud.services.sweep("r")
        found = cloud.drive(A_WHILE)
        assert (found.phases["raw"]["passed"], found.status, found.failures) == (2, RunStatus.WAITING, ())
        assert {(r.phase, r.processor, r.check) for r in found.notices} == {
            ("fetch", "b", "unrecoverable"),
            ("raw", "b", "unrecoverable"),
        }
        clock.move_to(clock.now() + timedelta(days=2))
        cloud.services.sweep("r")
        assert cloud.drive(A_WHILE).phases["raw"]["failed"] == 1, "ended: failed again"
