"""The same figures a second time, in plain Python over the parquet files: shares no code with the product.

Every function gives, for a date, the expected values by key; figures are not rounded.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from statistics import stdev
from typing import Any

import duckdb

Row = dict[str, Any]
Values = dict[Any, Row]


def ratio(above: float, below: float) -> float | None:
    return above / below if below else None


def total(rows: Iterable[Row], column: str) -> int:
    return sum(row[column] for row in rows)


def mean(rows: Sequence[Row], column: str) -> float | None:
    return ratio(total(rows, column), len(rows))


def nearest(value: float) -> int:
    """The whole number next to it; halves go away from zero (Python's ``round`` takes the even one)."""
    return int(value + 0.5) if value >= 0 else -int(0.5 - value)


def possessions(rows: Iterable[Row], turnovers: str = "tov_players") -> float:
    rows = list(rows)
    return total(rows, "fga") + 0.44 * total(rows, "fta") - total(rows, "oreb") + total(rows, turnovers)


class Reference:
    """One season's final games."""

    def __init__(self, games: list[Row], teams: list[Row], players: list[Row]) -> None:
        self.games = [game for game in games if game["game_status"] == 3]
        self.days = sorted({game["game_date"] for game in self.games})
        self.side = {(row["game_id"], row["team"]): row for row in teams}
        self.appearances = players
        self.by_player: dict[int, list[Row]] = defaultdict(list)
        minutes: dict[str, int] = defaultdict(int)
        for row in sorted(players, key=lambda r: (r["game_date"], r["game_id"])):
            self.by_player[row["player_id"]].append(row)
            minutes[row["game_id"]] += row["minutes"]
        self.length = {game: 48 + 5 * nearest((total - 480) / 50) for game, total in minutes.items()}
        self.by_team: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(teams, key=lambda r: (r["game_date"], r["game_id"])):
            self.by_team[row["team"]].append(row)

    @classmethod
    def read(cls, folder: Path, season: str) -> "Reference":
        def rows(name: str) -> list[Row]:
            found = duckdb.sql(f"SELECT * FROM '{folder}/{name}.parquet' WHERE season = '{season}'")
            return [dict(zip(found.columns, values, strict=True)) for values in found.fetchall()]

        return cls(rows("schedule"), rows("team_boxscores"), rows("player_boxscores"))

    def window(self, day: date) -> set[date]:
        return set([d for d in self.days if d < day][-15:])

    def opponent(self, row: Row) -> Row:
        return self.side[row["game_id"], row["opponent"]]

    def usage(self, row: Row) -> float | None:
        team = self.side[row["game_id"], row["team"]]
        own = row["fga"] + 0.44 * row["fta"] + row["tov"]
        whole = team["fga"] + 0.44 * team["fta"] + team["tov_players"]
        return 100 * own * self.length[row["game_id"]] / (row["minutes"] * whole) if row["minutes"] >= 3 else None

    def team_games(self, team: str, day: date) -> list[Row]:
        window = self.window(day)
        return [row for row in self.by_team[team] if row["game_date"] in window]

    def player_games(self, player: int, day: date) -> list[Row]:
        window = self.window(day)
        return [row for row in self.by_player[player] if row["game_date"] in window]

    def teams_of(self, day: date) -> dict[str, tuple[str, str]]:
        """Team: (game, opponent) on a date."""
        today = [game for game in self.games if game["game_date"] == day]
        return {game["home_team"]: (game["game_id"], game["away_team"]) for game in today} | {
            game["away_team"]: (game["game_id"], game["home_team"]) for game in today
        }

    def expected_players(self, day: date) -> dict[int, tuple[Row, list[Row]]]:
        """Player: his last game and all his games of the window, for teams of the date."""
        teams = self.teams_of(day)
        found = {player: self.player_games(player, day) for player in self.by_player}
        return {p: (games[-1], games) for p, games in found.items() if games and games[-1]["team"] in teams}

    def pace(self, rows: Sequence[Row]) -> float | None:
        both = possessions(rows) + possessions(self.opponent(row) for row in rows)
        return ratio(48 * both, 2 * sum(self.length[row["game_id"]] for row in rows))

    def raw_players(self, day: date) -> Values:
        columns = ("team", "minutes", "points", "fga", "tov", "plus_minus", "player_name", "wl")
        rows = [row for row in self.appearances if row["game_date"] == day]
        return {(row["game_id"], row["player_id"]): {c: row[c] for c in columns} for row in rows}

    def raw_teams(self, day: date) -> Values:
        rows = [row for row in self.side.values() if row["game_date"] == day]
        return {
            (row["game_id"], row["team"]): {"points": row["points"], "tov": row["tov_players"], "pf": row["pf"]}
            for row in rows
        }

    def team_offense(self, day: date) -> Values:
        return {
            (row["game_id"], row["team"]): {
                "opponent_points": self.opponent(row)["points"],
                "won": row["points"] > self.opponent(row)["points"],
                "possessions": possessions([row]),
                "efg_pct": ratio(row["fgm"] + row["fg3m"] / 2, row["fga"]),
                "offensive_rating": ratio(100 * row["points"], possessions([row])),
                "oreb_pct": ratio(row["oreb"], row["oreb"] + self.opponent(row)["dreb"]),
                "pace": self.pace([row]),
            }
            for row in self.side.values()
            if row["game_date"] == day
        }

    def team_defense(self, day: date) -> Values:
        return {
            (row["game_id"], row["team"]): {
                "points_allowed": self.opponent(row)["points"],
                "opp_tov": self.opponent(row)["tov_players"],
                "opp_fg3_pct": ratio(self.opponent(row)["fg3m"], self.opponent(row)["fg3a"]),
                "defensive_rating": ratio(100 * self.opponent(row)["points"], possessions([self.opponent(row)])),
                "stl": row["stl"],
            }
            for row in self.side.values()
            if row["game_date"] == day
        }

    def player_summary(self, day: date) -> Values:
        return {
            (row["game_id"], row["player_id"]): {
                "points": row["points"],
                "won": row["wl"] == "W",
                "fg_pct": ratio(row["fgm"], row["fga"]),
                "ts_pct": ratio(row["points"], 2 * (row["fga"] + 0.44 * row["fta"])),
                "usage_rate": self.usage(row),
            }
            for row in self.appearances
            if row["game_date"] == day
        }

    def upcoming_team(self, day: date) -> Values:
        values = {}
        for team, (game, _) in self.teams_of(day).items():
            earlier = [row["game_date"] for row in self.by_team[team] if row["game_date"] < day]
            games = self.team_games(team, day)
            allowed = [self.opponent(row) for row in games]
            values[game, team] = {
                "rest_days": (day - earlier[-1]).days - 1 if earlier else None,
                "back_to_back": bool(earlier) and earlier[-1] == day - timedelta(days=1),
                "games_last_7_days": sum(day - d <= timedelta(days=7) for d in earlier),
                "season_game_number": len(earlier) + 1,
                "points_avg_l5": mean(games[-5:], "points"),
                "points_allowed_avg_l10": mean(allowed[-10:], "points"),
                "offensive_rating_l15": ratio(100 * total(games, "points"), possessions(games)),
                "defensive_rating_l5": ratio(100 * total(allowed[-5:], "points"), possessions(allowed[-5:])),
                "pace_l10": self.pace(games[-10:]),
            }
        return values

    def upcoming_player(self, day: date) -> Values:
        values = {}
        for player, (last, games) in self.expected_players(day).items():
            usages = [usage for usage in map(self.usage, games[-5:]) if usage is not None]
            week = [row for row in games if day - row["game_date"] <= timedelta(days=7)]
            values[player] = {
                "team": last["team"],
                "opponent": self.teams_of(day)[last["team"]][1],
                "games_in_window": len(games),
                "rest_days": (day - last["game_date"]).days - 1,
                "minutes_last_7_days": total(week, "minutes"),
                "points_avg_l5": mean(games[-5:], "points"),
                "reb_avg_l10": mean(games[-10:], "reb"),
                "usage_avg_l5": sum(usages) / len(usages) if usages else None,
                "points_line": None,
            }
        return values

    def team_defense_zones(self, day: date) -> Values:
        values = {}
        for team in self.by_team:
            games = self.team_games(team, day)
            allowed = [self.opponent(row) for row in games]
            twos = (total(allowed, "fgm") - total(allowed, "fg3m"), total(allowed, "fga") - total(allowed, "fg3a"))
            values[team] = {
                "games_in_window": len(games),
                "points_allowed_avg": mean(allowed, "points"),
                "opp_fg2_pct": ratio(*twos),
                "opp_fg3_pct": ratio(total(allowed, "fg3m"), total(allowed, "fg3a")),
                "defensive_rating": ratio(100 * total(allowed, "points"), possessions(allowed)),
                "pace": self.pace(games),
                "opp_rim_rate": None,
            }
        return {team: row for team, row in values.items() if row["games_in_window"]}

    def player_shot_zones(self, day: date) -> Values:
        values = {}
        for player, (last, games) in self.expected_players(day).items():
            fga, points = total(games, "fga"), total(games, "points")
            values[player] = {
                "three_rate": ratio(total(games, "fg3a"), fga),
                "two_rate": ratio(fga - total(games, "fg3a"), fga),
                "ft_points_share": ratio(total(games, "ftm"), points),
                "three_points_share": ratio(3 * total(games, "fg3m"), points),
                "completeness_pct": min(100, 100 * len(games) / len(self.team_games(last["team"], day))),
                "rim_fg_pct": None,
            }
        return values

    def composite_factors(self, day: date) -> Values:
        zones, teams, players = self.team_defense_zones(day), self.upcoming_team(day), self.upcoming_player(day)
        shots = self.player_shot_zones(day)
        window = self.window(day)
        everyone = [row for row in self.side.values() if row["game_date"] in window]
        league_rating = 100 * total(everyone, "points") / possessions(everyone)
        threes = total(everyone, "fg3a"), total(everyone, "fg3m")
        league_two = (total(everyone, "fgm") - threes[1]) / (total(everyone, "fga") - threes[0])
        values = {}
        for player, (last, games) in self.expected_players(day).items():
            game, opponent = self.teams_of(day)[last["team"]]
            zone, shot = zones[opponent], shots[player]
            week = [row for row in games if day - row["game_date"] <= timedelta(days=7)]
            tired = 15 * (players[player]["rest_days"] == 0) + 5 * max(0, len(week) - 3)
            own, other = self.team_games(last["team"], day), self.team_games(opponent, day)
            usages = [usage for usage in map(self.usage, games) if usage is not None]
            usage_l5 = players[player]["usage_avg_l5"]
            assert teams[game, last["team"]]["rest_days"] is not None
            values[player] = {
                "fatigue_score": max(0, 100 - tired - 2 * max(0, (mean(games[-5:], "minutes") or 0) - 32)),
                "opponent_defense_score": zone["defensive_rating"] - league_rating,
                "shot_matchup_score": None
                if shot["two_rate"] is None
                else 200 * shot["two_rate"] * (zone["opp_fg2_pct"] - league_two)
                + 300 * shot["three_rate"] * (zone["opp_fg3_pct"] - threes[1] / threes[0]),
                "pace_score": ((self.pace(own) or 0) + (self.pace(other) or 0)) / 2 - (self.pace(everyone) or 0),
                "usage_trend": usage_l5 - sum(usages) / len(usages) if usage_l5 is not None and usages else None,
            }
        return values

    def daily_cache(self, day: date) -> Values:
        values = {}
        for player, (last, games) in self.expected_players(day).items():
            ten = games[-10:]
            big = [[row[c] >= 10 for c in ("points", "reb", "ast", "stl", "blk")] for row in ten]
            team_points = sum(self.side[row["game_id"], row["team"]]["points"] for row in games)
            values[player] = {
                "points_avg_l10": mean(ten, "points"),
                "points_std_l10": stdev(row["points"] for row in ten) if len(ten) > 1 else None,
                "points_max_l10": max(row["points"] for row in ten),
                "double_doubles_l10": sum(sum(row) >= 2 for row in big),
                "minutes_last_game": last["minutes"],
                "home_points_avg": mean([row for row in games if row["is_home"]], "points"),
                "points_share": ratio(total(games, "points"), team_points),
            }
        return values

    def features(self, day: date) -> Values:
        zones, factors, cache = self.team_defense_zones(day), self.composite_factors(day), self.daily_cache(day)
        values = {}
        for player, (last, games) in self.expected_players(day).items():
            game, opponent = self.teams_of(day)[last["team"]]
            own = self.team_games(last["team"], day)
            at_home = any(g["game_id"] == game and g["home_team"] == last["team"] for g in self.games)
            values[player] = {
                "game_id": game,
                "points_avg_l5": mean(games[-5:], "points"),
                "points_share": cache[player]["points_share"],
                "is_home": float(at_home),
                "fatigue_score": factors[player]["fatigue_score"],
                "opponent_defensive_rating": zones[opponent]["defensive_rating"],
                "team_offensive_rating": ratio(100 * total(own, "points"), possessions(own)),
                "points_line": None,
            }
        return values
