"""A league for the exports: tables filled by hand, and an object store between whose uses a process may be killed."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from nba_worker.export_index import INDEX
from nba_worker.exports import EXPORTS, Exports
from nba_worker.schedule import Schedule
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.errors import PhasegateError
from phasegate.ports import Partitions
from phasegate.worker import ProcessorResult, WorkerRequest
from tests.conftest import NBA_PIPELINE

SEASON = "2023-24"
FIRST = date(2023, 10, 24)
DAYS = tuple(FIRST + timedelta(days=number) for number in range(20))
"""The game dates."""
ONE_GAME = DAYS[9]
"""A date with one game; every other has three."""
FIRST_PREDICTED = DAYS[7]
"""Before it there are no predictions."""
TEAMS = ("ATL", "BOS", "CHI", "DAL", "HOU", "LAL")
ALONE, NO_LINE = 100, 101
"""Players of ATL: one who was predicted and did not play on the date with one game, and one who never has a line."""
SYSTEMS = ("ensemble_v1", "moving_average_baseline")

Rows = dict[str, Any]
Around = Callable[[str, Callable[[], Any]], Any]


class Killed(BaseException):
    """The process is killed here: nothing of it goes on."""


class Store:
    """A folder of objects. ``around``: is given the name of each use of the folder that reads or writes and what makes
    it, and may do something before it, after it, or in its place.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._folder = root, FolderObjectStore(root)
        self.held, self.delete = self._folder.held, self._folder.delete
        self.around: Around = lambda _, use: use()

    def write(self, name: str, content: bytes) -> None:
        self.around(f"write {name}", lambda: self._folder.write(name, content))

    def read(self, name: str) -> bytes:
        content: bytes = self.around(f"read {name}", lambda: self._folder.read(name))
        return content

    def read_versioned(self, name: str) -> tuple[bytes, str] | None:
        found: tuple[bytes, str] | None = self.around(f"read {name}", lambda: self._folder.read_versioned(name))
        return found

    def write_if(self, name: str, content: bytes, generation: str | None) -> bool:
        is_written: bool = self.around(f"write {name}", lambda: self._folder.write_if(name, content, generation))
        return is_written

    def index(self) -> dict[str, Any]:
        """The index."""
        index: dict[str, Any] = json.loads((self._root / INDEX).read_bytes())
        return index

    def files(self) -> dict[str, bytes]:
        """All that is there, by name."""
        return {
            path.relative_to(self._root).as_posix(): path.read_bytes()
            for path in self._root.rglob("*")
            if path.is_file()
        }


class League:
    """Tables of twenty game dates. The first has no contexts, the first seven no predictions."""

    def __init__(self, folder: Path) -> None:
        self.warehouse = DuckDbWarehouse(folder / "warehouse.duckdb")
        for script in sorted((NBA_PIPELINE.parent / "schema").glob("*.sql")):
            self.warehouse.apply_schema(script.read_text(encoding="utf-8"))
        self.schedule = Schedule((SEASON, day) for day in DAYS)

    def fill(self, table: str, rows_by_day: Mapping[date, Iterable[Rows]], fence: int = 1) -> None:
        """Put rows in the place of what a table has of some dates."""
        lines = {
            day: "".join(f"{json.dumps({'game_date': str(day), **row})}\n" for row in rows).encode()
            for day, rows in rows_by_day.items()
        }
        written = self.warehouse.load_partitions(Partitions(table, "game_date", dict.fromkeys(lines, fence)), lines)
        assert all(isinstance(rows, int) for rows in written.values()), written

    def play(self, *, is_reversed: bool = False, points: int = 0) -> None:
        """Fill all tables. is_reversed: the rows of each stand the other way round. points: more for everyone."""
        played = {day: tables_of(day, points) for day in DAYS}
        for table in played[FIRST]:
            rows = {
                day: list(reversed(tables[table]) if is_reversed else tables[table]) for day, tables in played.items()
            }
            self.fill(table, {day: of_day for day, of_day in rows.items() if of_day}, fence=2 if points else 1)

    def exports(self, store: Store) -> Exports:
        """Exports of this league, as a process of its own has them."""
        return Exports(self.schedule, self.warehouse, store)


def export(exports: Exports, kind: str, *days: date) -> dict[date, ProcessorResult | PhasegateError]:
    """Have one kind written for some dates in one call."""
    deadline = datetime(2090, 1, 1, tzinfo=UTC)
    return exports.run_batch(
        [
            WorkerRequest(
                run_id="r", date=day, phase="phase_6_exports", processor=kind, attempt=1, fence=1, deadline=deadline
            )
            for day in days
        ]
    )


def export_all(exports: Exports, dates_at_once: int, days: Sequence[date] = DAYS) -> None:
    """Have every kind written for all dates, so many in a call."""
    for first in range(0, len(days), dates_at_once):
        for kind in EXPORTS:
            for result in export(exports, kind, *days[first : first + dates_at_once]).values():
                assert isinstance(result, ProcessorResult), result


def tables_of(day: date, more: int = 0) -> dict[str, list[Rows]]:
    """The rows of a date, by table."""
    number = DAYS.index(day)
    random = Random(number)
    pairs = [TEAMS[:2]] if day == ONE_GAME else [TEAMS[:2], TEAMS[2:4], TEAMS[4:]]
    tables: dict[str, list[Rows]] = {
        table: []
        for table in (
            "nba_raw.nbac_game_summary",
            "nba_analytics.player_game_summary",
            "nba_analytics.upcoming_player_game_context",
            "nba_predictions.player_prop_predictions",
            "nba_predictions.prediction_accuracy",
            "nba_predictions.system_daily_performance",
            "nba_predictions.prediction_performance_summary",
        )
    }
    games, lines, contexts, predictions, grades, daily, summaries = tables.values()
    for nth, (home, away) in enumerate(pairs):
        game = f"00223{number:03}{nth:02}"
        games.append(
            {
                "game_id": game,
                "season": SEASON,
                "season_type": "Regular Season",
                "home_team": home,
                "away_team": away,
                "home_score": 100 + nth,
                "away_score": 99,
            }
        )
        for team, opponent in ((home, away), (away, home)):
            for player in range(3):
                person = {"player_id": 100 * (TEAMS.index(team) + 1) + player, "game_id": game}
                person |= {"season": SEASON, "team": team, "opponent": opponent}
                person["player_lookup"] = f"player{person['player_id']}"
                _add_player(person, day, random, more, (lines, contexts, predictions, grades))
    for system in SYSTEMS if predictions else ():
        graded = sum(row["system_id"] == system for row in grades)
        figures = {"season": SEASON, "system_id": system, "graded": graded, "mean_absolute_error": 4.25}
        figures |= {"mean_error": -0.5, "season_average_mae": 4.5, "recommendations": 3, "correct": 2}
        daily.append({**figures, "predictions": graded + 1, "within_3": 0.3333, "within_5": 0.6667})
        more_figures = {"root_mean_squared_error": 5.5, "mean_absolute_error_compared": 4.2, "correct_share": 0.6667}
        summaries.append({**figures, **more_figures, "dates": 3, "compared": graded})
    return tables


def _add_player(
    person: Rows, day: date, random: Random, more: int, tables: tuple[list[Rows], list[Rows], list[Rows], list[Rows]]
) -> None:
    """Add what the tables say of a player on a date: his line, his context, what was predicted and its grade."""
    lines, contexts, predictions, grades = tables
    who, is_there = person["player_id"], not (person["player_id"] == ALONE and day == ONE_GAME)
    points, name = random.randrange(30) + more, f"Player {person['player_id']} Ünal"
    line = None if who == NO_LINE or day < FIRST_PREDICTED else 12.5
    if is_there:
        counts = dict.fromkeys(("fgm", "fga", "fg3m", "fg3a", "ftm", "fta", "reb", "ast", "stl", "blk", "tov"), 3)
        lines.append({**person, **counts, "player_name": name, "minutes": 20, "points": points, "plus_minus": -4})
    if day > FIRST:
        averages = {f"{what}_avg_l{n}": 10.25 for what in ("points", "minutes", "reb", "ast") for n in (5, 10, 15)}
        context = {"player_name": name, "is_home": who < 200, "rest_days": 1, "games_in_window": 3}
        contexts.append({**person, **averages, **context, "points_line": line})
    if day < FIRST_PREDICTED:
        return
    for nth, system in enumerate(SYSTEMS):
        predicted = {"system_id": system, "predicted_points": 10.5 + nth, "confidence_score": 70.0, "points_line": line}
        predicted["recommendation"] = None if line is None else "UNDER"
        predictions.append({**person, **predicted})
        if is_there:
            graded = {"actual_points": points, "minutes": 20, "season_average": 11.0}
            graded["signed_error"] = predicted["predicted_points"] - points
            if line is not None:
                graded |= {"line_result": "OVER" if points > line else "UNDER", "is_correct": points < line}
            person_graded = {key: value for key, value in person.items() if key != "opponent"}
            grades.append({**person_graded, **predicted, **graded})
