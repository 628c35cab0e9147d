"""``approve`` and ``waive`` as they are typed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.endtoend.test_bad_input import assert_refused, contents
from tests.endtoend.test_command_line import Site

RANGE = {"check": "range", "name": "sane", "column": "v", "min": 0, "max": 500}
WARNING = {"check": "range", "name": "small", "column": "v", "max": 5, "severity": "warn"}
WAIVE = ("waive", "r", "--date", "2024-01-02", "--check", "sane", "--until", "2099-12-31", "--why", "a record")


def change(document: dict[str, Any]) -> None:
    """``raw.a`` has a range, and warns; ``final`` waits for a person."""
    document["phases"][1]["processors"][0]["checks"] += [dict(RANGE), dict(WARNING)]
    document["phases"][3]["gates"].append({"check": "approval"})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose run waits for a person, and has a date that is blocked."""
    made = Site(tmp_path_factory.mktemp("decisions"), change)
    data = made.world.data()
    data["a"]["2024-01-02"][0]["v"] = 1000
    made.world.rewrite(data)
    made.first = made.run()  # type: ignore[attr-defined]
    yield made
    made.close()


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "a phase without an approval": (("approve", "r", "shape"), "phase 'shape' waits for no approval"),
    "an unknown phase": (("approve", "r", "finl"), "PHASE: unknown phase 'finl'; did you mean 'final'?"),
    "nobody's approval": (("approve", "r", "final", "--by", ""), "--by: say who decides this"),
    "an unknown run to approve": (("approve", "q", "final"), "unknown run 'q'; known: r"),
    "an unknown run to waive": ((WAIVE[0], "q", *WAIVE[2:]), "unknown run 'q'; known: r"),
    "a date of no run": ((*WAIVE, "--date", "2024-02-02"), "--date: 2024-02-02 is not a date of run 'r'"),
    "a malformed date": ((*WAIVE, "--date", "2 January"), "--date: '2' is not a date"),
    "an unknown check": ((*WAIVE, "--check", "sain"), "--check: nothing is checked by 'sain'; did you mean 'sane'?"),
    "a check of another phase": ((*WAIVE, "--phase", "shape"), "--check: nothing of shape is checked by 'sane'"),
    "an unknown processor": ((*WAIVE, "--processor", "c"), "--processor: unknown processor 'c'"),
    "an end that is past": ((*WAIVE, "--until", "2020-01-01"), "--until: '2020-01-01' is past"),
    "an end that is no date": ((*WAIVE, "--until", "soon"), "--until: 'soon' is no date or time"),
    "no reason": ((*WAIVE, "--why", " "), "--why: say why the check may pass"),
    "a reason left out": (WAIVE[:-2], "--why"),
    "an end left out": (("waive", "r", "--date", "2024-01-02", "--check", "sane", "--why", "w"), "--until"),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_decided_is_refused_and_nothing_is_written(
    site: Site, words: tuple[str, ...], message: str
) -> None:
    before = contents(site.home)
    assert_refused(site(*words), message)
    assert contents(site.home) == before


def test_a_run_behind_an_approval_ends_with_status_3_and_names_the_command(site: Site) -> None:
    first = site.first  # type: ignore[attr-defined]
    assert first.code == 3, first.err
    assert "next: phasegate --home home approve r final" in first.out
    assert "warning: 2024-01-01 raw/a: v: " not in first.out, "up to 5"
    assert "warning: 2024-01-02 raw/a: v: 4 of 4 values are outside up to 5 (11 to 1000)" in first.out
    status = site.status()
    assert (status["status"], status["waits_for_approval"]) == ("waiting", ["final"])
    assert "waits for a person: phasegate --home home approve r final" in site("status", "r").out
    assert site("watch", "r").code == 3


def test_a_waiver_and_an_approval_bring_it_to_its_end(site: Site) -> None:
    waived = site(*WAIVE, "--phase", "raw", "--by", "ann", "--json")
    assert waived.code == 3, waived.err
    document = waived.document
    (waiver,) = document["waivers"]
    assert (waiver["by"], waiver["why"], waiver["until"], waiver["in_force"]) == (
        "ann",
        "a record",
        "2100-01-01T00:00:00Z",
        True,
    )
    assert waiver["passed"] == [
        {
            "date": "2024-01-02",
            "phase": "raw",
            "processor": "a",
            "check": "sane",
            "detail": "v: 1 of 4 values are outside 0 to 500 (11 to 1000)",
        }
    ]
    done = site("approve", "r", "final", "--by", "ann", "--why", "seen")
    assert done.code == 0, done.err
    assert "approved: final by ann" in done.out and "waived: sane of raw on 2024-01-02" in done.out
    cell = site("explain", "r", "2024-01-02", "raw").out
    assert "check sane BLOCK: a: v: 1 of 4 values" in cell
    assert "(waived until 2100-01-01 00:00 UTC by ann: a record)" in cell
    assert "check small WARN: a: v: 4 of 4 values" in cell
    assert_refused(site("approve", "r", "final"), "phase 'final' of run 'r' was approved by ann")
    assert_refused(site(*WAIVE), "run 'r' is completed: there is nothing left to waive")


GONE = ("waive", "q", "--date", "2024-01-02", "--check", "unrecoverable", "--phase", "fetch", "--processor", "b")


def test_a_date_whose_source_is_gone_goes_on_by_the_command_that_explain_names(tmp_path: Path) -> None:
    site = Site(tmp_path)
    try:
        site.world.misbehave(fetch__b__1=["fail:unrecoverable"])
        assert site.call(*site.selecting("run"), "--run-id", "q").code == 1
        assert f"phasegate --home home {' '.join(GONE)} --until DATE --why TEXT" in site("explain", "q").out
        assert_refused(site(*GONE), "--until")
        done = site(*GONE, "--until", "2099-12-31", "--why", "the site was closed", "--by", "ann")
        assert done.code == 0, done.err
        assert "waived: unrecoverable of fetch/b on 2024-01-02" in done.out
        assert "by ann: the site was closed (2 verdict(s) pass by it)" in " ".join(done.out.split())
        status = site("status", "q", "--json").document
        assert (status["status"], status["tasks"]["unrecoverable"], status["failures"]) == ("completed", 0, [])
        report = site("verify", "q", "--json")
        assert (report.code, report.document["waivers"][0]["lets_pass"]) == (0, 2)
        without = site.call(*site.selecting("verify", "--season", "2023-24", "--json"))
        assert (without.code, without.document["waivers"]) == (1, [])
    finally:
        site.close()
