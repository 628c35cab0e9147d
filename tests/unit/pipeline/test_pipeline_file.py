"""The loader: every mistake is found at load, and its message names file, path and remedy."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from phasegate.adapters.pipeline_file import MAX_BYTES, load_pipeline
from phasegate.domain.errors import InputError
from phasegate.domain.spec.pipeline import Pipeline
from tests.world import definition

Document = dict[str, Any]
FETCH, RAW, SHAPE, FINAL = range(4)


def refusal_with_places(folder: Path, content: str | bytes) -> str:
    """What the loader says about a file, with line and column."""
    path = folder / "pipeline.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as error:
        load_pipeline(path)
    return str(error.value).replace(f"{path}", "FILE")


def refusal(folder: Path, content: str | bytes) -> str:
    """What the loader says about a file, wherever in it."""
    return re.sub(r"^FILE:\d+:\d+: ", "FILE: ", refusal_with_places(folder, content), flags=re.MULTILINE)


def refusal_of(folder: Path, change: Callable[[Document], object]) -> str:
    """What the loader says about the world's pipeline, changed."""
    document = definition()
    change(document)
    return refusal(folder, yaml.safe_dump(document, sort_keys=False))


def phase(document: Document, number: int) -> Document:
    """A phase of the document."""
    found: Document = document["phases"][number]
    return found


def processor(document: Document, number: int, name: str) -> Document:
    """A processor of a phase."""
    return next(x for x in phase(document, number)["processors"] if x["name"] == name)


def gate(document: Document, number: int, **keys: Any) -> None:
    """Put a gate before those of a phase."""
    phase(document, number)["gates"].insert(0, keys)


def first_check(document: Document, **keys: Any) -> None:
    """Replace the checks of ``shape/left`` (``phases[2].processors[0]``)."""
    processor(document, SHAPE, "left")["checks"] = [keys]


def test_a_sound_file_is_loaded_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(definition()))
    assert load_pipeline(tmp_path / "pipeline.yaml") == Pipeline.model_validate(definition())


@pytest.mark.parametrize("key", ["exactly", "at_least"])
def test_a_whole_number_of_rows_needs_no_quotes(tmp_path: Path, key: str) -> None:
    made = []
    for value in (1, "1"):
        document = definition()
        first_check(document, check="rows", **{key: value})
        path = tmp_path / "pipeline.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        made.append(load_pipeline(path))
    assert made[0] == made[1] and made[0].model_dump_json() == made[1].model_dump_json()


@pytest.mark.parametrize("value", [1.5, True, [1]])
def test_rows_that_are_no_whole_number_and_no_expression_are_refused(tmp_path: Path, value: object) -> None:
    said = refusal_of(tmp_path, lambda d: first_check(d, check="rows", exactly=value))
    assert said.startswith("FILE: phases[2].processors[0].checks[0].exactly: ")


def test_a_file_that_is_not_there_is_named_with_the_flag_that_gives_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml: no such pipeline file; give one with --pipeline FILE"):
        load_pipeline(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("phases: [a, b", "FILE: not valid YAML: "),
        ("pipeline: a\n\tphases: b", "FILE: not valid YAML: "),
        ("pipeline: a\npipeline: b", "the key 'pipeline' is given twice"),
        (
            "calendar:\n  table: a.b\n  table: c.d",
            "FILE: not valid YAML: the key 'table' is given twice, before in line 2",
        ),
        ("pipeline: !!python/object:os.system x", "FILE: not valid YAML: could not determine a constructor"),
        ("- a\n- b", "FILE: a pipeline file is a mapping; see: phasegate schema"),
        ("", "FILE: a pipeline file is a mapping; see: phasegate schema"),
        (b"pipeline: \xff\xfe", "FILE: cannot be read: "),
        ("#" * (MAX_BYTES + 1), "FILE: larger than 1,000,000 bytes; this is not a pipeline file"),
        ("? [a, b]\n: c", "FILE: "),
        ("available_from: 2024-13-45", "FILE: "),
        ("pipeline: !!int many", "FILE: "),
        ("pipeline: !!map many", "FILE: "),
    ],
    ids=[
        "an unclosed list",
        "a tab for indentation",
        "a key given twice at the top",
        "a key given twice further down",
        "a Python object",
        "a list",
        "nothing",
        "bytes that are no text",
        "a file that is too large",
        "a key that is a list",
        "a date that does not exist",
        "a number that is none",
        "a mapping that is none",
    ],
)
def test_a_file_that_is_no_mapping_of_yaml_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert message in refusal(tmp_path, content)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_pipeline(tmp_path)


def without(key: str) -> Callable[[Document], object]:
    """The document without one of its keys."""
    return lambda document: document.pop(key)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("timezone"), "FILE: timezone: is required and not there"),
        (lambda d: phase(d, RAW).pop("dispatch"), "FILE: phases[1].dispatch: is required and not there"),
        (lambda d: processor(d, SHAPE, "left")["output"].pop("keys"), "phases[2].processors[0].output.keys: is"),
        (lambda d: d.update(colour="red"), "FILE: colour: unknown key; remove it, or see `phasegate schema`"),
        (lambda d: phase(d, SHAPE).update(retires=3), "FILE: phases[2].retires: unknown key"),
        (lambda d: d.update(schema_version=2), "FILE: schema_version: "),
        (lambda d: d.update(pipeline="Not A Name"), "FILE: pipeline: String should match pattern"),
        (lambda d: d["queues"]["work"].update(max_per_second=501), "FILE: queues.work.max_per_second: "),
        (lambda d: phase(d, FETCH)["limits"].update(active_dates=0), "(given: 0)"),
        (lambda d: phase(d, FETCH).update(processors=[]), "FILE: phases[0].processors: "),
        (lambda d: d.update(phases=[]), "FILE: phases: "),
        (lambda d: gate(d, SHAPE, check="guess", phase="raw"), "FILE: phases[2].gates[0]: "),
        (lambda d: first_check(d, check="guess"), "FILE: phases[2].processors[0].checks[0]: "),
        (lambda d: processor(d, FETCH, "a")["output"].update(path="a.jsonl"), "phases[0].processors[0].output.path"),
    ],
    ids=[
        "a key of the file is missing",
        "a key of a phase is missing",
        "a key of an output is missing",
        "an unknown key of the file",
        "an unknown key of a phase",
        "another version",
        "a name that is none",
        "a rate above Cloud Tasks' own",
        "a limit of no date",
        "a phase without processors",
        "no phases",
        "an unknown kind of gate",
        "an unknown kind of check",
        "an object's path without its date",
    ],
)
def test_a_value_of_the_wrong_shape_is_named_with_its_path(
    tmp_path: Path, change: Callable[[Document], object], message: str
) -> None:
    assert message in refusal_of(tmp_path, change)


def cycle(document: Document) -> None:
    """Left needs right, which needs left."""
    processor(document, SHAPE, "left")["needs"] = ["right"]


def longer_cycle(document: Document) -> None:
    """Left needs ahead, ahead right, right left."""
    processor(document, SHAPE, "left")["needs"] = ["ahead"]
    processor(document, SHAPE, "ahead")["needs"] = ["shape/right"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: gate(d, FINAL, check="all_succeeded", phase="shape", processors=["rihgt"]),
            "FILE: phases[3].gates[0].processors: unknown processor 'rihgt'; did you mean 'right'?",
        ),
        (
            lambda d: gate(d, FINAL, check="lookback", processors=["lefft"], dates=2),
            "FILE: phases[3].gates[0].processors: unknown processor 'lefft'; did you mean 'left'?",
        ),
        (
            lambda d: gate(d, SHAPE, check="lookback", **{"for": ["ahaed"]}, processors=["raw/a"], dates=2),
            "FILE: phases[2].gates[0].for: unknown processor 'ahaed' of this phase; did you mean 'ahead'?",
        ),
        (
            lambda d: processor(d, SHAPE, "right").update(needs=["lefft"]),
            "FILE: phases[2].processors[1].needs: unknown processor 'lefft'; did you mean 'left'?",
        ),
        (
            lambda d: processor(d, SHAPE, "left").update(reads=["raw/z"]),
            "FILE: phases[2].processors[0].reads: unknown processor 'raw/z'; known: a, b",
        ),
        (
            lambda d: processor(d, FINAL, "total").update(reads=["a"]),
            "FILE: phases[3].processors[0].reads: 'a' is a processor of several phases; write fetch/a or raw/a",
        ),
        (
            lambda d: first_check(d, check="entities", key="k", processor="rwa/a"),
            "FILE: phases[2].processors[0].checks[0].processor: unknown processor 'rwa/a'",
        ),
        (
            lambda d: gate(d, FINAL, check="all_succeeded", phase="shap"),
            "FILE: phases[3].gates[0].phase: unknown phase 'shap'; did you mean 'shape'?",
        ),
        (
            lambda d: phase(d, RAW).update(released_with="fecth"),
            "FILE: phases[1].released_with: unknown phase 'fecth'; did you mean 'fetch'?",
        ),
        (
            lambda d: phase(d, RAW)["dispatch"].update(worker="wrold"),
            "FILE: phases[1].dispatch.worker: unknown worker 'wrold'; did you mean 'world'?",
        ),
        (
            lambda d: phase(d, RAW)["dispatch"].update(queue="wrok"),
            "FILE: phases[1].dispatch.queue: unknown queue 'wrok'; did you mean 'work'?",
        ),
        (
            lambda d: processor(d, RAW, "b").update(queue="fetchs"),
            "FILE: phases[1].processors[1].queue: unknown queue 'fetchs'; did you mean 'fetches'?",
        ),
        (
            lambda d: first_check(d, check="rows", exactly="2 * gmaes"),
            "FILE: phases[2].processors[0].checks[0]: unknown number 'gmaes'; did you mean 'games'?",
        ),
        (
            lambda d: first_check(d, check="entities", key="k", calendar="taems"),
            "FILE: phases[2].processors[0].checks[0].calendar: unknown entity list 'taems'; did you mean 'teams'?",
        ),
        (
            lambda d: d.update(profiles={"quick": {"phases": "fetch..shap"}}),
            "FILE: profiles.quick.phases: unknown phase 'shap'; did you mean 'shape'?",
        ),
    ],
    ids=[
        "a gate's processor",
        "a lookback's processor",
        "a release group's processor",
        "a need",
        "a read",
        "a read that is ambiguous",
        "a check's processor",
        "a gate's phase",
        "a companion phase",
        "a worker",
        "a phase's queue",
        "a processor's queue",
        "a number",
        "an entity list",
        "a profile's phase",
    ],
)
def test_an_unknown_name_is_found_with_what_was_perhaps_meant(
    tmp_path: Path, change: Callable[[Document], object], message: str
) -> None:
    assert message in refusal_of(tmp_path, change)


def test_who_reads_nothing_on_its_date_names_nothing_that_it_reads_there(tmp_path: Path) -> None:
    said = refusal_of(tmp_path, lambda d: processor(d, SHAPE, "left").update(reads_same_date=False))
    assert "phases[2].processors[0].reads_same_date: 'false' contradicts 'reads'" in said


def test_dates_go_in_order_or_canaries_go_first(tmp_path: Path) -> None:
    both = {"phases": "fetch..final", "canary": True, "stops_at_bad_date": True}
    said = refusal_of(tmp_path, lambda d: d.update(profiles={"current": both}))
    assert (
        "FILE: profiles.current.stops_at_bad_date: its dates go in the order of the calendar, and those of a `ca"
        in said
    )


def test_who_reads_the_calendar_names_the_one_way_and_writes_a_table(tmp_path: Path) -> None:
    said = refusal_of(tmp_path, lambda d: processor(d, SHAPE, "left").update(reads_calendar="season_to_dat"))
    assert "phases[2].processors[0].reads_calendar: Input should be 'season_to_date' (given: 'season_to_dat')" in said
    said = refusal_of(tmp_path, lambda d: processor(d, FINAL, "note").update(reads_calendar="season_to_date"))
    assert "phases[3].processors[1].reads_calendar: what an output was made from is kept of tables, and it " in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cycle, "FILE: phases[2].processors: needs form a cycle: left -> right -> left"),
        (longer_cycle, "FILE: phases[2].processors: needs form a cycle: left -> ahead -> right -> left"),
        (
            lambda d: processor(d, SHAPE, "left").update(needs=["left"]),
            "FILE: phases[2].processors[0].needs: 'left' needs itself",
        ),
        (
            lambda d: processor(d, FINAL, "total").update(needs=["shape/left"]),
            "phases[3].processors[0].needs: unknown processor 'shape/left'; known: note, total "
            "(needs name processors of this phase or of the one it is released with)",
        ),
        (
            lambda d: gate(d, SHAPE, check="all_succeeded", phase="final"),
            "FILE: phases[2].gates[0].phase: 'final' is not an earlier phase; an edge points backwards only",
        ),
        (
            lambda d: gate(d, SHAPE, check="barrier", phase="shape"),
            "FILE: phases[2].gates[0].phase: 'shape' is not an earlier phase; an edge points backwards only",
        ),
        (
            lambda d: phase(d, RAW).update(released_with="shape"),
            "FILE: phases[1].released_with: 'shape' is not an earlier phase",
        ),
        (
            lambda d: gate(d, SHAPE, check="lookback", processors=["total"], dates=2),
            "FILE: phases[2].gates[0].processors: 'total' is of a later phase; a lookback reads earlier ones",
        ),
        (
            lambda d: gate(d, SHAPE, check="lookback", processors=["left"], dates=2),
            "FILE: phases[2].gates[0].processors: 'left' would look back on itself; narrow the gate with `for`",
        ),
        (
            lambda d: gate(d, FINAL, check="lookback", processors=["total"], dates=2),
            "FILE: phases[3].gates[0].processors: 'total' would look back on itself",
        ),
        (
            lambda d: gate(d, FINAL, check="lookback", processors=["fetch/a"], dates=2),
            "FILE: phases[3].gates[0].processors: 'fetch/a' writes no table; a lookback judges tables",
        ),
        (
            lambda d: gate(d, FINAL, check="lookback", processors=["left"], dates=2, days=2),
            "FILE: phases[3].gates[0]: give either dates (of the calendar) or days (calendar days)",
        ),
        (
            lambda d: gate(d, FINAL, check="lookback", processors=["left"]),
            "FILE: phases[3].gates[0]: give either dates (of the calendar) or days (calendar days)",
        ),
        (
            lambda d: phase(d, FINAL).pop("gates"),
            "FILE: phases[3].gates: no edge leads to 'total'; add a gate (for example all_succeeded)",
        ),
        (
            lambda d: phase(d, RAW).update(gates=[{"check": "all_succeeded", "phase": "fetch"}]),
            "FILE: phases[1].gates: a phase that is released with another takes that one's gates; remove these",
        ),
    ],
    ids=[
        "two need each other",
        "three need each other in a ring",
        "a processor needs itself",
        "a need outside the phase",
        "a gate on a later phase",
        "a barrier on its own phase",
        "released with a later phase",
        "a lookback on a later phase",
        "a lookback of a release group on itself",
        "a lookback of a phase on itself",
        "a lookback on an object",
        "a lookback of dates and days",
        "a lookback of neither",
        "a phase that nothing leads to",
        "gates of a phase that is released with another",
    ],
)
def test_an_edge_that_cannot_be_is_found_at_load(
    tmp_path: Path, change: Callable[[Document], object], message: str
) -> None:
    assert message in refusal_of(tmp_path, change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: first_check(d, check="rows", exactly="games / 2"),
            "FILE: phases[2].processors[0].checks[0]: 'games / 2' is not arithmetic (use integers, names, + - *",
        ),
        (
            lambda d: first_check(d, check="rows", exactly="1", at_least="1"),
            "FILE: phases[2].processors[0].checks[0]: give either `exactly` or `at_least`",
        ),
        (lambda d: first_check(d, check="rows"), "give either `exactly` or `at_least`"),
        (lambda d: first_check(d, check="rows", exactly=""), "FILE: phases[2].processors[0].checks[0]"),
        (
            lambda d: first_check(d, check="entities", key="k"),
            "FILE: phases[2].processors[0].checks[0]: give either `calendar` (an entity list) or `processor`",
        ),
        (
            lambda d: first_check(d, check="entities", key="k", processor="fetch/a"),
            "FILE: phases[2].processors[0].checks[0].processor: 'fetch/a' writes no table",
        ),
        (
            lambda d: processor(d, FINAL, "note").update(checks=[{"check": "rows", "exactly": "1"}]),
            "FILE: phases[3].processors[1].checks[0]: 'rows' reads a table, and this processor writes none",
        ),
        (
            lambda d: processor(d, SHAPE, "ahead")["output"].update(table="raw.a"),
            "FILE: phases[2].processors[2].output.table: raw.a is already written by raw/a",
        ),
        (lambda d: phase(d, RAW).update(name="fetch"), "FILE: phases: the name 'fetch' is used twice"),
        (
            lambda d: processor(d, RAW, "b").update(aliases=["p2_a"]),
            "FILE: phases[1].processors: the name 'p2_a' is used twice",
        ),
    ],
    ids=[
        "rows that are no arithmetic",
        "rows exactly and at least",
        "rows of neither",
        "rows of an empty text",
        "entities of nothing",
        "entities of an object",
        "a check where there is no table",
        "a table written twice",
        "a phase's name used twice",
        "an alias used twice",
    ],
)
def test_a_check_or_an_output_that_cannot_be_is_found_at_load(
    tmp_path: Path, change: Callable[[Document], object], message: str
) -> None:
    assert message in refusal_of(tmp_path, change)


ODDS = {"table": "raw.odds", "date_column": "d", "file": "odds.parquet", "otherwise": "no odds"}


@pytest.mark.parametrize(
    ("sources", "named", "message"),
    [
        ({"odds": ODDS}, "ods", "processors[0].source_dates: unknown source 'ods'; did you mean 'odds'?"),
        ({}, "odds", "source_dates: unknown source 'odds'; the calendar has no sources"),
        ({"odds": ODDS, "more": ODDS}, "odds", "sources.more.table: raw.odds stands already in calendar.sources.odds"),
        (
            {"odds": {**ODDS, "table": "raw.schedule"}},
            "odds",
            "odds.table: raw.schedule stands already in calendar.table",
        ),
        ({"odds": {**ODDS, "file": "../odds.parquet"}}, "odds", "FILE: calendar.sources.odds.file: "),
    ],
    ids=["another name", "no sources", "one table twice", "the schedule's table", "a file elsewhere"],
)
def test_a_source_that_cannot_be_is_found_at_load(tmp_path: Path, sources: Document, named: str, message: str) -> None:
    def change(document: Document) -> None:
        document["calendar"]["sources"] = sources
        processor(document, RAW, "a")["source_dates"] = named

    assert message in refusal_of(tmp_path, change)


COMPARED = {"table": "raw.boxes", "date_column": "d", "file": "boxes.parquet"}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([COMPARED, COMPARED], "tables[1].table: raw.boxes stands there twice"),
        (
            [{**COMPARED, "table": "raw.schedule"}],
            "tables[0].table: raw.schedule is the schedule; name what it is to be",
        ),
        ([{**COMPARED, "key": ["a", "b"]}], "tables[0].key: 2 columns, and calendar.cross_check.key has 1"),
        ([{**COMPARED, "table": "raw.odds"}], "tables[0].file: calendar.sources has odds.parquet for raw.odds"),
        ([{**COMPARED, "fille": "x"}], "tables[0].fille: unknown key; did you mean 'file'?"),
        ([{**COMPARED, "file": "../boxes.parquet"}], "FILE: calendar.cross_check.tables[0].file: "),
    ],
    ids=["twice", "the schedule", "a longer key", "two files", "a typo", "a file elsewhere"],
)
def test_a_cross_check_that_cannot_be_is_found_at_load(tmp_path: Path, tables: list[Document], message: str) -> None:
    def change(document: Document) -> None:
        document["calendar"]["sources"] = {"odds": ODDS}
        document["calendar"]["cross_check"] = {"units": "games", "key": ["home_team"], "tables": tables}
        processor(document, RAW, "a")["source_dates"] = "odds"

    assert message in refusal_of(tmp_path, change)


def test_a_pipeline_without_a_cross_check_is_stored_as_before() -> None:
    assert "cross_check" not in Pipeline.model_validate(definition()).model_dump(mode="json")["calendar"]


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    def spoil(document: Document) -> None:
        phase(document, RAW)["dispatch"]["queue"] = "nowhere"
        phase(document, FINAL)["dispatch"]["worker"] = "nobody"

    assert [line.split(": ")[1] for line in refusal_of(tmp_path, spoil).splitlines()] == [
        "phases[1].dispatch.queue",
        "phases[3].dispatch.worker",
    ]


def test_more_than_twenty_problems_are_counted_and_not_all_shown(tmp_path: Path) -> None:
    lines = refusal_of(tmp_path, lambda d: d.update({f"key_{n}": n for n in range(25)})).splitlines()
    assert (len(lines), lines[-1]) == (21, "… and 5 more")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"timeout_seconds": 1801},
            "phases[0].processors[0].timeout_seconds: 1801 s is too long for an answer: at most 1800",
        ),
        ({"timeout_seconds": 0}, "phases[0].processors[0].timeout_seconds"),
        ({"timeout_seconds": 0.5}, "phases[0].processors[0].timeout_seconds: Input should be a valid integer"),
        ({"failure": {"then": "continue"}}, "phases[0].processors[0].failure.then"),
        ({"failure": {"retries": 21}}, "phases[0].processors[0].failure.retries"),
    ],
)
def test_what_a_processor_may_not_say_of_its_timeout_and_failures_is_refused(
    tmp_path: Path, keys: Document, message: str
) -> None:
    assert message in refusal_of(tmp_path, lambda d: phase(d, FETCH)["processors"][0].update(keys))


@pytest.mark.parametrize("seconds", [0, 0.5, -1])
def test_a_timeout_below_a_second_is_refused(tmp_path: Path, seconds: float) -> None:
    said = refusal_of(tmp_path, lambda d: phase(d, FETCH)["dispatch"].update(timeout_seconds=seconds))
    assert "phases[0].dispatch.timeout_seconds: Input should be " in said


NUMBERS: dict[str, tuple[str, str, str]] = {
    "an infinite backoff of a queue": ("max_concurrent: 100", "max_backoff_seconds: .inf", "queues.fetches"),
    "no number": ("retries: 2", "retries: .nan", "phases[0].failure.retries"),
    "a minus infinity in a check": ("games: COUNT(*)", "games: -.inf", "calendar.numbers.games"),
    "a number that overflows": ("bootstrap_days: 2", "bootstrap_days: 1.0e+999", "calendar.bootstrap_days"),
    "a whole number beyond JSON": ("active_dates: 3", f"active_dates: 1{'0' * 400}", "phases[0].limits.active_dates"),
    "one among a worker's constants": (
        "factory: tests.world:build",
        "factory: tests.world:build\n    request: {a: [{b: .inf}]}",
        "workers.world.request.a[0].b",
    ),
}


@pytest.mark.parametrize(("old", "new", "where"), NUMBERS.values(), ids=NUMBERS)
def test_a_number_that_no_plan_gives_back_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, where: str
) -> None:
    text = yaml.safe_dump(definition(), sort_keys=False)
    assert old in text
    said = refusal_with_places(tmp_path, text.replace(old, new, 1))
    assert re.match(rf"FILE:\d+:\d+: {re.escape(where)}.*: .*write a (finite one|smaller number)$", said), said


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_a_number_that_no_plan_gives_back_is_none_of_a_pipeline_that_was_read_from_no_file(number: float) -> None:
    document = definition()
    document["queues"]["work"]["max_backoff_seconds"] = number
    with pytest.raises(ValidationError, match="max_backoff_seconds"):
        Pipeline.model_validate(document)


def test_a_queue_does_not_wait_for_longer_than_a_day(tmp_path: Path) -> None:
    said = refusal_of(tmp_path, lambda d: d["queues"]["work"].update(max_backoff_seconds=1e300))
    assert said == "FILE: queues.work.max_backoff_seconds: 1e+300 is more than a day (86,400); wait less"


def test_an_anchor_that_holds_itself_is_looked_into_once(tmp_path: Path) -> None:
    assert refusal(tmp_path, "schema_version: &all [*all, .inf]").startswith(
        "FILE: schema_version[1]: inf is no number"
    )


PATHS: dict[str, tuple[str, str]] = {
    "absolute": ("/etc/{date}.json", "'/etc/2024-01-01.json' is not an object name: write a relative path"),
    "out of the store": ("../{date}.json", "'../2024-01-01.json' is not an object name: write a relative path"),
    "out of the store on a detour": ("a/../../{date}", "'a/../../2024-01-01' is not an object name"),
    "a slash too many": ("a//{date}", "'a//2024-01-01' is not an object name"),
    "a slash at the end": ("a/{date}/", "'a/2024-01-01/' is not an object name"),
    "among the records of rollbacks": ("rollbacks/{date}/done.json", "'rollbacks/' holds Phasegate's own records"),
    "among the reports": ("reports/{date}", "'reports/' holds Phasegate's own records"),
    "the name of an unfinished file": ("a/.unfinished-{date}", "no part of it may begin with '.unfinished-'"),
    "too long": (f"{'a' * 191}{{date}}", "is too long: at most 1000 characters, and 200 between two slashes"),
}


@pytest.mark.parametrize(("path", "message"), PATHS.values(), ids=PATHS)
def test_an_object_that_nobody_may_write_is_refused_when_the_file_is_loaded(
    tmp_path: Path, path: str, message: str
) -> None:
    said = refusal_of(tmp_path, lambda d: processor(d, FETCH, "a")["output"].update(path=path))
    assert said.startswith(f"FILE: phases[0].processors[0].output.path: {message}"), said


SHARED: dict[str, tuple[str, str]] = {
    "the same object": ("a/{date}.jsonl", "a/{date}.jsonl is already written by fetch/a"),
    "an object in an object": ("a/{date}.jsonl/{date}", "and the object of fetch/a cannot both be: one is a folder"),
}


@pytest.mark.parametrize(("path", "message"), SHARED.values(), ids=SHARED)
def test_an_object_has_one_writer(tmp_path: Path, path: str, message: str) -> None:
    said = refusal_of(tmp_path, lambda d: processor(d, FETCH, "b")["output"].update(path=path))
    assert said.startswith("FILE: phases[0].processors[1].output.path: ") and said.endswith(message), said


@pytest.mark.parametrize("table", ["ref.history", "ref.reports", "phasegate.identity"])
def test_no_processor_writes_a_table_of_our_own(tmp_path: Path, table: str) -> None:
    def change(document: Document) -> None:
        document["report"] = {"table": "ref.reports"}
        processor(document, SHAPE, "right")["output"]["table"] = table

    said = refusal_of(tmp_path, change)
    assert said.startswith(f"FILE: phases[2].processors[1].output.table: {table} is already written by Phasegate"), said
