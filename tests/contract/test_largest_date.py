"""All that can happen on one date fits into its document, whatever the pipeline; a larger pipeline is refused."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from phasegate.adapters.gcp.firestore import documents
from phasegate.adapters.gcp.firestore.largest_date import MOST_BYTES, bytes_of, largest_date
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.decisions.failures import MOST_THROTTLES, REFUSED_AGAIN
from phasegate.domain.decisions.reconcile import MOST_DISPATCHES
from phasegate.domain.errors import InputError
from phasegate.domain.protocol.worker import ErrorClass, ResultStatus
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.facts import (
    BLOCK,
    AttemptKey,
    Cell,
    DateFacts,
    Dispatched,
    Fact,
    GroupState,
    Healed,
    HealedAs,
    Proved,
    Reported,
    Verdict,
    record,
)
from tests.unit.builders import NOW, pipeline
from tests.world import definition

DAY = date(2024, 1, 31)
NBA = Path(__file__).parents[2] / "pipelines/nba/pipeline.yaml"


def told(document: dict[str, Any], key: AttemptKey, *facts: Fact) -> None:
    """Write facts into a date's document as the state does."""
    for fact in facts:
        place = document
        *path, name = documents.fact_path(key, fact)
        for step in path:
            place = place.setdefault(step, {})
        place.setdefault(name, []).append(documents.fact_document(fact))


def worst_date(of: Pipeline, words: str) -> dict[str, Any]:
    """The document of a date on which every task fails and is throttled as often as it can, waits a month in its queue,
    and every check blocks."""
    document: dict[str, Any] = {"season": "2023-24", "at_rest": NOW}
    for phase in of.phases:
        groups = {}
        for processor in phase.processors:
            policy = phase.failure_of(processor)
            counted = policy.retries + policy.not_yet_retries + 1
            ends = ["failed"] * counted + ["refused"] * len(REFUSED_AGAIN) + ["throttled"] * MOST_THROTTLES
            inputs = tuple(("/".join(of.resolve(need, of.phase_names)), 31) for need in processor.needs)
            for number, how in enumerate(ends, 1):
                key = AttemptKey(DAY, phase.name, processor.name, number)
                name = f"{'r' * 63}/{key.day}/{key.ref}/{number}/1700000000000000"
                kind = ErrorClass.THROTTLE if how == "throttled" else ErrorClass.TRANSIENT
                end = Reported(ResultStatus.FAILED, 1, kind, words, 2**53, 1, inputs, NOW, NOW, name, words)
                told(document, key, Dispatched(1, 1, inputs, NOW, NOW), end)
                if how == "failed":
                    told(document, key, Proved(False, 0, words, ErrorClass.BUG, NOW), Healed(HealedAs.LOST, words, NOW))
                if number == 1:
                    again = [Dispatched(n, 1, inputs, NOW, NOW) for n in range(2, MOST_DISPATCHES + 1)]
                    told(document, key, *again)
            said = tuple(
                Verdict(BLOCK, check.check, processor.name, 4, 2, words, (words,) * 20, check.threshold, "f" * 12)
                for check in phase.checks_of(processor)
                if check.check in ("entities", "coverage", "duplicates")
            )
            groups[f"{phase.name}.{len(groups)}"] = GroupState(1, NOW, "b", NOW, said)
        document.setdefault("cells", {})[phase.name] = documents.cell_document(Cell(1, groups))
    return document


@pytest.mark.parametrize("words", ["x" * 5000, "\N{GRINNING FACE}" * 2000, "ü" * 3000], ids=["one", "four", "two"])
def test_the_worst_date_is_no_larger_than_the_bound_whatever_is_said(words: str) -> None:
    found = bytes_of(worst_date(pipeline(), words))
    assert largest_date(pipeline()) * 0.8 < found <= largest_date(pipeline())


def test_the_bound_counts_the_retries_that_a_processor_has_of_its_own() -> None:
    document = pipeline().model_dump(mode="json", by_alias=True, exclude_unset=True)
    for phase in document["phases"]:
        for processor in phase["processors"]:
            processor["failure"] = {"retries": 20, "not_yet_retries": 20}
    own = Pipeline.model_validate(document)
    found = bytes_of(worst_date(own, "x" * 5000))
    assert largest_date(own) * 0.8 < found <= largest_date(own)


def test_the_bound_counts_what_comes_of_a_queue_that_stands_still_for_a_month(monkeypatch: pytest.MonkeyPatch) -> None:
    grown = largest_date(pipeline())
    monkeypatch.setattr("phasegate.adapters.gcp.firestore.largest_date.MOST_DISPATCHES", 1)
    tasks = sum(len(phase.processors) for phase in pipeline().phases)
    once = bytes_of(documents.fact_document(Dispatched(1, 1, (), NOW, NOW)))
    assert grown - largest_date(pipeline()) >= tasks * (MOST_DISPATCHES - 1) * once


def test_the_bound_counts_the_attempts_of_a_worker_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    grown = largest_date(pipeline())
    monkeypatch.setattr("phasegate.adapters.gcp.firestore.largest_date.REFUSED_AGAIN", ())
    tasks = sum(len(phase.processors) for phase in pipeline().phases)
    end = Reported(ResultStatus.FAILED, None, ErrorClass.TRANSIENT, "x" * 5000, 7, 1, (), NOW, NOW, "", "", 401)
    once = sum(bytes_of(documents.fact_document(fact)) for fact in (Dispatched(1, 1, (), NOW, NOW), end))
    assert grown - largest_date(pipeline()) >= tasks * len(REFUSED_AGAIN) * once


@pytest.mark.parametrize(
    ("change", "more"),
    [
        ({"sql": None}, MOST_THROTTLES * 300 + len(REFUSED_AGAIN) * 600),
        ({"output": {"other_writer": "the live pipeline"}}, MOST_THROTTLES * 300),
    ],
    ids=["a worker makes it", "another one writes its table"],
)
def test_a_select_is_refused_by_nobody_and_waits_for_nobody_but_another_writer(
    change: dict[str, Any], more: int
) -> None:
    nba, name = load_pipeline(NBA), "player_game_summary"
    document = nba.model_dump(mode="json", by_alias=True, exclude_unset=True)
    analytics = document["phases"][2]
    analytics["dispatch"] |= {"worker": "nba", "path": "/process"}
    (spec,) = [each for each in analytics["processors"] if each["name"] == name]
    spec |= {key: spec[key] | value if isinstance(value, dict) else value for key, value in change.items()}
    grown = largest_date(Pipeline.model_validate(document)) - largest_date(nba)
    assert more <= grown < 2 * more


def test_a_date_of_the_nba_pipeline_fits_into_its_document() -> None:
    assert largest_date(load_pipeline(NBA)) <= MOST_BYTES


def test_what_a_good_end_was_made_with_takes_no_more_than_what_only_a_bad_one_says() -> None:
    inputs, name = (("raw/a", 31),), "r" * 200
    good = Reported(ResultStatus.PARTIAL, 1, None, "x" * 999, 9, 1, inputs, NOW, NOW, name, "v", made_with="h" * 32)
    bad = Reported(ResultStatus.PARTIAL, 1, ErrorClass.UNRECOVERABLE, "x" * 999, 9, 1, inputs, NOW, NOW, name, "v", 403)
    assert bytes_of(documents.fact_document(good)) <= bytes_of(documents.fact_document(bad))


def test_a_pipeline_whose_date_would_not_fit_is_refused_with_the_number(tmp_path: Path) -> None:
    document = definition()
    first = document["phases"][0]
    first["failure"]["retries"] = 20
    first["processors"] += [
        {"name": f"more_{n}", "output": {"kind": "object", "path": f"more_{n}/{{date}}.jsonl"}} for n in range(60)
    ]
    file = tmp_path / "pipeline.yaml"
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(InputError, match=r"phases: what can happen on one date takes [\d,]+ bytes, .* 1,048,576"):
        load_pipeline(file)


def throttle(**more: Any) -> Reported:
    """A report that the source asked to come later, as the listener makes it."""
    said: dict[str, Any] = {"status": ResultStatus.FAILED, "rows": None, "error_class": ErrorClass.THROTTLE}
    said |= {"message": "429: " + "busy " * 100, "fence": 7, "generation": 2, "inputs": (("raw/a", 3),)}
    said |= {"started_at": NOW, "finished_at": NOW + timedelta(seconds=3), "event_id": "r/2024/raw/a/1/7"}
    return Reported(**(said | more))


def read_back(*facts: Fact) -> DateFacts:
    """Facts of one attempt, written into a document and read again."""
    document: dict[str, Any] = {}
    told(document, AttemptKey(DAY, "raw", "a", 1), *facts)
    return documents.read_date("r", DAY, document)


def test_a_throttled_attempt_keeps_its_class_its_time_and_what_it_was_made_from() -> None:
    kept = read_back(throttle()).tasks["raw", "a"][0].reported
    assert kept is not None
    assert (kept.error_class, kept.finished_at, kept.inputs, kept.generation) == (
        ErrorClass.THROTTLE,
        NOW + timedelta(seconds=3),
        (("raw/a", 3),),
        2,
    )
    assert kept.message.startswith("429: busy") and len(kept.message) <= 40


def test_a_throttle_that_is_delivered_again_is_known_and_another_end_of_its_claim_contradicts_it() -> None:
    key = AttemptKey(DAY, "raw", "a", 1)
    assert record(read_back(throttle()), key, throttle()) == "known"
    other = throttle(status=ResultStatus.SUCCESS, error_class=None, event_id="another")
    assert record(read_back(throttle()), key, other) == "conflict"
