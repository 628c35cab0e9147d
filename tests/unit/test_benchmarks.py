"""What is measured is told as it was: a bound, the file of figures, the page and its plot. Nothing is measured here."""

import json
import re
from cProfile import Profile
from dataclasses import replace
from datetime import date
from pathlib import Path
from pstats import Stats
from typing import Any, cast
from xml.etree import ElementTree

import duckdb
import pytest
import yaml
from google.cloud.bigquery import Client, QueryJobConfig

from bench.__main__ import FIGURES, PARTS
from bench.bounds import Beside, Bounds
from bench.checkout import ROOT, Checkout, Typed, require_commit
from bench.figures import Part, Taken, keep_part, read_parts
from bench.ground import ALL_SEASONS, EARLIER_SEASONS, WHOLE, Ground
from bench.orchestration import idle_pipeline
from bench.page import REASONS, plot, read_peers, render, write_page
from bench.picture import OURS, THEIRS, Bar, draw
from bench.profiling import shares_by_module
from bench.seasons import one_season
from bench.source import MOVED, TABLES, merge, without_batches
from bench.statements import count_statements
from phasegate.domain.calendar.dates import stretches

SVG = "{http://www.w3.org/2000/svg}"
PEER = {
    "name": "Luigi", "version": "3.6", "settings": "one worker", "dates": 200, "tasks": 6400, "seconds": 9.0,
    "tasks_per_second": 711.1,
}  # fmt: skip


def taken(**changes: Any) -> Taken:
    known: dict[str, Any] = {
        "day": "2026-01-01",
        "commit": "abc1234",
        "before": "8f46fca",
        "sizes": "whole",
        "games": "the real source",
        "machine": {
            "cores": "2", "memory": "8 GB", "processor": "P", "operating system": "O", "Python": "3.11",
        },
        "versions": {"DuckDB": "2.0"},
    }  # fmt: skip
    return Taken(**known | changes)


def measured() -> Bounds:
    """Figures of each kind, one of which falls short of its goal."""
    bounds = Bounds()
    bounds.check("peak memory", 800.0, "MB", most=1_000)
    bounds.faster("a season", 10.0, "s", Beside("before", 60.0), 6.0, least=5)
    bounds.share("against the loop", 20.0, "s", Beside("plain loop", 10.0), most=1.3)
    bounds.check("processor time", 90.0, "µs")
    return bounds


def test_a_bound_of_a_comparison_is_about_the_ratio_and_not_about_the_figure() -> None:
    memory, season, loop, cpu = measured().measures
    assert [each.holds for each in (memory, season, loop, cpu)] == [True, True, False, None]
    assert (season.ratio, loop.ratio, memory.ratio) == (6.0, 2.0, None)


def test_a_ratio_that_is_the_median_of_several_is_judged_in_place_of_that_of_the_figures() -> None:
    bounds = Bounds()
    bounds.share("a season", 10.0, "s", Beside("plain loop", 20.0), most=0.5, ratio=0.6)
    assert (bounds.measures[0].ratio, bounds.measures[0].holds) == (0.6, False)


def test_what_falls_short_of_a_goal_is_told_and_fails_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    bounds = measured()
    bounds.reach("writes a task", 2.0, "", most=1.6)
    printed = capsys.readouterr().out.splitlines()
    assert bounds.all_hold
    told = [re.search(r"ok|MISSED|short of it|$", line).group() for line in printed]  # type: ignore[union-attr]
    assert told == ["ok", "ok", "short of it", "", "short of it"]


def test_one_missed_bound_is_remembered_whatever_holds_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    bounds = Bounds()
    bounds.check("peak memory", 1_200.0, "MB", most=1_000)
    bounds.check("the report", 0.5, "MB", most=1)
    assert "MISSED" in capsys.readouterr().out
    assert not bounds.all_hold


def test_figures_of_parts_that_are_measured_apart_stand_in_one_file(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    keep_part(file, "season", taken(), measured())
    keep_part(file, "scale", taken(day="2026-01-02"), Bounds())
    again = Bounds()
    again.check("a season", 9.0, "s", most=10)
    again.details["time of a season"] = {"calls": 1}
    keep_part(file, "season", taken(day="2026-01-03"), again)
    parts = read_parts(file)
    assert {name: part.taken.day for name, part in parts.items()} == {"season": "2026-01-03", "scale": "2026-01-02"}
    assert parts["season"].measures == tuple(again.measures)
    assert parts["season"].details == again.details


def test_a_measure_is_read_as_it_was_written(tmp_path: Path) -> None:
    file, bounds = tmp_path / "figures.json", measured()
    keep_part(file, "season", taken(), bounds)
    assert read_parts(file)["season"] == Part(taken(), tuple(bounds.measures), {})


def page_of(peers: list[dict[str, Any]], **parts: Part) -> str:
    return render(parts, peers, "## Reasons\n\nA reason.", "plot.svg")


def test_the_page_has_a_row_for_each_measure_with_its_ratio_its_bound_and_the_part_that_measures_it() -> None:
    page = page_of([], season=Part(taken(), tuple(measured().measures), {}))
    assert "| a season | 10.0 s | before: 60.0 | 6.00 times as fast | at least 5 | yes | `season` |" in page
    assert "| against the loop | 20.0 s | plain loop: 10.0 | 2.00 | at most 1.3 | **no** | `season` |" in page
    assert "| peak memory | 800 MB |  |  | at most 1,000 | yes | `season` |" in page


def test_the_page_names_what_falls_short_and_nothing_else() -> None:
    page = page_of([], season=Part(taken(), tuple(measured().measures), {}))
    (section,) = re.findall(r"## What falls short\n\n(.*?)\n\n", page, flags=re.DOTALL)
    assert section == "- against the loop (`season`): 2.00, wanted at most 1.3."


def test_the_page_says_which_parts_were_taken_under_which_circumstances() -> None:
    apart = {"season": Part(taken(), (), {}), "scale": Part(taken(commit="def5678", sizes="quick"), (), {})}
    page = page_of([], **apart)
    assert "`season`: Measured on 2026-01-01 of commit abc1234 beside 8f46fca, on 2 cores (P)" in page
    assert re.search(r"`scale`: .*commit def5678.*\*\*In small sizes", page)
    assert "In small sizes" not in page_of([], season=apart["season"])


def test_peers_stand_beside_our_paces_the_fastest_first() -> None:
    ours = PEER | {"name": "Phasegate, in batches of 20", "version": "", "settings": "", "tasks_per_second": 25_000.0}
    page = page_of([PEER], orchestration=Part(taken(), (), {"paces": [ours]}))
    names = re.findall(r"^\| (Luigi|Phasegate, in batches of 20) \|", page, flags=re.MULTILINE)
    assert names == ["Phasegate, in batches of 20", "Luigi"]
    assert "| Luigi | 3.6 | one worker | 200 | 6,400 | 9.00 | 711 |" in page
    assert "were not measured" in page_of([]) and "were not measured" not in page


def test_the_page_tells_where_the_time_of_a_season_went() -> None:
    time = {
        "calls": 522, "attempts": 8285, "seconds": 18.29, "work": 36.48, "proofs": 7.25, "orchestration": 5.23,
        "waiting": {"threads": 5.24, "nothing": 0.0},
    }  # fmt: skip
    page = page_of([], season=Part(taken(), (), {"time of a season": time}))
    assert "| in batches | 522 | 8,285 | 18.3 | 36.5 | 7.25 | 5.23 | threads 5.24 |" in page


def test_what_people_wrote_about_the_figures_ends_the_page() -> None:
    assert page_of([]).rstrip().endswith("## Reasons\n\nA reason.")


def test_a_bar_is_longer_by_as_much_for_every_power_of_ten() -> None:
    drawing = ElementTree.fromstring(draw([Bar("a & b", 100, True), Bar("c", 1_000, False), Bar("d", 10_000, False)]))  # noqa: S314 - of our own
    widths = [float(rect.attrib["width"]) for rect in drawing.iter(f"{SVG}rect")][1:]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] - widths[1] == pytest.approx(widths[1] - widths[2], abs=0.2)
    assert [text.text for text in drawing.iter(f"{SVG}text") if text.attrib.get("text-anchor") == "end"] == [
        "d", "c", "a & b",
    ]  # fmt: skip


def test_the_page_is_what_the_command_writes_of_the_figures_that_are_kept(tmp_path: Path) -> None:
    kept = read_parts(FIGURES)
    parts = {name: kept[name] for name in PARTS if name in kept}
    write_page(tmp_path / "benchmarks.md", parts, read_peers(), REASONS.read_text(encoding="utf-8"))
    for file in ("benchmarks.md", "benchmarks.svg"):
        written, kept_page = (tmp_path / file).read_text(), (ROOT / "docs" / file).read_text()
        assert written == kept_page, "type: python -m bench --write docs/benchmarks.md"


def test_a_commit_that_is_not_there_is_told_with_what_to_do_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        require_commit("0" * 40)
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert "0" * 40 in told and "git" in told and "--without-before" in told


def test_a_pipeline_without_batches_differs_in_nothing_else(tmp_path: Path) -> None:
    original = ROOT / "pipelines" / "nba" / "pipeline.yaml"
    file = without_batches(original, tmp_path / "copy")
    before, after = (yaml.safe_load(each.read_text(encoding="utf-8")) for each in (original, file))
    for phase in before["phases"]:
        assert phase["dispatch"].pop("batch")["dates"] > 1
    assert after == before
    assert (file.parent / "nba_worker" / "service.py").exists()


def write_games(folder: Path, *, season: str, day: str, game: str) -> Path:
    """A source folder of one game in each file."""
    folder.mkdir()
    for table in TABLES:
        row = f"SELECT '{season}' AS season, DATE '{day}' AS game_date, '{game}' AS game_id, 3 AS points"
        duckdb.sql(f"COPY ({row}) TO '{folder / table}.parquet'")
    return folder


def test_a_made_up_season_is_played_years_earlier_on_the_same_day_of_the_week(tmp_path: Path) -> None:
    source = write_games(tmp_path / "source", season="2020-21", day="2020-12-22", game="0022000001")
    sample = write_games(tmp_path / "sample", season="2021-22", day="2021-10-19", game="0022100007")
    merged = merge(source, sample, tmp_path / "merged")
    for table in TABLES:
        rows = duckdb.read_parquet(str(merged / f"{table}.parquet")).fetchall()
        assert rows == [
            ("2015-16", date(2015, 10, 20), "0021500007", 3),
            ("2019-20", date(2019, 10, 22), "0021900007", 3),
            ("2020-21", date(2020, 12, 22), "0022000001", 3),
        ]
    assert {row[1].weekday() for row in rows} == {date(2021, 10, 19).weekday()}


def test_the_six_seasons_before_the_source_are_each_made_once() -> None:
    assert tuple(moved.earlier for moved in MOVED) == EARLIER_SEASONS
    assert not set(EARLIER_SEASONS) & set(ALL_SEASONS)


def test_date_by_date_the_idle_pipeline_names_nothing_that_earlier_commits_do_not_read() -> None:
    single, batched = (json.dumps(idle_pipeline(n).model_dump(mode="json", exclude_defaults=True)) for n in (1, 20))
    assert "batch" not in single and '"batch"' in batched


def test_a_dry_run_is_no_statement_and_every_other_one_is_counted_by_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("query", "query_and_wait", "load_table_from_file"):
        monkeypatch.setattr(Client, name, lambda *_, **__: None)
    counted = count_statements(monkeypatch)
    client = Client.__new__(Client)
    client.query("MERGE", job_config=QueryJobConfig())
    client.query("SELECT", job_config=QueryJobConfig(dry_run=True))
    client.query_and_wait("SELECT", job_config=QueryJobConfig())
    client.query_and_wait("SELECT")
    assert counted == {"statements that write": 1, "queries": 2}


def test_a_profile_tells_modules_by_their_place_in_the_project_and_what_is_built_in_by_its_name() -> None:
    profiler = Profile()
    profiler.runcall(lambda: (stretches([date(2024, 1, 1)] * 20_000, 45), sorted(range(100_000))))
    shares = dict(shares_by_module(Stats(profiler)))
    assert "built-in method builtins.sorted" in shares
    assert any(place.startswith("phasegate/") for place in shares)
    assert sum(shares.values()) <= 1.0 + 1e-9


class TimedCheckout:
    """A checkout whose runs take the seconds that are given, in turn."""

    pipeline = Path("pipeline.yaml")

    def __init__(self, *seconds: float, **told: Any) -> None:
        self._seconds, self._told = iter(seconds), told
        self.asked: list[tuple[object, ...]] = []

    def phasegate(self, *words: object) -> Typed:
        self.asked.append(words)
        document = {"status": "completed", "dates": 2, "tasks": {"expected": 104}} | self._told
        return Typed(json.dumps(document), next(self._seconds), 100.0)


def ground_of(today: TimedCheckout, before: TimedCheckout | None, tmp_path: Path) -> Ground:
    sizes = replace(WHOLE, pairs=3, season=("--season", "2023-24"))
    return Ground(Bounds(), sizes, Path("games"), tmp_path, cast(Checkout, today), cast(Checkout | None, before))


def test_a_season_is_judged_by_the_median_of_the_ratios_of_its_pairs(tmp_path: Path) -> None:
    ground = ground_of(TimedCheckout(10, 20, 10, time={"calls": 7}), TimedCheckout(60, 60, 40), tmp_path)
    one_season(ground)
    season = ground.bounds.measures[0]
    assert (season.ratio, season.figure, season.beside, season.holds) == (4.0, 10.0, Beside("before", 60.0), False)
    assert ground.bounds.details["time of a season"] == {"calls": 7}


def test_without_the_commit_before_a_season_has_a_figure_and_no_ratio(tmp_path: Path) -> None:
    ground = ground_of(TimedCheckout(10, 20, 10), None, tmp_path)
    one_season(ground)
    assert [(each.what.split(",")[0].strip(), each.ratio) for each in ground.bounds.measures] == [
        ("a season", None),
        ("peak memory of a season", None),
    ]


def test_every_run_has_a_home_of_its_own_and_the_same_games(tmp_path: Path) -> None:
    today, before = TimedCheckout(1, 1, 1), TimedCheckout(9, 9, 9)
    one_season(ground_of(today, before, tmp_path))
    asked = [*today.asked, *before.asked]
    assert len({words[1] for words in asked}) == 6
    assert {words[2:] for words in asked} == {
        (
            "run",
            "--pipeline",
            Path("pipeline.yaml"),
            "--source",
            Path("games"),
            "--season",
            "2023-24",
            "--profile",
            "historical",
            "--json",
        )
    }


def test_phasegates_bars_are_told_from_the_others_by_their_colour() -> None:
    ours = PEER | {"name": "Phasegate, in batches of 20"}
    raw = PEER | {"name": "SQLite alone"}
    drawn = plot({"orchestration": Part(taken(), (), {"paces": [ours, raw]})}, [PEER])
    assert re.findall(r'fill="(#[0-9a-f]{6})"', drawn)[1:] == [OURS, THEIRS, THEIRS]
