"""The circuit breaker: failures of one signature on many dates stop a processor, in place of burning the attempts of
them all.

Level-triggered: it is on while so many dates stand as failed alike, and goes when a retry or a waiver leaves fewer.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime

from phasegate.domain.decisions.failures import signature
from phasegate.domain.plan import PlanIndex
from phasegate.domain.state.board import Board, BoardLetter, CircuitBreaker


def breakers(index: PlanIndex, board: Board, refs: Collection[str], now: datetime) -> dict[str, CircuitBreaker]:
    """The circuit breakers as they should be. refs: the processors of which something came to be known.

    One that stays on is as it was when it was pulled; only the earliest of its dates may be another by now.
    """
    alike: dict[tuple[str, str], list[date]] = {}
    for day, bad in board.bad.items():
        for ref in bad.keys() & (board.breakers.keys() | refs):
            kind, reason = bad[ref]
            if kind == BoardLetter.FAILED:
                error_class, _, message = reason.partition(": ")
                alike.setdefault((ref, signature(error_class, index.by_ref[ref].processor, message)), []).append(day)
    found: dict[str, CircuitBreaker] = {}
    for (ref, sign), days in alike.items():
        allowed = index.by_ref[ref].failure.circuit_breaker
        if allowed is not None and len(days) >= allowed:
            there = board.breakers.get(ref)
            is_same = there is not None and there.signature == sign
            if there is not None and is_same:
                found[ref] = there if there.first in days else replace(there, first=min(days))
            else:
                found.setdefault(ref, CircuitBreaker(sign, len(days), min(days), now))
    return found
