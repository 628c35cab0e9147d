"""What a pipeline file knows to be wrong may pass: in every run, in the plan of the next one and for the verifier."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.endtoend.test_bad_input import assert_refused
from tests.endtoend.test_command_line import Site

RANGE = {"check": "range", "name": "sane", "column": "v", "min": 0, "max": 500}
RECORD = {"dates": ["2024-01-02"], "processor": "raw/a", "check": "sane", "why": "a record"}
GONE = {"dates": ["2024-01-03"], "processor": "fetch/b", "check": "unrecoverable", "why": "the site was closed"}


def ranged(document: dict[str, Any]) -> None:
    """``raw.a`` has a range."""
    document["phases"][1]["processors"][0]["checks"].append(dict(RANGE))


def knowing(*known: dict[str, Any]) -> Any:
    """``raw.a`` has a range, and the file knows of exceptions."""

    def change(document: dict[str, Any]) -> None:
        ranged(document)
        document["known"] = [dict(each) for each in known]

    return change


def spoilt(site: Site) -> Site:
    """On 2 January a value is out of range; the source of ``b`` of 3 January is gone."""
    data = site.world.data()
    data["a"]["2024-01-02"][0]["v"] = 1000
    site.world.rewrite(data)
    site.world.misbehave(fetch__b__2=["fail:unrecoverable"])
    return site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site that knows of both."""
    made = spoilt(Site(tmp_path, knowing(RECORD, GONE)))
    yield made
    made.close()


def test_a_known_exception_lets_every_run_and_every_report_pass(site: Site) -> None:
    first = site.call(*site.selecting("run"), "--run-id", "first")
    assert first.code == 0, first.err
    assert "waived: sane of raw/a on 2024-01-02, without an end, by the pipeline file: a record (1 verdict" in " ".join(
        first.out.split()
    )
    assert "(waived without an end by the pipeline file: a record)" in site("explain", "first", "2024-01-02", "raw").out
    report = site("verify", "first", "--json")
    assert (report.code, report.document["verdict"].partition(":")[0]) == (0, "Complete but for waivers")
    waivers = {w["check"]: (w["lets_pass"], w["by"]) for w in report.document["waivers"]}
    assert waivers == {"sane": (1, "the pipeline file"), "unrecoverable": (2, "the pipeline file")}


def test_the_next_run_adopts_what_is_known_and_the_tables_alone_are_judged_by_it(site: Site) -> None:
    assert site.call(*site.selecting("run"), "--run-id", "first").code == 0
    plan = site.call(*site.selecting("plan", "--dates", "2024-01-02", "--phases", "raw..raw")).out
    assert "2 tasks: 0 to run, 2 adopted" in plan, "the table is as good as it will be"
    others = ("--season", "2023-24", "--phases", "shape..final", "--reprocess", "all")
    later = site.call(*site.selecting("run", *others), "--run-id", "later")
    assert later.code == 0, "the tables that it reads are let pass too"
    tables = site.call(*site.selecting("verify", "--season", "2023-24", "--json"))
    assert {w["check"]: w["lets_pass"] for w in tables.document["waivers"]}["sane"] == 1
    assert not [f for f in tables.document["findings"] if f["date"] in ("2024-01-02", "2024-01-03")]


RAW = ("--season", "2023-24", "--phases", "fetch..raw")


def test_what_is_known_to_be_gone_is_adopted_by_the_next_run_with_all_that_needs_it(site: Site) -> None:
    assert site.call(*site.selecting("run"), "--run-id", "first").code == 0
    plan = site.call(*site.selecting("plan"), "--json").document
    assert plan["tasks"]["run"] == 6, "what leaves nothing to look at, and nothing else"
    again = site.call(*site.selecting("run"), "--run-id", "again")
    assert (again.code, "does not bear" in again.out) == (0, False), again.out
    assert site("verify", "again", "--json").document["findings"] == []
    others = site.call(*site.selecting("run", "--season", "2023-24", "--reprocess", "all"), "--run-id", "all")
    assert others.code == 0, "everything is tried again"


def test_a_table_whose_source_is_known_to_be_gone_needs_no_object_either(tmp_path: Path) -> None:
    site = spoilt(Site(tmp_path, knowing(RECORD, {**GONE, "processor": "raw/b"})))
    try:
        assert site.call(*site.selecting("run"), "--run-id", "first").code == 0
        assert site("verify", "first", "--json").document["findings"] == []
    finally:
        site.close()


HOME_TEAMS = "MOD(CAST(SUBSTR(k, 2) AS INT64), 2) = 0"


def short_of_a_game(*known: dict[str, Any]) -> Any:
    """The calendar is compared with ``raw.a``, which lacks a game of 2 January."""

    def change(document: dict[str, Any]) -> None:
        table = {"table": "raw.a", "date_column": "d", "key": ["k", "d"], "condition": HOME_TEAMS, "rows": "home rows"}
        check = {"units": "games", "key": ["home_team", "game_date"], "tables": [table]}
        document["calendar"]["cross_check"] = check
        document["known"] = [dict(each) for each in known]

    return change


def lose_a_game(site: Site) -> None:
    """The source has lost the second game of 2 January in ``a``."""
    data = site.world.data()
    data["a"]["2024-01-02"] = data["a"]["2024-01-02"][:2]
    site.world.rewrite(data)


def test_a_known_exception_lets_the_units_pass_that_the_cross_check_misses(tmp_path: Path) -> None:
    lost = {"dates": ["2024-01-02"], "processor": "raw/a", "why": "one game was lost"}
    site = Site(tmp_path, short_of_a_game({**lost, "check": "rows"}, {**lost, "check": "entities"}))
    try:
        lose_a_game(site)
        run = site.call(*site.selecting("run", *RAW), "--run-id", "r")
        assert (run.code, "does not bear that out" in run.out) == (0, False), run.out
        report = site("verify", "r", "--json")
        assert report.document["verdict"].startswith("Complete but for waivers"), report.document["verdict"]
        assert "but for 1 output and units of 1 date that waivers let pass" in report.document["verdict"]
        preflight = site.call(*site.selecting("preflight"))
        assert "PASS calendar raw.schedule" in preflight.out, preflight.out
    finally:
        site.close()


def test_a_waiver_of_a_run_lets_them_pass_too(tmp_path: Path) -> None:
    site = Site(tmp_path, short_of_a_game())
    try:
        lose_a_game(site)
        assert site.call(*site.selecting("run", *RAW), "--run-id", "r").code == 1
        by = ("--date", "2024-01-02", "--phase", "raw", "--until", "2099-01-01", "--why", "lost", "--by", "ann")
        site("waive", "r", "--check", "rows", *by)
        assert site("waive", "r", "--check", "entities", *by).code == 0
        assert site("verify", "r", "--json").document["findings"] == []
    finally:
        site.close()


def test_without_the_exception_the_same_date_is_blocked_and_a_finding(tmp_path: Path) -> None:
    site = spoilt(Site(tmp_path, ranged))
    try:
        run = site.call(*site.selecting("run"), "--run-id", "first")
        assert run.code == 1
        assert "Run first: completed_with_failures. 6 dates" in run.out, "its report says the same"
        tables = site.call(*site.selecting("verify", "--season", "2023-24", "--json"))
        assert [f["processor"] for f in tables.document["findings"] if f["date"] == "2024-01-02"]
    finally:
        site.close()


def test_an_exception_that_has_ended_is_a_warning_and_lets_nothing_pass(tmp_path: Path) -> None:
    site = spoilt(Site(tmp_path, knowing({**RECORD, "until": "2024-06-30"}, GONE)))
    try:
        preflight = site.call(*site.selecting("preflight"))
        assert preflight.code == 0, preflight.out
        assert "WARN known sane of raw/a: ended with 2024-06-30, and lets nothing pass any more" in preflight.out
        assert site.call(*site.selecting("run"), "--run-id", "r").code == 1
        assert "2024-01-02 raw is blocked" in site("explain", "r").out
    finally:
        site.close()


def test_an_exception_on_a_date_that_the_schedule_does_not_have_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path, knowing({**RECORD, "dates": ["2024-01-02", "2024-02-29"]}))
    try:
        refused = site.call(*site.selecting("run"))
        said = "FAIL known sane of raw/a: the schedule has no 2024-02-29; correct `known`"
        assert_refused(refused, said)
        planned = site.call(*site.selecting("plan"))
        assert (planned.code, said in planned.out) == (0, True), "a plan is shown, whatever would keep it from starting"
        warnings = site.call(*site.selecting("plan"), "--json").document["warnings"]
        assert [warning for warning in warnings if warning.startswith(said)]
        assert not (site.home / "state.sqlite").exists()
    finally:
        site.close()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "processor": ({"processor": "raw/c"}, "known[0].processor: unknown processor 'raw/c'"),
    "several": ({"processor": "a"}, "known[0].processor: 'a' is a processor of several phases; write fetch/a or raw/a"),
    "check": ({"check": "sain"}, "known[0].check: nothing of 'raw/a' is checked by 'sain'; did you mean 'sane'?"),
    "twice": ({"dates": ["2024-01-02", "2024-01-02"]}, "known[0].dates: a date stands there twice"),
    "no date": ({"dates": []}, "known[0].dates"),
    "no reason": ({"why": ""}, "known[0].why"),
    "an end that is none": ({"until": "soon"}, "known[0].until"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_an_exception_of_something_that_is_not_there_is_refused_with_its_place(
    tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    site = Site(tmp_path, knowing(RECORD))
    try:
        document = yaml.safe_load(site.world.pipeline_file.read_text())
        document["known"][0].update(given)
        site.world.pipeline_file.write_text(yaml.safe_dump(document))
        assert_refused(site.call(*site.selecting("plan")), message)
    finally:
        site.close()
