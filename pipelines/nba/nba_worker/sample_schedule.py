"""A made-up season has the real league's teams, dates and weekly rhythm, with drawn pairings.

The calendars are facts of the real league; who meets whom on which date is drawn.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations, product
from random import Random

DIVISIONS = (
    ("BOS", "BKN", "NYK", "PHI", "TOR"),
    ("CHI", "CLE", "DET", "IND", "MIL"),
    ("ATL", "CHA", "MIA", "ORL", "WAS"),
    ("DEN", "MIN", "OKC", "POR", "UTA"),
    ("GSW", "LAC", "LAL", "PHX", "SAC"),
    ("DAL", "HOU", "MEM", "NOP", "SAS"),
)
"""The six divisions of five teams; the first three are the East."""

TEAMS = tuple(sorted(team for division in DIVISIONS for team in division))


@dataclass(frozen=True, slots=True)
class SeasonCalendar:
    """A calendar says when a regular season is played."""

    first: date
    """Its first game date."""
    last: date
    """Its last game date."""
    free: frozenset[date]
    """The days between them without any game."""
    games_per_team: int = 82
    """How many games each team plays: 82, or 72 in the shortened 2020-21."""

    def game_dates(self) -> tuple[date, ...]:
        """Return every date with games, ascending."""
        days = (self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1))
        return tuple(day for day in days if day not in self.free)


@dataclass(frozen=True, slots=True)
class Fixture:
    """A fixture is a game to be played."""

    season: str
    """The season that it belongs to."""
    game_date: date
    """The date on which it is played."""
    game_id: str
    """Of the real form: ``002``, two digits of the year, five of a running number."""
    home_team: str
    """The team that plays at home."""
    away_team: str
    """The team that plays away."""


def _calendar(first: str, last: str, free: str, games_per_team: int = 82) -> SeasonCalendar:
    free_days = frozenset(date.fromisoformat(day) for day in free.split())
    return SeasonCalendar(date.fromisoformat(first), date.fromisoformat(last), free_days, games_per_team)


CALENDARS = {
    "2020-21": _calendar(
        "2020-12-22",
        "2021-05-16",
        "2020-12-24 2021-03-05 2021-03-06 2021-03-07 2021-03-08 2021-03-09",
        games_per_team=72,
    ),
    "2021-22": _calendar(
        "2021-10-19",
        "2022-04-10",
        "2021-11-25 2021-12-24 2022-02-18 2022-02-19 2022-02-20 2022-02-21 2022-02-22 2022-02-23 2022-04-04",
    ),
    "2022-23": _calendar(
        "2022-10-18",
        "2023-04-09",
        "2022-11-08 2022-11-24 2022-12-24 2023-02-17 2023-02-18 2023-02-19 2023-02-20 2023-02-21 2023-02-22 2023-04-03",
    ),
    "2023-24": _calendar(
        "2023-10-24",
        "2024-04-14",
        "2023-11-07 2023-11-23 2023-12-03 2023-12-09 2023-12-10 2023-12-24 2024-02-16 2024-02-17 2024-02-18 2024-02-19"
        " 2024-02-20 2024-02-21 2024-04-08 2024-04-13",
    ),
    "2024-25": _calendar(
        "2024-10-22",
        "2025-04-13",
        "2024-11-05 2024-11-28 2024-12-17 2024-12-18 2024-12-24 2025-02-14 2025-02-15 2025-02-16 2025-02-17 2025-02-18"
        " 2025-04-12",
    ),
}
"""The five seasons of the real source, with its game dates: 140, 165, 164, 160 and 163 of them.

Free are the All-Star break, Thanksgiving, Christmas Eve, election days, days of the in-season cup's finals and the
eve of the last date or week. Source: ``schedule.parquet`` of the real games, 2020-21 to 2024-25.
"""

_GAMES_BY_WEEKDAY = (8.1, 5.9, 9.6, 5.2, 9.3, 7.1, 7.6)
"""Mean games per date, Monday to Sunday, over the five real seasons."""

_OPENING_GAMES, _SECOND_DAY_GAMES, _CHRISTMAS_GAMES = 2, 12, 5
"""What the real source has on those dates; 12 on the second day in three of the five seasons."""

_DAY = timedelta(days=1)

_MOST_GAMES = len(TEAMS) // 2 - 1
"""On any date but the last, where every team plays: a full date more would leave the draw no freedom."""


def draw_fixtures(season: str, rng: Random) -> tuple[Fixture, ...]:
    """Draw a season's games, in the order of date and game id.

    Every team plays as often as the calendar says, half of it at home, never twice on a date and
    at most twice in three days, as in the real source. Raises KeyError for a season without a calendar.
    """
    draw = _Draw(CALENDARS[season], rng)
    while not draw.is_complete():
        draw = _Draw(CALENDARS[season], rng)
    games = sorted((day, home, away) for day, pairs in draw.games.items() for home, away in pairs)
    return tuple(
        Fixture(season, day, f"002{season[2:4]}{number:05d}", home, away)
        for number, (day, home, away) in enumerate(games, start=1)
    )


def _pairings(games_per_team: int, rng: Random) -> list[tuple[str, str]]:
    """(home, away) of every game: the league's own formula, so that each team is at home for exactly half.

    Teams of different conferences meet twice. Within a conference 82 games mean four meetings, but three with four
    of the ten teams of the other divisions; 72 games mean three meetings with everybody.
    """
    divisions = [rng.sample(division, len(division)) for division in DIVISIONS]
    conferences = divisions[:3], divisions[3:]
    east, west = ([team for division in conference for team in division] for conference in conferences)
    games = [game for one, other in product(east, west) for game in ((one, other), (other, one))]
    for conference in (east, west):
        for i, j in combinations(range(len(conference)), 2):
            games += _meetings(conference[i], conference[j], games_per_team, i, j)
    return games


def _meetings(one: str, other: str, games_per_team: int, i: int, j: int) -> list[tuple[str, str]]:
    """Games of two teams at the places i < j (0 to 14, five to a division) of one conference."""
    both_ways = [(one, other), (other, one)]
    if games_per_team == 72:
        return [*both_ways, (one, other) if j - i <= 7 else (other, one)]
    step = (j - i) % 5
    if i // 5 == j // 5 or step > 1:
        return both_ways * 2
    return [*both_ways, (one, other) if step == 0 else (other, one)]


def _games_by_date(calendar: SeasonCalendar, total: int, rng: Random) -> dict[date, int]:
    """How many games each date is to have: the weekly rhythm with some noise, ``total`` in all."""
    dates = calendar.game_dates()
    pinned = {dates[0]: _OPENING_GAMES, dates[1]: _SECOND_DAY_GAMES, dates[-1]: len(TEAMS) // 2}
    pinned |= {day: _CHRISTMAS_GAMES for day in dates if (day.month, day.day) == (12, 25)}
    open_dates = [day for day in dates if day not in pinned]
    counts = {day: round(_GAMES_BY_WEEKDAY[day.weekday()] + rng.gauss(0, 1.5)) for day in open_dates}
    counts = {day: min(max(games, 1), _MOST_GAMES) for day, games in counts.items()} | pinned
    while missing := total - sum(counts.values()):
        step = 1 if missing > 0 else -1
        for day in rng.sample(open_dates, min(abs(missing), len(open_dates))):
            counts[day] = min(max(counts[day] + step, 1), _MOST_GAMES)
    return counts


class _Draw:
    """One attempt at a season, from the first pairing to the last.

    games: (home, away) pairs by date. An attempt is rarely incomplete (one in a hundred), and then worth nothing.
    """

    def __init__(self, calendar: SeasonCalendar, rng: Random) -> None:
        self.games: dict[date, list[tuple[str, str]]] = {day: [] for day in calendar.game_dates()}
        self._rng = rng
        self._unplaced = Counter(_pairings(calendar.games_per_team, rng))
        self._games_due = _games_by_date(calendar, self._unplaced.total(), rng)
        self._left = dict.fromkeys(TEAMS, calendar.games_per_team)
        self._booked: dict[str, set[date]] = {team: set() for team in TEAMS}
        *earlier, last = self.games
        for day in (last, *earlier):
            self._fill_date(day)
        for pair in list(self._unplaced.elements()):
            self._squeeze_in(pair)

    def is_complete(self) -> bool:
        """Every game has its date and every date a game."""
        return not self._unplaced.total() and all(self.games.values())

    def _fill_date(self, day: date) -> None:
        """Pair the teams with most games left, rested ones first, until the date has its games or no pair remains.

        The weights are tuned so that 18 % of the gaps between a team's games are one day, 63 % two, 14 % three,
        which is what the real source has.
        """
        urgency = {
            team: self._left[team] - 0.7 * (day - _DAY in self._booked[team]) + self._rng.gauss(0, 0.4)
            for team in TEAMS
            if self._may_play(team, day)
        }
        queue = sorted(urgency, key=urgency.__getitem__)
        while queue and len(self.games[day]) < self._games_due[day]:
            team = queue.pop()
            meetings = {rival: self._meetings_left(team, rival) for rival in queue}
            if rivals := [rival for rival in queue if meetings[rival]]:
                rival = max(rivals, key=lambda name: urgency[name] + 0.3 * len(meetings[name]))
                queue.remove(rival)
                self._place(self._rng.choice(meetings[rival]), day)

    def _squeeze_in(self, pair: tuple[str, str]) -> None:
        """Place a leftover game on the date that lacks most games, the latest such; both teams must be able to play."""
        if days := [day for day in reversed(self.games) if all(self._may_play(team, day) for team in pair)]:
            self._place(pair, min(days, key=lambda day: len(self.games[day]) - self._games_due[day]))

    def _may_play(self, team: str, day: date) -> bool:
        """Not booked on the day, and not a third game within three days."""
        booked = self._booked[team]
        before, eve, morrow, after = (day + n * _DAY in booked for n in (-2, -1, 1, 2))
        return day not in booked and not ((before and eve) or (eve and morrow) or (morrow and after))

    def _meetings_left(self, one: str, other: str) -> list[tuple[str, str]]:
        return [pair for pair in ((one, other), (other, one)) for _ in range(self._unplaced[pair])]

    def _place(self, pair: tuple[str, str], day: date) -> None:
        self.games[day].append(pair)
        self._unplaced[pair] -= 1
        for team in pair:
            self._booked[team].add(day)
            self._left[team] -= 1
