"""The brake: failures of one signature on many dates stop a processor, in place of burning the attempts of them all."""

from collections.abc import Collection
from datetime import date, datetime

from shared.domain.board import FAILED, Board, Brake
from shared.domain.failures import signature
from shared.domain.plan import PlanIndex


def pull(index: PlanIndex, board: Board, refs: Collection[str], now: datetime) -> dict[str, Brake]:
    """The brakes to pull among these processors: those that failed alike on as many dates as their phase allows."""
    alike: dict[tuple[str, str], list[date]] = {}
    for day, bad in board.bad.items():
        for ref in bad.keys() & refs:
            kind, reason = bad[ref]
            if kind == FAILED and ref not in board.brakes and index.by_ref[ref].failure.brake is not None:
                error_class, _, message = reason.partition(": ")
                alike.setdefault((ref, signature(error_class, index.by_ref[ref].processor, message)), []).append(day)
    return {
        ref: Brake(sign, len(days), min(days), now)
        for (ref, sign), days in alike.items()
        if len(days) >= (index.by_ref[ref].failure.brake or 0)
    }
