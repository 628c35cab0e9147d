"""The circuit breaker stops a processor that many dates speak against, in place of burning the attempts of them all:
they failed alike, one of its checks blocks them all, or so many failed that it does not matter how.

Level-triggered: it is open while so many dates stand so, and closes when a retry or a waiver leaves fewer.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, datetime

from phasegate.domain.plan import PlanIndex
from phasegate.domain.spec.pipeline import FailurePolicy
from phasegate.domain.state.alike import is_of_block
from phasegate.domain.state.board import Board, CircuitBreaker
from phasegate.domain.state.unsound import Failure, NotRun, Unsound

_ANY = ""
"""Stands for the signature where failures are counted in whatever way they failed."""


def breakers(index: PlanIndex, board: Board, refs: Collection[str], now: datetime) -> dict[str, CircuitBreaker]:
    """Say which circuit breakers should be open. refs: the processors of which something came to be known.

    One that stays open is as it was when it opened; only the earliest of its dates may be another by now. Of several
    that should, one opens that says most of the cause.
    """
    alike: dict[tuple[str, str], list[date]] = {}
    for day, bad in board.bad.items():
        for ref in bad.keys() & (board.breakers.keys() | refs):
            for sign in _signatures(bad[ref], index.by_ref[ref].processor):
                alike.setdefault((ref, sign), []).append(day)
    open_breakers: dict[str, CircuitBreaker] = {}
    for (ref, sign), days in sorted(alike.items(), key=lambda each: each[0][1] == _ANY):
        allowed = _allowed(index.by_ref[ref].failure, sign)
        if allowed is not None and len(days) >= allowed:
            there = board.breakers.get(ref)
            is_same = there is not None and there.signature == sign
            if there is not None and is_same:
                open_breakers[ref] = there if there.first in days else replace(there, first=min(days))
            else:
                open_breakers.setdefault(ref, CircuitBreaker(sign, len(days), min(days), now))
    return open_breakers


def _signatures(why: Unsound, processor: str) -> Sequence[str]:
    """What a date is counted under; what was not run, or waits, speaks against nobody."""
    if isinstance(why, NotRun):
        return ()
    return (why.signature(processor), _ANY) if isinstance(why, Failure) else why.signatures(processor)


def _allowed(policy: FailurePolicy, sign: str) -> int | None:
    """So many dates with this signature open the circuit breaker; None: however many there are."""
    if policy.circuit_breaker is None:
        return None
    if is_of_block(sign):
        return policy.circuit_breaker_blocked
    if sign == _ANY:
        of_any_kind = policy.circuit_breaker_any
        return None if of_any_kind is None else max(of_any_kind, policy.circuit_breaker)
    return policy.circuit_breaker
