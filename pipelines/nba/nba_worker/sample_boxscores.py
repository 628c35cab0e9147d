"""Made-up games are played shot by shot, so that every count in their box scores agrees with every other.

A block needs a missed shot, a steal a turnover, an assist a made shot by a teammate, and a tie an overtime.
The rates are means of the real source (12,000 team games, 2020-21 to 2024-25) unless a comment says otherwise.
"""

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt
from random import Random

from nba_worker.sample_rosters import Player
from nba_worker.sample_schedule import Fixture

_POSSESSIONS, _POSSESSIONS_SPREAD = 101.0, 4.5
"""Of each team in 48 minutes, mean and standard deviation; tuned so that 88.6 field goal attempts per team come out."""

_TURNOVERS, _FREE_THROWS, _FOULS = (0.132, 3.4), (0.220, 6.0), (0.191, 3.6)
"""How many per possession, and the standard deviation in 48 minutes: a tenth below that of the real source, whose
teams also differ in style."""

_FREE_THROW_POSSESSIONS = 0.44
"""Possessions that one free throw attempt costs: the usual estimate, as many come in pairs or after a made shot."""

_OFFENSIVE_REBOUND, _ANY_REBOUND = 0.222, 0.934
"""Chance that a missed shot is rebounded by the attack, and by anybody."""

_STEAL_OF_TURNOVER, _BLOCK_OF_MISSED_TWO = 0.577, 0.198
_ASSIST = 0.70
"""Chance that a made shot has a passer; one draw in eight names the shooter himself, which leaves 62 %."""

_HOME_EDGE, _TEAM_SPREAD = 0.009, 0.014
"""Added to the chance of every shot: at home, and the spread of the teams' offences and defences."""

_MINUTES_BY_PLACE = (36.5, 34.3, 32.2, 29.9, 27.1, 23.3, 19.8, 16.4, 12.4, 8.1, 4.9, 4.1, 3.8, 3.7, 3.6)
"""Of the player with most minutes in a game, with second most, and so on."""

_LINEUP_SIZES, _LINEUP_WEIGHTS = range(8, 16), (373, 2735, 3635, 1953, 1477, 1132, 559, 133)
"""How many players appear for a team in a game, and how often."""

_FEWEST_FIT = 8
_REGULATION, _OVERTIME, _ON_FLOOR, _FOUL_LIMIT = 48, 5, 5, 6


@dataclass(slots=True, eq=False)
class StatLine:
    """A line holds one player's counts in one game."""

    player: Player
    """Whose counts they are."""
    minutes: float
    """Minutes as played, to be rounded."""
    fgm: int = 0
    """Field goals made."""
    fga: int = 0
    """Field goals attempted."""
    fg3m: int = 0
    """Of the field goals made, those from behind the line."""
    fg3a: int = 0
    """Of those attempted, those from behind the line."""
    ftm: int = 0
    """Free throws made."""
    fta: int = 0
    """Free throws attempted."""
    oreb: int = 0
    """Rebounds under the other side's basket."""
    dreb: int = 0
    """Rebounds under one's own basket."""
    ast: int = 0
    """Assists."""
    stl: int = 0
    """Steals."""
    blk: int = 0
    """Blocked shots."""
    tov: int = 0
    """Turnovers."""
    pf: int = 0
    """Personal fouls."""
    plus_minus: int = 0
    """The margin while the player was on the floor."""

    @property
    def points(self) -> int:
        """Return the points: two for a field goal, one more behind the line, one for a free throw."""
        return 2 * self.fgm + self.fg3m + self.ftm

    @property
    def reb(self) -> int:
        """Return the rebounds at both ends."""
        return self.oreb + self.dreb


@dataclass(frozen=True, slots=True)
class Side:
    """A side is one team's part of a game."""

    team: str
    """The team."""
    opponent: str
    """The other team."""
    is_home: bool
    """Whether the game is played at home."""
    lines: tuple[StatLine, ...]
    """Its players' counts, in the order of player id."""

    def total(self, count: str) -> int:
        """Return the sum of one count, such as ``points``, over the players."""
        return sum(getattr(line, count) for line in self.lines)


class League:
    """A league has one season's teams: their strength, and who is out for how many more games."""

    def __init__(self, rosters: dict[str, tuple[Player, ...]], rng: Random) -> None:
        self._rng = rng
        self._rosters = rosters
        self._offence = {team: rng.gauss(0, _TEAM_SPREAD) for team in rosters}
        self._defence = {team: rng.gauss(0, _TEAM_SPREAD) for team in rosters}
        self._games_out: dict[int, int] = {}

    def play(self, fixture: Fixture) -> tuple[Side, Side]:
        """Play a game to a winner, with as many overtimes as that takes: the home side, then the away side."""
        home = Side(fixture.home_team, fixture.away_team, True, self._lineup(fixture.home_team))
        away = Side(fixture.away_team, fixture.home_team, False, self._lineup(fixture.away_team))
        pace = self._rng.gauss(_POSSESSIONS, _POSSESSIONS_SPREAD)
        self._play_period(_Floor(home.lines, self._rng), _Floor(away.lines, self._rng), fixture, pace)
        while home.total("points") == away.total("points"):
            home_five, away_five = (_Floor(_closing_five(side.lines), self._rng) for side in (home, away))
            self._play_period(home_five, away_five, fixture, pace * _OVERTIME / _REGULATION)
        margin = home.total("points") - away.total("points")
        _share_margin(home.lines, margin, self._rng)
        _share_margin(away.lines, -margin, self._rng)
        return home, away

    def _play_period(self, home: "_Floor", away: "_Floor", fixture: Fixture, possessions: float) -> None:
        home_edge = self._offence[fixture.home_team] - self._defence[fixture.away_team] + _HOME_EDGE
        away_edge = self._offence[fixture.away_team] - self._defence[fixture.home_team]
        _attack(home, away, possessions, home_edge, self._rng)
        _attack(away, home, possessions, away_edge, self._rng)

    def _lineup(self, team: str) -> tuple[StatLine, ...]:
        """Who appears and for how many minutes: 240 in all, mostly by place in the rotation."""
        rng = self._rng
        fit = self._fit_players(team)
        (size,) = rng.choices(_LINEUP_SIZES, _LINEUP_WEIGHTS)
        order = sorted(range(len(fit)), key=lambda place: place + rng.gauss(0, 1.2))[:size]
        shares = [base * max(rng.gauss(1, 0.15), 0.1) for base in _MINUTES_BY_PLACE[: len(order)]]
        minutes = _fit_minutes(shares)
        lines = (StatLine(fit[place], played) for place, played in zip(order, minutes, strict=True))
        return tuple(sorted(lines, key=lambda line: line.player.player_id))

    def _fit_players(self, team: str) -> list[Player]:
        """Those not hurt, eight at least. A player is hurt once in fifty games, and out for one to nine."""
        hurt = {player for player in self._rosters[team] if self._games_out.get(player.player_id)}
        for player in self._rosters[team]:
            if player in hurt:
                self._games_out[player.player_id] -= 1
            elif self._rng.random() < 0.02 and len(hurt) < len(self._rosters[team]) - _FEWEST_FIT:
                hurt.add(player)
                self._games_out[player.player_id] = self._rng.randint(0, 8)
        return [player for player in self._rosters[team] if player not in hurt]


class _Floor:
    """The players of one side in one period, and how likely each is to have a hand in what happens."""

    def __init__(self, lines: Sequence[StatLine], rng: Random) -> None:
        self._lines = lines
        self._rng = rng
        self.shooter = self._chooser([line.minutes * line.player.usage for line in lines])
        self.rebounder = self._chooser([line.minutes * line.player.rebounding for line in lines])
        self.passer = self._chooser([line.minutes * line.player.passing for line in lines])
        self.stealer = self._chooser([line.minutes * line.player.stealing for line in lines])
        self.blocker = self._chooser([line.minutes * line.player.blocking for line in lines])
        self.anyone = self._chooser([line.minutes for line in lines])

    def _chooser(self, weights: list[float]) -> Callable[[], StatLine]:
        lines, draw, bounds = self._lines, self._rng.random, list(accumulate(weights))
        return lambda: lines[bisect(bounds, draw() * bounds[-1], 0, len(bounds) - 1)]


def _attack(attack: _Floor, defence: _Floor, possessions: float, edge: float, rng: Random) -> None:
    """Play one side's possessions of a period: turnovers and free throws first, what is left are shots."""
    turnovers = _draw_count(rng, possessions, *_TURNOVERS)
    free_throws = _draw_count(rng, possessions, *_FREE_THROWS)
    for _ in range(turnovers):
        attack.shooter().tov += 1
        if rng.random() < _STEAL_OF_TURNOVER:
            defence.stealer().stl += 1
    for _ in range(free_throws):
        line = attack.shooter()
        line.fta += 1
        line.ftm += rng.random() < line.player.free
    for _ in range(_draw_count(rng, possessions, *_FOULS)):
        line = defence.anyone()
        line.pf += line.pf < _FOUL_LIMIT
    shots = round(possessions - turnovers - _FREE_THROW_POSSESSIONS * free_throws)
    while shots > 0:
        shots += _shoot(attack, defence, edge, rng) - 1


def _shoot(attack: _Floor, defence: _Floor, edge: float, rng: Random) -> bool:
    """One field goal attempt with its pass, block and rebound; true if the attack has the ball again."""
    shooter = attack.shooter()
    player = shooter.player
    is_three = rng.random() < player.three_share
    shooter.fga += 1
    shooter.fg3a += is_three
    if rng.random() < (player.three if is_three else player.two) + edge:
        shooter.fgm += 1
        shooter.fg3m += is_three
        passer = attack.passer()
        passer.ast += passer is not shooter and rng.random() < _ASSIST
        return False
    if not is_three and rng.random() < _BLOCK_OF_MISSED_TWO:
        defence.blocker().blk += 1
    rebound = rng.random()
    if rebound < _OFFENSIVE_REBOUND:
        attack.rebounder().oreb += 1
        return True
    if rebound < _ANY_REBOUND:
        defence.rebounder().dreb += 1
    return False


def _draw_count(rng: Random, possessions: float, rate: float, spread: float) -> int:
    """A count around rate x possessions; ``spread`` is its standard deviation in 48 minutes."""
    return max(round(rng.gauss(possessions * rate, spread * sqrt(possessions / _POSSESSIONS))), 0)


def _fit_minutes(shares: list[float]) -> list[float]:
    """Scale the shares to the 240 minutes of a team, nobody above 46 of 48."""
    while True:
        scale = _ON_FLOOR * _REGULATION / sum(shares)
        minutes = [share * scale for share in shares]
        if max(minutes) <= 46:
            return minutes
        shares = [min(played, 45) for played in minutes]


def _closing_five(lines: tuple[StatLine, ...]) -> list[StatLine]:
    """The five with most minutes, who play an overtime through; their minutes are counted here."""
    five = sorted(lines, key=lambda line: -line.minutes)[:_ON_FLOOR]
    for line in five:
        line.minutes += _OVERTIME
    return five


def _share_margin(lines: tuple[StatLine, ...], margin: int, rng: Random) -> None:
    """Give each player a plus-minus around his part of the margin; together they have five times the margin.

    The noise is the least for who hardly plays and for who always plays, as it must be.
    """
    total = sum(line.minutes for line in lines)
    parts = [line.minutes / total for line in lines]
    noise = [rng.gauss(0, 24) * sqrt(part * max(1 - _ON_FLOOR * part, 0)) for part in parts]
    drift = sum(noise)
    for line, part, luck in zip(lines, parts, noise, strict=True):
        line.plus_minus = round(_ON_FLOOR * margin * part + luck - drift * part)
    missing = _ON_FLOOR * margin - sum(line.plus_minus for line in lines)
    for line in sorted(lines, key=lambda line: -line.minutes)[: abs(missing)]:
        line.plus_minus += 1 if missing > 0 else -1
