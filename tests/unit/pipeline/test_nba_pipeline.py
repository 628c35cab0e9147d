"""The shipped pipeline, against the user's documents; and the schema that editors check it with."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.cli.main import app
from phasegate.domain.spec.gates import AllSucceeded, Lookback
from phasegate.domain.spec.pipeline import Pipeline, Processor, TableOutput
from tests.conftest import NBA_PIPELINE

SCRAPERS, RAW, ANALYTICS, PRECOMPUTE = "phase_1_scrapers", "phase_2_raw", "phase_3_analytics", "phase_4_precompute"
PREDICTIONS, EXPORTS = "phase_5_predictions", "phase_6_exports"
SYSTEMS = ["moving_average_baseline", "zone_matchup_v1", "similarity_balanced_v1", "xgboost_v1"]
UPCOMING = ["upcoming_player_game_context", "upcoming_team_game_context"]
LOOKED_BACK_ON = ["player_game_summary", "team_offense_game_summary", "team_defense_game_summary"]


@cache
def nba() -> Pipeline:
    """The file as it is shipped."""
    return load_pipeline(NBA_PIPELINE)


def processors(phase: str) -> dict[str, Processor]:
    """Processors of a phase by name."""
    return {x.name: x for x in nba().phase(phase).processors}


def test_it_has_sixty_five_processors_in_six_phases() -> None:
    counts = {SCRAPERS: 21, RAW: 21, ANALYTICS: 5, PRECOMPUTE: 5, PREDICTIONS: 10, EXPORTS: 3}
    assert {p.name: len(p.processors) for p in nba().phases} == counts


def test_each_scraper_has_one_raw_processor_that_waits_for_it_only() -> None:
    assert {n: x.needs for n, x in processors(RAW).items()} == {n: [f"{SCRAPERS}/{n}"] for n in processors(SCRAPERS)}


def test_scrapers_and_raw_processors_are_released_together() -> None:
    assert (nba().phase(RAW).released_with, nba().phase(RAW).gates) == (SCRAPERS, [])


def test_scrapers_and_exports_write_objects_and_all_others_tables() -> None:
    kinds = {p.name: {x.output.kind for x in p.processors} for p in nba().phases}
    assert kinds.pop(SCRAPERS) == kinds.pop(EXPORTS) == {"object"}
    assert list(kinds.values()) == [{"table"}] * 4


def test_the_five_analytics_and_the_one_need_among_them() -> None:
    assert {n: x.needs for n, x in processors(ANALYTICS).items()} == {
        "player_game_summary": ["team_offense_game_summary"],
        "team_offense_game_summary": [],
        "team_defense_game_summary": [],
        "upcoming_player_game_context": [],
        "upcoming_team_game_context": [],
    }


def test_the_five_precompute_stand_in_their_strict_order() -> None:
    assert {n: x.needs for n, x in processors(PRECOMPUTE).items()} == {
        "team_defense_zone_analysis": [],
        "player_shot_zone_analysis": [],
        "player_composite_factors": ["team_defense_zone_analysis", "player_shot_zone_analysis"],
        "player_daily_cache": ["player_composite_factors"],
        "ml_feature_store_v2": ["player_daily_cache"],
    }


def test_predictions_their_grades_and_what_follows_from_these_stand_in_their_order() -> None:
    assert {n: x.needs for n, x in processors(PREDICTIONS).items()} == {
        **{name: [] for name in SYSTEMS},
        "ensemble_v1": SYSTEMS,
        "player_prop_predictions": [*SYSTEMS, "ensemble_v1"],
        "prediction_accuracy": ["player_prop_predictions"],
        "system_daily_performance": ["prediction_accuracy"],
        "prediction_performance_summary": ["system_daily_performance"],
        "scoring_tier_adjustments": ["system_daily_performance"],
    }


def test_exports_are_checked_by_their_schemas_and_published_once() -> None:
    for name, export in processors(EXPORTS).items():
        assert [check.model_dump(by_alias=True)["schema"] for check in export.checks] == [f"exports/{name}.schema.json"]
        assert export.destructive == "when_present"


def test_the_learned_system_alone_is_the_workers() -> None:
    assert [name for name, x in processors(PREDICTIONS).items() if not x.sql] == ["xgboost_v1"]


def test_the_learned_system_waits_for_all_features_that_it_may_be_fitted_on() -> None:
    settings: Any = nba().workers["nba"].constants["settings"]
    window, refit = (settings["xgboost_v1"][name] for name in ("window_dates", "refit_days"))
    (gate,) = (
        g
        for g in nba().phase(PREDICTIONS).gates
        if isinstance(g, Lookback) and g.only_for == ["xgboost_v1"] and g.processors == ["ml_feature_store_v2"]
    )
    # Before the fit date, and from there to the day before the next one, where no date of the calendar is left out.
    assert gate.dates == window + refit - 1


@pytest.mark.parametrize(("phase", "upstream"), [(ANALYTICS, RAW), (PRECOMPUTE, ANALYTICS), (PREDICTIONS, PRECOMPUTE)])
def test_a_phase_waits_for_every_processor_of_the_one_before_on_the_same_date(phase: str, upstream: str) -> None:
    gates = [g for g in nba().phase(phase).gates if isinstance(g, AllSucceeded)]
    assert [(g.phase, g.processors, g.only_for) for g in gates] == [(upstream, None, None)]


@pytest.mark.parametrize(("phase", "looking"), [(ANALYTICS, UPCOMING), (PRECOMPUTE, None)])
def test_only_what_looks_back_waits_for_fifteen_dates_of_three_analytics(phase: str, looking: list[str] | None) -> None:
    gates = [g for g in nba().phase(phase).gates if isinstance(g, Lookback)]
    assert [(g.only_for, g.processors, g.dates, g.days) for g in gates] == [(looking, LOOKED_BACK_ON, 15, None)]


def test_phase_4_and_what_is_made_of_it_are_empty_in_the_first_seven_days_of_a_season() -> None:
    assert nba().calendar.bootstrap_days == 7
    empty = {x.name for p in nba().phases for x in p.processors if x.bootstrap}
    assert empty == {*processors(PRECOMPUTE), *processors(PREDICTIONS)}


def test_every_table_carries_its_fence_and_at_least_one_key() -> None:
    outputs = [x.output for p in nba().phases for x in p.processors if isinstance(x.output, TableOutput)]
    assert len(outputs) == 41 and all(o.fence_column and o.keys for o in outputs)


def test_no_table_may_go_unchecked_unless_it_may_be_empty() -> None:
    tables = [x for p in nba().phases for x in p.processors if isinstance(x.output, TableOutput)]
    assert [x.name for x in tables if not x.checks and not x.may_be_empty] == []


def test_the_profiles_are_historical_full_careful_and_current() -> None:
    found = {name: (x.phases, [s.active_dates for s in x.ramp], x.canary) for name, x in nba().profiles.items()}
    span = f"{SCRAPERS}..{PRECOMPUTE}"
    assert found == {
        "historical": (span, [], False),
        "full": (f"{SCRAPERS}..{EXPORTS}", [], False),
        "careful": (span, [], True),
        "current": (f"{SCRAPERS}..{EXPORTS}", [1, 10], False),
    }
    assert [name for name, profile in nba().profiles.items() if profile.stops_at_bad_date] == ["current"]


@cache
def schema() -> dict[str, Any]:
    """What ``phasegate schema`` prints."""
    answer = CliRunner().invoke(app, ["schema"])
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def accepts(rule: dict[str, Any], value: object) -> bool:
    """JSON Schema (2020-12), as far as the pipeline's schema uses it. Raises KeyError for another keyword."""
    return all(_KEYWORDS[keyword](rule, value) for keyword in rule)


def _resolved(rule: dict[str, Any], value: object) -> bool:
    return accepts(schema()["$defs"][rule["$ref"].removeprefix("#/$defs/")], value)


def _additional(rule: dict[str, Any], value: object) -> bool:
    if not isinstance(value, dict):
        return True
    rest = [v for k, v in value.items() if k not in rule.get("properties", {})]
    allowed = rule["additionalProperties"]
    return not rest if allowed is False else allowed is True or all(accepts(allowed, v) for v in rest)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": _is_number,
    "null": lambda v: v is None,
}
_KEYWORDS: dict[str, Any] = {
    "$ref": _resolved,
    "type": lambda r, v: _TYPES[r["type"]](v),
    "const": lambda r, v: v == r["const"],
    "enum": lambda r, v: v in r["enum"],
    "anyOf": lambda r, v: any(accepts(each, v) for each in r["anyOf"]),
    "oneOf": lambda r, v: sum(accepts(each, v) for each in r["oneOf"]) == 1,
    "items": lambda r, v: not isinstance(v, list) or all(accepts(r["items"], each) for each in v),
    "properties": lambda r, v: (
        not isinstance(v, dict) or all(accepts(r["properties"][k], x) for k, x in v.items() if k in r["properties"])
    ),
    "additionalProperties": _additional,
    "propertyNames": lambda r, v: not isinstance(v, dict) or all(accepts(r["propertyNames"], k) for k in v),
    "patternProperties": lambda r, v: (
        not isinstance(v, dict)
        or all(accepts(x, v[k]) for p, x in r["patternProperties"].items() for k in v if re.search(p, k))
    ),
    "required": lambda r, v: not isinstance(v, dict) or set(r["required"]) <= v.keys(),
    "pattern": lambda r, v: not isinstance(v, str) or re.search(r["pattern"], v) is not None,
    "minLength": lambda r, v: not isinstance(v, str) or len(v) >= r["minLength"],
    "minItems": lambda r, v: not isinstance(v, list) or len(v) >= r["minItems"],
    "minProperties": lambda r, v: not isinstance(v, dict) or len(v) >= r["minProperties"],
    "minimum": lambda r, v: not _is_number(v) or v >= r["minimum"],
    "maximum": lambda r, v: not _is_number(v) or v <= r["maximum"],
    "maxLength": lambda r, v: not isinstance(v, str) or len(v) <= r["maxLength"],
    "exclusiveMaximum": lambda r, v: not _is_number(v) or v < r["exclusiveMaximum"],
    "exclusiveMinimum": lambda r, v: not _is_number(v) or v > r["exclusiveMinimum"],
}
for _ignored in (
    "$schema",
    "$defs",
    "title",
    "description",
    "default",
    "examples",
    "format",
    "discriminator",
    "deprecated",
):
    _KEYWORDS[_ignored] = lambda _rule, _value: True


def test_the_schema_names_its_dialect() -> None:
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_schema_accepts_the_shipped_file() -> None:
    assert accepts(schema(), yaml.safe_load(Path(NBA_PIPELINE).read_text()))


def test_the_schema_knows_the_gates_key_by_the_name_it_has_in_the_file() -> None:
    assert "for" in schema()["$defs"]["Lookback"]["properties"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("timezone", None), ("colour", "red"), ("schema_version", 2), ("phases", []), ("pipeline", "Not A Name")],
)
def test_the_schema_refuses_what_the_loader_refuses(key: str, value: object) -> None:
    document = yaml.safe_load(Path(NBA_PIPELINE).read_text())
    assert not accepts(schema(), {**document, key: value})
