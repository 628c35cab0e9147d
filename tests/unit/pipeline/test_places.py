"""Errors of a pipeline file name line and column, and a wrong key the nearest right one; YAML means what it meant."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.adapters.yaml_document import YamlDocument
from phasegate.domain.spec.pipeline import Pipeline
from tests.unit.pipeline.test_nba_pipeline import accepts, schema
from tests.unit.pipeline.test_pipeline_file import refusal_with_places
from tests.world import definition

FILE = """\
# A comment.
schema_version: 1
pipeline: shop
timezone: Europe/Berlin
calendar:
  table: raw.schedule
  date_column: d
  season_column: season
  numbers: {orders: COUNT(*)}
history_table: ref.history
workers:
  shop: {factory: "shop:build"}
queues:
  work: {max_concurrent: 10}
phases:
  - name: fetch
    dispatch: {worker: shop, path: /fetch, queue: work}
    processors:
      - name: orders
        output: {kind: table, table: raw.orders, date_column: d, keys: [k]}
        checks:
          - {check: rows, exactly: orders}
  - name: shape
    dispatch: {worker: shop, path: /shape, queue: work}
    gates:
      - check: all_succeeded
        phase: fetch
        processors: [orders]
    failure: {retries: 1}
    processors:
      - name: totals
        output:
          kind: table
          table: shop.totals
          date_column: d
          keys: [k]
"""


def said_of(folder: Path, *changes: tuple[str, str]) -> str:
    """What the loader says about the file with some of its text replaced."""
    text = FILE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return refusal_with_places(folder, text)


def test_the_file_itself_is_sound(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(FILE)
    assert load_pipeline(tmp_path / "pipeline.yaml").pipeline == "shop"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "        processors: [orders]",
            "        procesors: [orders]",
            "FILE:28:9: phases[1].gates[0].procesors: unknown key; did you mean 'processors'?",
        ),
        ("retries: 1", "retrys: 1", "FILE:29:15: phases[1].failure.retrys: unknown key; did you mean 'retries'?"),
        ("max_concurrent", "max_conc", "FILE:14:10: queues.work.max_conc: unknown key; did you mean 'max_concurrent'?"),
        ("numbers:", "entites: {}\n  numbers:", "FILE:9:3: calendar.entites: unknown key; did you mean 'entities'?"),
        (
            "queue: work}\n    gates",
            "queu: work}\n    gates",
            "FILE:24:44: phases[1].dispatch.queu: unknown key; did you",
        ),
        ("keys: [k]}", "keys: [k], fence: f}", "FILE:20:77: phases[0].processors[0].output.fence: unknown key; remove"),
        (
            "factory:",
            "factroy:",
            "FILE:12:10: workers.shop.factroy: unknown key; did you mean 'factory'?",
        ),
        ("- check: all", "- chek: all", "FILE:26:9: phases[1].gates[0].chek: unknown key; did you mean 'check'?"),
    ],
    ids=["a gate", "a policy", "a queue", "the calendar", "a dispatch", "an output", "a worker", "a kind"],
)
def test_an_unknown_key_is_named_with_its_place_and_the_nearest_key_of_that_mapping(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert message in said_of(tmp_path, (old, new))


def test_unknown_keys_come_before_what_is_missing_because_of_them(tmp_path: Path) -> None:
    said = said_of(
        tmp_path,
        ("timezone: Europe/Berlin\n", ""),
        ("max_concurrent", "max_conc"),
        ("queue: work}\n    gates", "queue: work, batch: {dats: 20}}\n    gates"),
    )
    assert [line.split(": ")[1:3] for line in said.splitlines()] == [
        ["queues.work.max_conc", "unknown key; did you mean 'max_concurrent'?"],
        ["phases[1].dispatch.batch.dats", "unknown key; did you mean 'dates'?"],
        ["timezone", "is required and not there"],
        ["phases[1].dispatch.batch.dates", "is required and not there"],
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("retries: 1", "retries: many", "FILE:29:15: phases[1].failure.retries: Input should be a valid integer"),
        ("          table: shop.totals\n", "", "FILE:32:9: phases[1].processors[0].output.table: is required and not"),
        ("check: rows, ", "", "FILE:22:13: phases[0].processors[0].checks[0].check: is required and not there"),
        ("timezone: Europe/Berlin\n", "", "FILE:2:1: timezone: is required and not there"),
        (
            "kind: table,",
            "kind: tabel,",
            "FILE:20:9: phases[0].processors[0].output: unknown kind 'tabel'; did you mean 'table'?",
        ),
        ("date_column: d\n          keys", "date_column: 2\n          keys", "FILE:35:11: phases[1].processors[0].out"),
        ("keys: [k]}", "keys: [k, '!']}", "FILE:20:76: phases[0].processors[0].output.keys[1]: String should match"),
        ("phase: fetch", "phase: fech", "FILE:27:9: phases[1].gates[0].phase: unknown phase 'fech'; did you mean 'fet"),
        ("exactly: orders", "exactly: ordrs", "FILE:22:13: phases[0].processors[0].checks[0]: unknown number 'ordrs'"),
        ("Europe/Berlin", "Berlin", "FILE:4:1: timezone: unknown time zone 'Berlin'"),
        (
            "- check: all_succeeded",
            "- check: all_suceeded",
            "FILE:26:9: phases[1].gates[0]: unknown check 'all_suceeded'; did you ",
        ),
    ],
    ids=[
        "a wrong type",
        "a key that is missing",
        "a kind that is missing",
        "a key of the file that is missing",
        "an unknown kind",
        "a number for a name",
        "an entry of a list",
        "an unknown phase",
        "an unknown number",
        "an unknown time zone",
        "an unknown gate",
    ],
)
def test_a_wrong_value_is_named_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert message in said_of(tmp_path, (old, new))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("phases: [a, b", "FILE:2:1: not valid YAML: while parsing a flow sequence did not find expected ',' or ']'"),
        ("pipeline: a\n\tphases: b", "FILE:2:1: not valid YAML: "),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "FILE:4:3: not valid YAML: the key 'c' is given twice, before in line 3"),
        ("a: 1\nb: *c\n", "FILE:2:4: not valid YAML: found undefined alias"),
        ("a:\n  - 2024-13-45\n", "FILE:2:5: not valid YAML: a value that cannot be made: month must be in 1..12"),
        ("a: 1\non: 2\n", "FILE:2:1: not valid YAML: a key is read as bool, and must be text; write it in quotes"),
        ("a: 1\n? [b]\n: 2\n", "FILE:2:3: not valid YAML: a key is read as seq, and must be text"),
        ("a: 1\nb: !!python/object:os.system x\n", "FILE:2:4: not valid YAML: could not determine a constructor"),
        ("[" * 60, "FILE:1:51: nested more than 50 levels deep; this is not a pipeline file"),
    ],
    ids=[
        "a list",
        "a tab",
        "a key twice",
        "an alias",
        "a date",
        "a bool as key",
        "a list as key",
        "an object",
        "depth",
    ],
)
def test_what_is_no_yaml_is_named_with_its_place(tmp_path: Path, content: str, message: str) -> None:
    assert message in refusal_with_places(tmp_path, content)


def test_a_key_that_a_merge_brings_is_found_where_it_stands() -> None:
    text = "base: &base\n  a: 1\n  b: 2\nother:\n  <<: *base\n  b: 3\n"
    document = YamlDocument(text)
    assert document.content["other"] == {"a": 1, "b": 3}
    assert [document.place(["other", key]) for key in ("a", "b", "c")] == [(2, 3), (6, 3), (4, 1)]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", True),
        ("no", False),
        ("on", True),
        ("off", False),
        ("y", "y"),
        ("n", "n"),
        ("010", 8),
        ("0o10", "0o10"),
        ("0x1F", 31),
        ("1_000", 1000),
        ("1:30", 90),
        ("1e3", "1e3"),
        ("1.0e+3", 1000.0),
        ("1234e56", "1234e56"),
        (".5", 0.5),
        ("2024-01-15", date(2024, 1, 15)),
        ("~", None),
        ("null", None),
        ("'010'", "010"),
    ],
)
def test_a_scalar_means_what_yaml_1_1_says(written: str, value: object) -> None:
    found = YamlDocument(f"a: {written}\n").content["a"]
    assert (found, type(found)) == (value, type(value))


# Keys that had another name


def failing(document: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """The document with these keys in the first phase's policy."""
    document["phases"][0]["failure"] = keys
    return document


def test_the_former_names_of_keys_are_read() -> None:
    old, new = definition(), definition()
    failing(old, brake=3)["calendar"]["playoffs"] = "games"
    failing(new, circuit_breaker=3)["calendar"]["canary_number"] = "games"
    assert Pipeline.model_validate(old) == Pipeline.model_validate(new)
    assert Pipeline.model_validate(new).phases[0].failure.circuit_breaker == 3
    assert Pipeline.model_validate(new).calendar.canary_number == "games"


def test_what_is_stored_and_hashed_keeps_the_former_names_and_has_no_key_that_nobody_gave() -> None:
    document = failing(definition(), circuit_breaker=3)
    document["calendar"]["canary_number"] = "games"
    stored = Pipeline.model_validate(document).model_dump(mode="json", by_alias=True)
    assert (stored["phases"][0]["failure"]["brake"], stored["calendar"]["playoffs"]) == (3, "games")
    assert "sample" not in stored and "request" not in stored["workers"]["world"]
    assert Pipeline.model_validate(stored) == Pipeline.model_validate(document)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "retries: 1",
            "circuit_breaker: 2, brake: 3",
            "FILE:29:35: phases[1].failure.brake: is the former name of 'circuit_breaker', which is given too; remove",
        ),
        (
            "numbers:",
            "canary_number: orders\n  playoffs: orders\n  numbers:",
            "FILE:10:3: calendar.playoffs: is the former name of 'canary_number', which is given too; remove one",
        ),
        ("retries: 1", "brake: 1", "FILE:29:15: phases[1].failure.brake: Input should be greater than or equal to 2"),
        (
            "numbers:",
            "playoffs: ordrs\n  numbers:",
            "FILE:9:3: calendar.canary_number: unknown number 'ordrs'; did you mean 'orders'?",
        ),
        (
            "retries: 1",
            "circuit_braker: 2",
            "FILE:29:15: phases[1].failure.circuit_braker: unknown key; did you mean 'circuit_breaker'?",
        ),
    ],
    ids=["a brake twice", "a number twice", "a wrong brake", "a wrong number", "a name that is neither"],
)
def test_a_former_name_is_told_where_it_stands(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert message in said_of(tmp_path, (old, new))


def test_the_further_limits_of_the_circuit_breaker_are_stored_only_where_they_are_given() -> None:
    plain = Pipeline.model_validate(definition()).model_dump(mode="json", by_alias=True)
    assert {key for key in plain["phases"][0]["failure"] if key.startswith(("circuit", "brake"))} == {"brake"}
    document = failing(definition(), circuit_breaker_any=None, circuit_breaker_blocked=4)
    stored = Pipeline.model_validate(document).model_dump(mode="json", by_alias=True)
    policy = Pipeline.model_validate(stored).phases[0].failure
    assert (policy.circuit_breaker_any, policy.circuit_breaker_blocked) == (None, 4)


def test_a_limit_for_any_failure_below_the_one_for_equal_ones_is_refused(tmp_path: Path) -> None:
    said = said_of(tmp_path, ("retries: 1", "circuit_breaker_any: 9"))
    assert "phases[1].failure.circuit_breaker_any: 9 is below circuit_breaker (10), which counts fewer failures" in said


@pytest.mark.parametrize("name", ["circuit_breaker", "brake"])
def test_the_schema_accepts_a_key_under_either_name_and_marks_the_former_one(name: str) -> None:
    assert accepts(schema(), failing(definition(), **{name: 3}))
    assert not accepts(schema(), failing(definition(), **{name: 1}))
    rule = schema()["$defs"]["FailurePolicy"]["properties"][name]
    assert rule.get("deprecated", False) is (name == "brake")


def test_every_key_of_the_schema_says_what_it_means() -> None:
    every = {"Pipeline": schema(), **schema()["$defs"]}
    silent = [
        f"{model}.{key}"
        for model, rules in every.items()
        for key, rule in rules.get("properties", {}).items()
        if not rule.get("description")
    ]
    assert silent == []
