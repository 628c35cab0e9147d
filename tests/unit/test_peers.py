"""The harness that measures other tools: its table, its file, and a peer that fails."""

import json
import re
from pathlib import Path

import pytest

import bench.peers.__main__ as peers
from bench.orchestration import NEEDS, TASKS_A_DATE
from bench.peers.__main__ import PEERS, PINS, Peer, main, table
from bench.shape import task_needs, waves


def told(name: str, tasks_per_second: float) -> peers.Answer:
    """An answer as a peer's script prints it."""
    return {
        "name": name,
        "version": "1.2",
        "settings": "as it is",
        "dates": 200,
        "tasks": 6400,
        "seconds": 6400 / tasks_per_second,
        "tasks_per_second": tasks_per_second,
    }


def test_the_table_has_the_fastest_first_with_version_and_settings() -> None:
    header, first, second = table([told("slow", 100), told("quick", 3200)]).splitlines()
    assert header.split() == ["peer", "version", "dates", "tasks", "seconds", "tasks/s", "settings"]
    assert first.split() == ["quick", "1.2", "200", "6,400", "2.00", "3,200", "as", "it", "is"]
    assert second.startswith("slow ")


def test_the_file_has_a_list_of_what_the_scripts_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "TIMES", 1)
    file = tmp_path / "results.json"
    main(["--only", "loop", "--dates", "3", "--json", str(file)])
    (answer,) = json.loads(file.read_text(encoding="utf-8"))
    assert set(answer) == set(told("any", 1))
    assert (answer["name"], answer["dates"], answer["tasks"]) == ("plain loop", 3, 3 * TASKS_A_DATE)
    assert answer["tasks_per_second"] == pytest.approx(answer["tasks"] / answer["seconds"])


def test_a_slow_peer_is_measured_with_the_most_dates_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "TIMES", 1)
    assert peers.measure(Peer("loop", most_dates=2), 200)["dates"] == 2


def test_the_best_of_several_measurements_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    paces = iter([50, 200, 100])
    monkeypatch.setattr(peers, "run", lambda words: f"a line before\n{json.dumps(told('any', next(paces)))}\n")
    assert peers.measure(Peer("loop"), 200)["tasks_per_second"] == 200


def test_a_peer_whose_script_fails_is_named_with_the_reason_and_the_others_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "TIMES", 1)
    monkeypatch.setattr(peers, "PEERS", (Peer("nothing"), Peer("loop")))
    file = tmp_path / "results.json"
    main(["--dates", "1", "--json", str(file)])
    assert re.match(r"nothing is left out: .*No module named bench\.peers\.nothing\n", capsys.readouterr().out)
    assert [answer["name"] for answer in json.loads(file.read_text(encoding="utf-8"))] == ["plain loop"]


def test_a_peer_that_cannot_be_installed_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "PINS", tmp_path)
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path / "environments")
    (tmp_path / "loop.txt").write_text("./no-such-package\n", encoding="utf-8")
    main(["--only", "loop", "--dates", "1"])
    assert re.match(r"loop is left out: .*no-such-package", capsys.readouterr().out)


def test_each_pin_is_exact_and_belongs_to_a_script() -> None:
    names = {peer.name for peer in PEERS}
    assert {file.stem for file in PINS.glob("*.py")} - {"__init__", "__main__", "script"} == names
    for file in PINS.glob("*.txt"):
        assert file.stem in names
        for line in file.read_text(encoding="utf-8").splitlines():
            assert re.fullmatch(r"[a-z-]+==[\d.]+", line)


def test_tools_without_phases_get_the_shape_of_the_pipeline() -> None:
    assert [len(wave) for wave in waves()] == [21, 5, 2, 1, 1, 1, 1]
    needs = task_needs()
    assert len(needs) == TASKS_A_DATE
    assert set(needs["analytics_0"]) == set(NEEDS["raw"])
    assert set(needs["zones_of_teams"]) == set(NEEDS["analytics"])
    assert needs["factors"] == ("zones_of_teams", "zones_of_players")
    assert needs["predictions"] == ("features",)
