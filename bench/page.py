"""``docs/benchmarks.md`` is written from the figures that were kept: nothing of it is typed but ``reasons.md`` beside
this file.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.bounds import Measure
from bench.figures import Part, Taken
from bench.picture import Bar, draw

REASONS = Path(__file__).with_name("reasons.md")
"""What people have to say about the figures."""

PEERS = Path(__file__).with_name("peers") / "results.json"
"""What ``python -m bench.peers --json`` writes: other tools over the same W(D)."""

PHASEGATE = "Phasegate"
"""With what the names of Phasegate's own lines begin."""

Line = Mapping[str, Any]
"""One line of the peers' table: name, version, settings, dates, tasks, seconds, tasks_per_second."""


def read_peers(file: Path = PEERS) -> list[Line]:
    """Return the peers' results; none where they were not measured."""
    found: list[Line] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return found


def write_page(page: Path, parts: Mapping[str, Part], peers: Sequence[Line], reasons: str) -> None:
    """Write the page, and its plot beside it under the same name."""
    page.write_text(render(parts, peers, reasons, page.with_suffix(".svg").name), encoding="utf-8")
    page.with_suffix(".svg").write_text(plot(parts, peers), encoding="utf-8")


def render(parts: Mapping[str, Part], peers: Sequence[Line], reasons: str, picture: str) -> str:
    """Return the text of the page. picture: the file of its plot, beside it."""
    sections = (
        _head(parts),
        _measures(parts),
        _missed(parts),
        _paces(parts, peers, picture),
        _where_time_goes(parts),
        _operations(parts),
        [reasons.strip()],
    )
    return "\n".join(line for section in sections for line in (*section, ""))


def plot(parts: Mapping[str, Part], peers: Sequence[Line]) -> str:
    """Return the plot of W(D) as SVG."""
    return draw(
        [
            Bar(_label(line), line["tasks_per_second"], is_ours=line["name"].startswith(PHASEGATE))
            for line in (*_our_paces(parts), *peers)
        ]
    )


def number(value: float) -> str:
    """Write a figure with as many places as tell something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


def _head(parts: Mapping[str, Part]) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield (
        "`make bench` measures, and writes this page: `python -m bench --json bench/figures.json`, then the same with "
        "`--write docs/benchmarks.md`. `--only PART` measures one part. Whatever is compared was taken in one run, in "
        "turn: *before* is the commit before dates travelled together, checked out beside this one with an environment "
        "of its own."
    )
    circumstances: dict[str, list[str]] = {}
    for name, part in parts.items():
        circumstances.setdefault(_told(part.taken), []).append(f"`{name}`")
    for told, names in circumstances.items():
        yield ""
        yield told if len(circumstances) == 1 else f"{', '.join(names)}: {told}"


def _told(taken: Taken) -> str:
    machine, versions = taken.machine, ", ".join(f"{name} {which}" for name, which in taken.versions.items())
    before = f" beside {taken.before}" if taken.before else ""
    small = "" if taken.sizes == "whole" else " **In small sizes, which the bounds are not about.**"
    return (
        f"Measured on {taken.day} of commit {taken.commit}{before}, on {machine['cores']} cores "
        f"({machine['processor']}), {machine['memory']} of memory, {machine['operating system']}, Python "
        f"{machine['Python']}; {versions}; games: {taken.games}.{small}"
    )


def _measures(parts: Mapping[str, Part]) -> Iterator[str]:
    yield "## Measures"
    yield ""
    yield "| measure | figure | beside it | ratio | wanted | reached | `--only` |"
    yield "|---|---:|---:|---:|---|---|---|"
    for name, part in parts.items():
        for measure in part.measures:
            yield _row(measure, name)


def _row(measure: Measure, part: str) -> str:
    beside = f"{measure.beside.name}: {number(measure.beside.figure)}" if measure.beside else ""
    ratio = "" if measure.ratio is None else f"{number(measure.ratio)} {measure.ratio_unit}".rstrip()
    holds = {True: "yes", False: "**no**", None: ""}[measure.holds]
    figure = f"{number(measure.figure)} {measure.unit}".rstrip()
    cells = (measure.what.strip(), figure, beside, ratio, measure.bound, holds, f"`{part}`")
    return f"| {' | '.join(cells)} |"


def _missed(parts: Mapping[str, Part]) -> Iterator[str]:
    missed = [(name, each) for name, part in parts.items() for each in part.measures if each.holds is False]
    yield "## What falls short"
    yield ""
    if not missed:
        yield "Nothing."
    for name, each in missed:
        yield f"- {each.what.strip()} (`{name}`): {number(each.judged)}, wanted {each.bound}."


def _our_paces(parts: Mapping[str, Part]) -> Sequence[Line]:
    found: Sequence[Line] = parts["orchestration"].details.get("paces", ()) if "orchestration" in parts else ()
    return found


def _label(line: Line) -> str:
    return f"{line['name']} {line['version']}".strip()


def _paces(parts: Mapping[str, Part], peers: Sequence[Line], picture: str) -> Iterator[str]:
    yield "## W(D) beside other tools"
    yield ""
    yield (
        "W(D) is a run over D dates of 21 → 5 → {2} → 1 → 1 → 1 → 1 tasks that do nothing (`bench/orchestration.py`). "
        "The other tools run the same tasks with the same needs, each in an environment of its own, in the most "
        "favourable settings that a person would use (`bench/peers`, `python -m bench.peers`)."
    )
    yield ""
    yield f"![Idle tasks a second, on a logarithmic scale]({picture})"
    yield ""
    yield "| tool | version | settings | D | tasks | seconds | tasks/s |"
    yield "|---|---|---|---:|---:|---:|---:|"
    for line in sorted((*_our_paces(parts), *peers), key=lambda line: -line["tasks_per_second"]):
        told = (line["name"], line["version"], line["settings"], f"{line['dates']:,}", f"{line['tasks']:,}")
        yield f"| {' | '.join(told)} | {number(line['seconds'])} | {number(line['tasks_per_second'])} |"
    if not peers:
        yield ""
        yield "The other tools were not measured."


def _where_time_goes(parts: Mapping[str, Part]) -> Iterator[str]:
    details = {name: detail for part in parts.values() for name, detail in part.details.items()}
    yield "## Where the time goes"
    times = {
        "in batches": details.get("time of a season"),
        "date by date": details.get("time date by date"),
    }
    if told := {name: time for name, time in times.items() if time}:
        yield ""
        yield (
            "One season, as `phasegate run --json` tells it, in seconds on the wall; *work* is of all threads "
            "together, and *waiting* what was waited for with nothing else to do."
        )
        yield ""
        yield "| one season | calls | tasks | whole | work | proofs and checks | orchestration | waiting |"
        yield "|---|---:|---:|---:|---:|---:|---:|---|"
        for name, time in told.items():
            waiting = ", ".join(f"{what} {number(seconds)}" for what, seconds in time["waiting"].items() if seconds)
            counted = (f"{time['calls']:,}", f"{time['attempts']:,}")
            seconds = (number(time[key]) for key in ("seconds", "work", "proofs", "orchestration"))
            yield f"| {' | '.join((name, *counted, *seconds, waiting))} |"
    for name in ("profile date by date", "profile in batches of 20"):
        if shares := details.get(name):
            yield ""
            yield (
                f"W(D) {name.removeprefix('profile ')}, shares of the driving thread's time by module; it waits for "
                "the worker's threads in `get` of a queue (`--only profile`):"
            )
            yield ""
            yield "| in itself | module, or what Python has built in |"
            yield "|---:|---|"
            for place, share in shares:
                yield f"| {share:.1%} | `{place}` |"


def _operations(parts: Mapping[str, Part]) -> Iterator[str]:
    details = {name: detail for part in parts.values() for name, detail in part.details.items()}
    yield "## What is counted"
    if cost := details.get("operations"):
        yield ""
        yield "Operations a task, counted at Google's clients over the Firestore emulator:"
        yield ""
        yield "| kind | a task |"
        yield "|---|---:|"
        for kind, each in sorted(cost.items(), key=lambda item: -item[1]):
            yield f"| {kind} | {each:.4f} |"
    if counts := details.get("statements"):
        yield ""
        yield (
            "Statements that the BigQuery adapter sends for a season's first dates, all phases and checks, its tables "
            "in the stand-in for BigQuery, its state in embedded mode:"
        )
        yield ""
        kinds = sorted({kind for by_kind in counts.values() for kind in by_kind})
        yield f"| | {' | '.join(kinds)} | together |"
        yield f"|---|{'---:|' * (len(kinds) + 1)}"
        for name, by_kind in counts.items():
            cells = [f"{by_kind.get(kind, 0):,}" for kind in kinds]
            yield f"| {' | '.join((name, *cells, f'{sum(by_kind.values()):,}'))} |"
