"""A fake of a user's own services, as their documents show them: they know nothing of Phasegate but its two flags.

scrapers ``POST /scrape``       writes a file, says so on ``scraper-complete``
raw processors                  hear that, write a table, say so on ``nba-phase2-raw-complete``
the live cascade                hears that, and starts analytics when the date is complete
analytics ``POST /process``     answers 200 with results inside, failed ones too
precompute ``POST /process-date``
                                answers 202 and reports later, on the topic it was told of

What is odd on a date is said by ``Oddities``; everything else goes well.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from phasegate.domain.protocol.worker import ProcessorResult, ResultStatus, WorkerRequest
from phasegate.ports import Clock, ObjectStore, Partition, Warehouse
from phasegate.worker.events import completed_event

SCRAPED, RAW_DONE, ANALYTICS_DONE = "scraper-complete", "nba-phase2-raw-complete", "nba-phase3-analytics-complete"
OWN_TOPICS = (SCRAPED, RAW_DONE, ANALYTICS_DONE)
COMPLETIONS = "backfill-completions"

RAW_NAMES = {"bdl_player_boxscores": "p2_bdl_box_scores", "nbac_team_boxscore": "NbacTeamBoxscoreProcessor"}
"""Scraper -> the name under which its raw processor publishes."""

GAMES = 2
TEAMS = ("ATL", "BOS", "CHI", "DEN")
TABLES = (
    "nba_raw.bdl_player_boxscores",
    "nba_raw.nbac_team_boxscore",
    "nba_analytics.team_offense_game_summary",
    "nba_analytics.player_game_summary",
    "nba_precompute.ml_feature_store_v2",
)

Publish = Callable[[str, str, float], None]
"""(topic, JSON text, seconds from now): put a message on a topic."""


@dataclass
class Oddities:
    """What goes wrong, by (name of the service's own, date); each list is used up one act at a time, then all is well.

    raw acts: ``fail:TYPE`` (says failed, writes nothing, is tried again by its own system after a minute), ``mute``
    (writes, says nothing), ``SHOUT`` (says SUCCESS), ``stranger`` (a name that nobody registered speaks as well),
    ``lie`` (says success, writes nothing), ``sleep`` (neither), ``twice`` (was run twice, says so twice), ``again``
    (the same, with another count), ``garbled`` (something that is no JSON comes first).
    analytics: the error class of a failed processor inside a 200.
    obeys_to_death: the flag that keeps the cascade asleep also silences the raw processors' reports.
    """

    raw: dict[tuple[str, date], list[str]] = field(default_factory=dict)
    analytics: dict[tuple[str, date], str] = field(default_factory=dict)
    obeys_to_death: bool = False

    def next_raw(self, name: str, day: date) -> str:
        """The act of a raw processor's next try."""
        acts = self.raw.get((name, day), [])
        return acts.pop(0) if acts else "well"


class Cascade:
    """The live orchestrator: a date whose raw processors all succeeded goes on to analytics, unless told not to."""

    def __init__(self) -> None:
        self._done: dict[str, set[str]] = defaultdict(set)
        self.triggered: list[str] = []
        self.heard = 0

    def on_raw_complete(self, message: Mapping[str, Any]) -> None:
        """A raw processor's report."""
        self.heard += 1
        if message.get("status") != "success" or message.get("skip_downstream_trigger"):
            return
        done = self._done[message["game_date"]]
        done.add(message["processor_name"])
        if done >= set(RAW_NAMES.values()) and message["game_date"] not in self.triggered:
            self.triggered.append(message["game_date"])


class UsersServices:
    """All services over one warehouse and one bucket. ``cascade``: what the live orchestrator did."""

    def __init__(
        self, warehouse: Warehouse, objects: ObjectStore, clock: Clock, publish: Publish, oddities: Oddities
    ) -> None:
        self._warehouse, self._objects, self._clock = warehouse, objects, clock
        self._publish, self._oddities = publish, oddities
        self._executions = 0
        self.cascade = Cascade()

    def prepare(self, days: Iterable[date]) -> None:
        """Make the tables, and a schedule of two games a date."""
        tables = (f"CREATE TABLE IF NOT EXISTS `{table}` ({_COLUMNS}, _fence INT64)" for table in TABLES)
        self._warehouse.apply_schema(";".join([*tables, _SCHEDULE, _HISTORY]))
        games = [
            {"season": "2023-24", "game_date": str(day), "home_team": home, "away_team": away, "game_status": 3}
            for day in days
            for home, away in (TEAMS[:2], TEAMS[2:])
        ]
        lines = "".join(f"{json.dumps(game)}\n" for game in games)
        self._warehouse.replace_table("nba_raw.nbac_schedule", lines.encode())

    # HTTP

    def handle(self, service: str, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer a request to one of the services."""
        routes: dict[tuple[str, str], Callable[[Mapping[str, Any]], tuple[int, dict[str, Any]]]] = {
            ("scrapers", "/scrape"): self._scrape,
            ("analytics", "/process"): self._analyse,
            ("precompute", "/process-date"): self._precompute,
        }
        route = routes.get((service, path))
        return route(body) if route else (404, {"message": f"{service} has no {path}"})

    def _scrape(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        name, day = body["scraper"], body["game_date"]
        path = f"{name}/game_date={day}/rows.jsonl"
        self._objects.write(path, "".join(f"{json.dumps(row)}\n" for row in _scraped(name)).encode())
        execution = self._execution(name)
        flags = {flag: body.get(flag, False) for flag in ("skip_downstream_trigger", "backfill_mode")}
        message = {"scraper_name": name, "game_date": day, "gcs_path": path, "status": "success", **flags}
        self._say(SCRAPED, {**message, "execution_id": execution, "timestamp": self._now()})
        found = {"status": "success", "message": path}
        return 200, {"status": "ok", "execution_id": execution, "data": {"scrapers": {name: found}, "retries": 0}}

    def _analyse(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        name, day = body["processor"], date.fromisoformat(body["analysis_date"])
        spoken = {"team_offense_game_summary": "TeamOffenseGameSummaryProcessor"}.get(name, name)
        answer = {"status": "completed", "analysis_date": str(day), "duration_seconds": 0.4}
        if error_class := self._oddities.analytics.get((name, day)):
            failed = {"status": "failed", "error_class": error_class, "message": f"{name}: no such column 'pace'"}
            return 200, {**answer, "results": {spoken: failed}}
        source = "nbac_team_boxscore" if name.startswith("team") else "bdl_player_boxscores"
        rows = self._derive(f"nba_raw.{source}", f"nba_analytics.{name}", day)
        flags = {flag: body.get(flag, False) for flag in ("skip_downstream_trigger", "backfill_mode")}
        self._say(ANALYTICS_DONE, {"processor_name": spoken, "analysis_date": str(day), "status": "success", **flags})
        return 200, {**answer, "results": {spoken: {"status": "success", "rows": rows}}}

    def _precompute(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        request = WorkerRequest.model_validate({**_without(body, "analysis_date"), "date": body["analysis_date"]})
        rows = self._derive("nba_analytics.player_game_summary", "nba_precompute.ml_feature_store_v2", request.date)
        result = ProcessorResult(status=ResultStatus.SUCCESS, rows=rows)
        event = completed_event(request, result, self._clock.now())
        self._publish(COMPLETIONS, event.model_dump_json(), 3.0)
        return 202, {"status": "accepted", "analysis_date": str(request.date)}

    # Events

    def on_message(self, topic: str, text: str) -> None:
        """A message on one of the services' own topics reaches everybody of them who listens there."""
        message = json.loads(text) if text.startswith("{") else {}
        if topic == SCRAPED:
            self._load_raw(message)
        elif topic == RAW_DONE:
            self.cascade.on_raw_complete(message)

    def _load_raw(self, message: Mapping[str, Any]) -> None:
        scraper, day = message["scraper_name"], date.fromisoformat(message["game_date"])
        spoken, table = RAW_NAMES[scraper], f"nba_raw.{scraper}"
        act = self._oddities.next_raw(spoken, day)
        said = self._report(message, spoken, table)
        if act.startswith("fail:"):
            error = {"error_message": f"row 17 of {message['gcs_path']}", "metadata": {"error_type": act[5:]}}
            self._say_raw({**said, "status": "failed", "record_count": 0, **error})
            self._publish(SCRAPED, json.dumps(message), 60.0)
            return
        if act in ("lie", "sleep"):
            if act == "lie":
                self._say_raw(said)
            return
        rows = [json.loads(line) for line in self._objects.read(message["gcs_path"]).splitlines()]
        said["record_count"] = self._write(table, day, rows)
        if act == "garbled":
            self._publish(RAW_DONE, "<html>502 Bad Gateway</html>", 0.0)
        if act == "stranger":
            self._say_raw({**said, "processor_name": "bdl_boxscore_v9", "execution_id": self._execution("v9")})
        if act != "mute":
            self._say_raw({**said, "status": "SUCCESS"} if act == "SHOUT" else said)
        if act in ("twice", "again"):
            count = 1 if act == "again" else said["record_count"]
            self._say_raw({**said, "record_count": count, "execution_id": self._execution(spoken)}, seconds=30.0)

    def _report(self, message: Mapping[str, Any], spoken: str, table: str) -> dict[str, Any]:
        return {
            "processor_name": spoken,
            "phase": "phase_2_raw",
            "execution_id": self._execution(spoken),
            "correlation_id": message.get("execution_id"),
            "game_date": message["game_date"],
            "output_table": table,
            "status": "success",
            "record_count": len(_scraped(message["scraper_name"])),
            "error_message": None,
            "metadata": {"source_file": message["gcs_path"]},
            "skip_downstream_trigger": message.get("skip_downstream_trigger", False),
            "backfill_mode": message.get("backfill_mode", False),
            "timestamp": self._now(),
        }

    def _say_raw(self, message: Mapping[str, Any], seconds: float = 1.0) -> None:
        if not (self._oddities.obeys_to_death and message["skip_downstream_trigger"]):
            self._say(RAW_DONE, {**message, "status": "started", "record_count": None}, 0.0)
            self._say(RAW_DONE, message, seconds)

    def _say(self, topic: str, message: Mapping[str, Any], seconds: float = 0.0) -> None:
        self._publish(topic, json.dumps(message), seconds)

    # Tables

    def _derive(self, source: str, target: str, day: date) -> int:
        found = self._warehouse.query(
            f"SELECT team, player_lookup, points FROM `{source}` WHERE game_date = @day ORDER BY player_lookup",
            {"day": day},
        )
        return self._write(target, day, [{**row, "points": row["points"] + 1} for row in found])

    def _write(self, table: str, day: date, rows: Iterable[Mapping[str, Any]]) -> int:
        lines = "".join(f"{json.dumps({'game_date': str(day), **row})}\n" for row in rows)
        # These services know no fence: none of their rows outranks another.
        return self._warehouse.load_partition(Partition(table, "game_date", day), lines.encode(), fence=0)

    def _execution(self, name: str) -> str:
        self._executions += 1
        return f"{name}-{self._executions:06d}"

    def _now(self) -> str:
        return self._clock.now().isoformat()


class OneService:
    """One of the services as a worker in this process."""

    def __init__(self, services: UsersServices, name: str) -> None:
        self._services, self._name = services, name

    def prepare(self) -> None:
        """They are up, and nobody prepares them."""

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """One request."""
        return self._services.handle(self._name, path, body)


def _scraped(name: str) -> list[dict[str, Any]]:
    if name == "nbac_team_boxscore":
        return [{"team": team, "player_lookup": team, "points": 100 + n} for n, team in enumerate(TEAMS)]
    players = [(team, f"{team.lower()}-{n}") for team in TEAMS for n in (1, 2)]
    return [{"team": team, "player_lookup": who, "points": 10 + n} for n, (team, who) in enumerate(players)]


def _without(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != key}


_COLUMNS = "game_date DATE, team STRING, player_lookup STRING, points INT64"
_SCHEDULE = (
    "CREATE TABLE IF NOT EXISTS `nba_raw.nbac_schedule` (season STRING, game_date DATE, home_team STRING,"
    " away_team STRING, game_status INT64)"
)
_HISTORY = (
    "CREATE TABLE IF NOT EXISTS `nba_reference.backfill_history` (run_id STRING, data_date DATE, phase STRING,"
    " processor_name STRING, attempt INT64, status STRING, error_class STRING, message STRING, rows_written INT64,"
    " fence INT64, code_version STRING, started_at TIMESTAMP, finished_at TIMESTAMP, proved BOOL)"
)
