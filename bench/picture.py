"""One plot: how many idle tasks a second who makes, as bars on a logarithmic scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LABELS, WIDTH, FIGURES = 330, 420, 90
"""Width of the names, of the longest bar, and of the figures behind the bars, in pixels."""

LINE, BAR, HEAD = 26, 16, 30
"""Height of a line, of its bar, and of the scale above, in pixels."""

OURS, THEIRS = "#0072b2", "#e69f00"
"""Told apart by people of every colour vision (after Okabe and Ito), as in the report."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar is one line of the plot."""

    name: str
    """Whose pace it is."""
    rate: float
    """Tasks a second; more than 0."""
    is_ours: bool
    """Whether it is Phasegate's own; such bars have a colour of their own."""


def draw(bars: Sequence[Bar]) -> str:
    """Return the plot as SVG, the fastest on top. Each power of ten is a line; the scale begins at the one below the
    slowest."""
    ordered = sorted(bars, key=lambda bar: -bar.rate)
    least = math.ceil(math.log10(min((bar.rate for bar in bars), default=1))) - 1
    most = math.ceil(math.log10(max((bar.rate for bar in bars), default=10)))
    decades = max(1, most - least)

    def x(rate: float) -> float:
        return LABELS + WIDTH * (math.log10(rate) - least) / decades

    height = HEAD + LINE * len(ordered) + 10
    width = LABELS + WIDTH + FIGURES
    shapes = [f'<rect width="{width}" height="{height}" fill="#ffffff"/>']
    for power in range(least, least + decades + 1):
        at = x(10.0**power)
        shapes.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{HEAD - 6}" y2="{height - 8}" stroke="#d3dbe0"/>')
        shapes.append(f'<text x="{at:.1f}" y="{HEAD - 12}" text-anchor="middle">{10.0**power:,g}</text>')
    for n, bar in enumerate(ordered):
        top, colour = HEAD + LINE * n, OURS if bar.is_ours else THEIRS
        length = x(bar.rate) - LABELS
        middle = top + BAR - 3
        shapes.append(f'<text x="{LABELS - 8}" y="{middle}" text-anchor="end">{escape(bar.name)}</text>')
        shapes.append(f'<rect x="{LABELS}" y="{top}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>')
        shapes.append(f'<text x="{LABELS + length + 6:.1f}" y="{middle}">{bar.rate:,.0f}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="13" role="img" aria-label="Idle tasks a second, on a logarithmic scale">\n'
        + "\n".join(shapes)
        + "\n</svg>\n"
    )
