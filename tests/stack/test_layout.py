"""The list of what a deployment consists of."""

import re
from pathlib import Path

from phasegate.adapters.gcp.layout import FUNCTIONS, SCHEDULES, environment_of, layout_of
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.spec.pipeline import Pipeline
from tests.world import definition

ROOT = Path(__file__).parents[2]
NBA = load_pipeline(ROOT / "pipelines" / "nba" / "pipeline.yaml")


def observing(topic: str) -> Pipeline:
    """The world's pipeline, whose first phase an existing system starts."""
    document = definition()
    fields = {"date": "day", "processor": "name", "status": "state"}
    document["phases"][0]["dispatch"] = {"observed": {"topic": topic, "fields": fields, "statuses": {"ok": "success"}}}
    return Pipeline.model_validate(document)


def test_every_function_of_the_list_is_in_the_repository_and_no_other() -> None:
    assert {f.name for f in FUNCTIONS} == {file.parent.name for file in (ROOT / "functions").glob("*/main.py")}


def test_every_function_defines_the_target_of_its_name_with_its_signature() -> None:
    decorators = {"http": "http", "cloudevent": "cloud_event"}
    for function in FUNCTIONS:
        text = (ROOT / "functions" / function.name / "main.py").read_text()
        assert re.search(rf"@functions_framework\.{decorators[function.signature]}\ndef {function.name}\(", text)


def test_what_calls_a_function_is_in_the_list_itself() -> None:
    layout = layout_of(NBA)
    called = {s.function for s in layout.subscriptions} | {q.function for q in layout.queues}
    called |= {s.function for s in layout.schedules}
    assert called - {None} == {f.name for f in FUNCTIONS}


def test_every_dead_letter_topic_exists_and_keeps_its_messages() -> None:
    layout = layout_of(NBA)
    dead = {s.dead_letter for s in layout.subscriptions if s.dead_letter}
    assert dead == {"backfill-completions-dead", "backfill-kickoff-dead"}
    assert dead <= set(layout.topics)
    assert dead == {s.topic for s in layout.subscriptions if s.function is None}


def test_pubsubs_bounds_are_kept() -> None:
    for each in layout_of(observing("nba-phase1-complete")).subscriptions:
        assert 0 <= each.min_backoff_seconds <= each.max_backoff_seconds <= 600
        assert each.dead_letter is None or 5 <= each.max_deliveries <= 100


def test_a_queue_has_the_limits_of_the_pipeline_under_an_id_that_cloud_tasks_takes() -> None:
    document = definition()
    document["queues"]["slow_api"] = {"max_concurrent": 3}
    queues = {q.id: q for q in layout_of(Pipeline.model_validate(document)).queues}
    assert queues["slow-api"].spec.max_concurrent == 3
    assert {"conductor", "dispatch"} <= set(queues)
    assert all(re.fullmatch(r"[A-Za-z0-9-]{1,100}", name) for name in queues)


def test_an_observed_topic_gets_a_subscription_and_is_not_ours_to_make() -> None:
    layout = layout_of(observing("nba-phase1-complete"))
    assert layout.observed_topics == ("nba-phase1-complete",)
    assert "nba-phase1-complete" not in layout.topics
    assert {s.function for s in layout.subscriptions if s.topic == "nba-phase1-complete"} == {"listener"}


def test_the_environment_says_what_the_settings_say() -> None:
    settings = CloudSettings(
        project="my-project", region="europe-west1", invoker="x@y.iam", pipeline=Path("/srv/p.yaml"), bucket="my-bucket"
    )
    assert CloudSettings.from_environment(environment_of(settings)) == settings
    defaults = CloudSettings(project="my-project")
    assert CloudSettings.from_environment(environment_of(defaults)) == defaults


def test_the_page_about_the_stack_explains_every_variable_function_and_topic() -> None:
    page = (ROOT / "docs" / "stack.md").read_text()
    names = [*environment_of(CloudSettings(project="demo")), *(f.name for f in FUNCTIONS), *layout_of(NBA).topics]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_the_sweeper_is_called_every_minute() -> None:
    (job,) = SCHEDULES
    assert (job.function, job.cron) == ("sweeper", "* * * * *")


def test_jobs_that_begin_runs_ask_the_starter_and_are_not_of_the_local_stack() -> None:
    layout = layout_of(NBA)
    assert {job.function for job in layout.kickoffs} == {"starter"}
    assert not set(layout.kickoffs) & set(layout.schedules)


def test_what_an_export_cannot_write_is_kept() -> None:
    layout = layout_of(NBA)
    assert {each.topic for each in layout.exports} <= set(layout.topics)
    assert {each.dead_letter for each in layout.exports} <= {s.topic for s in layout.subscriptions if not s.function}
