"""Made-up players have names from lists of given names and syllables, and skills drawn around three roles."""

from dataclasses import dataclass
from itertools import product
from random import Random

from nba_worker.sample_schedule import TEAMS

FIRST_PLAYER_ID = 9_000_001
"""Above every id of the real source (its highest is 1,642,530), so that nobody takes one for the other."""

ROSTER_SIZE = 15
"""What the real league allows a team to have under contract."""

_GIVEN_NAMES = """
    Abel Alden Anton Arlo Basil Boaz Bram Casper Cato Cedric Clem Corwin Dario Desmond Edmund Elias Emeric Enzo Ephraim
    Ezio Fabian Felix Florian Gideon Hector Hugo Ignace Ivo Jasper Jonas Kasimir Lando Leopold Linus Lorenz Lucian
    Magnus Matteo Milo Nestor Odell Orrin Osric Otto Pascal Quentin Rafferty Remy Roland Rufus Severin Silas Stellan
    Tarquin Theo Tobias Ulric Valentin Warrick Zeno
"""

_ONSETS = """
    Ald Bal Bran Cor Dag Del Eld Fal Fen Gar Hal Har Ild Jar Kel Kor Lan Lor Mal Mor Nar Nor Ost Pel Quil Ran Ros Sal
    Tam Tor Ul Var Vel Wil Wyn Yar Zan
"""

_CODAS = """
    aby ack ador ambe anthe arno aster avel egrin elby emont enko erby eston ifax imar indle obar olin onde orax uvane
"""
"""A surname is an onset and a coda: 814 of them, and none belongs to a player of the real source."""


@dataclass(frozen=True, slots=True)
class Player:
    """A player has a name, and skills by which games are drawn.

    A weight counts against those of the teammates on the floor, per minute.
    """

    player_id: int
    """Unique in the league."""
    name: str
    """First and last name."""
    usage: float
    """The weight for shots."""
    three_share: float
    """Part of the field goal attempts that is taken from behind the line."""
    two: float
    """Chance that a field goal from before the line goes in."""
    three: float
    """Chance that a field goal from behind the line goes in."""
    free: float
    """Chance that a free throw goes in."""
    rebounding: float
    """The weight for rebounds."""
    passing: float
    """The weight for assists."""
    stealing: float
    """The weight for steals."""
    blocking: float
    """The weight for blocked shots."""


_ROLES = (
    # three_share, two, three, free; rebounding, passing, stealing, blocking per 36 minutes
    (0.45, 0.515, 0.365, 0.83, 4.5, 6.3, 1.3, 0.30),
    (0.45, 0.535, 0.365, 0.79, 6.0, 3.0, 1.1, 0.50),
    (0.20, 0.575, 0.335, 0.71, 10.0, 2.4, 0.9, 1.90),
)
"""Guard, wing and big: round numbers whose mixture gives the real source's 54 % of twos, 36 % of threes, 78 % of
free throws and two threes in five attempts."""

_USAGE_BY_PLACE = (16.3, 15.3, 13.8, 12.8, 11.9, 11.7, 11.4, 11.0, 10.8, 10.8, 10.8, 10.8, 10.8, 10.8, 10.8)
"""Field goal attempts per 36 minutes by place in the rotation; the means of the real source."""


def draw_rosters(rng: Random) -> dict[str, tuple[Player, ...]]:
    """Draw fifteen players per team, the starters first; ids and names are unique in the league."""
    surnames = [onset + coda for onset, coda in product(_ONSETS.split(), _CODAS.split())]
    full_names = [f"{given} {surname}" for given, surname in product(_GIVEN_NAMES.split(), surnames)]
    numbered = enumerate(rng.sample(full_names, len(TEAMS) * ROSTER_SIZE), start=FIRST_PLAYER_ID)
    return {team: tuple(_draw_player(*next(numbered), place, rng) for place in range(ROSTER_SIZE)) for team in TEAMS}


def _draw_player(player_id: int, name: str, place: int, rng: Random) -> Player:
    three_share, two, three, free, rebounding, passing, stealing, blocking = _ROLES[place % len(_ROLES)]
    return Player(
        player_id,
        name,
        usage=_USAGE_BY_PLACE[place] * rng.uniform(0.85, 1.15),
        three_share=max(three_share + rng.gauss(0, 0.08), 0.01),
        two=two + rng.gauss(0, 0.02),
        three=three + rng.gauss(0, 0.02),
        free=free + rng.gauss(0, 0.04),
        rebounding=rebounding * rng.uniform(0.75, 1.25),
        passing=passing * rng.uniform(0.5, 1.5),
        stealing=stealing * rng.uniform(0.7, 1.3),
        blocking=blocking * rng.uniform(0.5, 1.5),
    )
