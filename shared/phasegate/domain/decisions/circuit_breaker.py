"""The circuit breaker stops a processor whose failures on many dates have one signature, in place of burning the
attempts of them all.

Level-triggered: it is open while so many dates stand as failed alike, and closes when a retry or a waiver leaves fewer.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime

from phasegate.domain.plan import PlanIndex
from phasegate.domain.state.board import Board, CircuitBreaker
from phasegate.domain.state.unsound import Failure


def breakers(index: PlanIndex, board: Board, refs: Collection[str], now: datetime) -> dict[str, CircuitBreaker]:
    """Say which circuit breakers should be open. refs: the processors of which something came to be known.

    One that stays open is as it was when it opened; only the earliest of its dates may be another by now.
    """
    alike: dict[tuple[str, str], list[date]] = {}
    for day, bad in board.bad.items():
        for ref in bad.keys() & (board.breakers.keys() | refs):
            if isinstance(why := bad[ref], Failure):
                alike.setdefault((ref, why.signature(index.by_ref[ref].processor)), []).append(day)
    open_breakers: dict[str, CircuitBreaker] = {}
    for (ref, sign), days in alike.items():
        allowed = index.by_ref[ref].failure.circuit_breaker
        if allowed is not None and len(days) >= allowed:
            there = board.breakers.get(ref)
            is_same = there is not None and there.signature == sign
            if there is not None and is_same:
                open_breakers[ref] = there if there.first in days else replace(there, first=min(days))
            else:
                open_breakers.setdefault(ref, CircuitBreaker(sign, len(days), min(days), now))
    return open_breakers
