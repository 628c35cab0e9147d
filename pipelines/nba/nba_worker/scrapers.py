"""The 21 endpoints say which part of the source each one gives, and name the object that a scrape leaves."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from nba_worker.source import DaySlice, SourceFolder
from phasegate.ports import ObjectStore
from phasegate.worker import ErrorClass, ProcessorResult, ResultStatus, WorkerRequest

_COUNTS = "points fgm fga fg3m fg3a ftm fta oreb dreb reb ast stl blk tov pf"
_SIDE = "game_date game_id season team opponent is_home"
_TEAM = "game_date game_id team"
_PLAYER = "game_date game_id team player_id"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint is one published set of figures."""

    name: str
    """What requests and the pipeline file call it."""
    subject: str
    """The slice of the source that it publishes."""
    columns: tuple[str, ...]
    """What it gives of each row."""


def _endpoint(name: str, subject: str, columns: str) -> Endpoint:
    return Endpoint(name, subject, tuple(columns.split()))


_ALL = (
    _endpoint("bdl_games", "games", "game_date game_id season home_team away_team home_score away_score game_status"),
    _endpoint("bdl_player_boxscores", "players", f"{_PLAYER} player_name player_lookup minutes {_COUNTS}"),
    _endpoint("bdl_team_boxscores", "teams", f"{_TEAM} {_COUNTS}"),
    _endpoint(
        "nbac_game_summary",
        "games",
        "game_date game_id season season_type home_team away_team home_score away_score winner margin total_points",
    ),
    _endpoint("nbac_team_boxscore", "teams", f"{_SIDE} {_COUNTS} plus_minus"),
    _endpoint(
        "nbac_player_boxscore",
        "players",
        f"{_SIDE} player_id player_name player_lookup wl minutes {_COUNTS} plus_minus",
    ),
    _endpoint(
        "nbac_play_by_play",
        "plays",
        "game_date game_id event_number period clock team player_id event_type description",
    ),
    _endpoint("nbap_player_traditional", "players", f"{_PLAYER} minutes {_COUNTS}"),
    _endpoint("nbap_team_traditional", "teams", f"{_TEAM} {_COUNTS}"),
    _endpoint("nbap_player_advanced", "players", f"{_PLAYER} minutes fga fta oreb dreb ast tov"),
    _endpoint("nbap_team_advanced", "teams", f"{_TEAM} points fga fta oreb dreb ast tov"),
    _endpoint("nbap_player_misc", "players", f"{_PLAYER} wl minutes pf blk plus_minus"),
    _endpoint("nbap_team_misc", "teams", f"{_TEAM} pf blk plus_minus"),
    _endpoint("nbap_player_scoring", "players", f"{_PLAYER} minutes points fgm fga fg3m fg3a ftm fta"),
    _endpoint("nbap_team_scoring", "teams", f"{_TEAM} points fgm fga fg3m fg3a ftm fta"),
    _endpoint("nbap_player_usage", "players", f"{_PLAYER} minutes fga fta tov"),
    _endpoint("nbap_team_usage", "teams", f"{_TEAM} fga fta tov"),
    _endpoint("nbap_player_defense", "players", f"{_PLAYER} minutes dreb stl blk pf"),
    _endpoint("nbap_team_defense", "teams", f"{_TEAM} dreb stl blk pf"),
    _endpoint("nbap_tracking_player", "player_shots", f"{_PLAYER} zone attempts made"),
    _endpoint("nbap_tracking_team", "team_shots", f"{_TEAM} zone attempts made"),
)

ENDPOINTS = {endpoint.name: endpoint for endpoint in _ALL}


def object_name(endpoint: Endpoint, day: date) -> str:
    """Say where the scrape of a date lies."""
    return f"scrapes/{endpoint.name}/{day}.jsonl"


def nothing_to_do(reason: str) -> ProcessorResult:
    """Return the result of a processor that rightly has no row."""
    return ProcessorResult(status=ResultStatus.EMPTY, rows=0, message=reason, error_class=ErrorClass.EXPECTED_EMPTY)


def spoiled(problem: str) -> ProcessorResult:
    """Return the result for a date whose rows of the source may not be used: mended there, it is retried."""
    return ProcessorResult(status=ResultStatus.FAILED, rows=0, message=problem, error_class=ErrorClass.BUG)


class Scrapers:
    """Scrapers copy the source's slice of a date into objects of JSON lines, one per endpoint; empty ones too."""

    def __init__(self, source: SourceFolder, objects: ObjectStore) -> None:
        self._source = source
        self._objects = objects

    def run_batch(self, requests: Sequence[WorkerRequest]) -> dict[date, ProcessorResult]:
        """Scrape one endpoint for many dates; an object and a result each. Raises KeyError for a name that is no
        endpoint.

        requests: of one processor.
        """
        endpoint = ENDPOINTS[requests[0].processor]
        found = self._source.days([request.date for request in requests], endpoint.subject)
        return {day: self._write(endpoint, day, of_day) for day, of_day in found.items()}

    def _write(self, endpoint: Endpoint, day: date, found: DaySlice) -> ProcessorResult:
        if found.problem:
            return spoiled(found.problem)
        lines = [json.dumps({column: row[column] for column in endpoint.columns}) + "\n" for row in found.rows]
        target = object_name(endpoint, day)
        self._objects.write(target, "".join(lines).encode())
        if found.reason:
            return nothing_to_do(found.reason)
        return ProcessorResult(status=ResultStatus.SUCCESS, message=f"{len(lines)} lines in {target}")
