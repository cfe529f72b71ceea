"""A small line chart as SVG, for documents: a logarithmic axis below, how many times as much at the left.

By hand, because a page of paths is all there is to it; a plotting library would be the largest dependency of the project.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 780, 380
LEFT, RIGHT, TOP, BOTTOM = 56, 270, 44, 52
#: Distinguishable also without colours: each has a dash of its own.
INKS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a")
DASHES = ("", "7 4", "2 3", "9 3 2 3", "4 2", "12 4")


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    points: Sequence[tuple[float, float]]


def chart(title: str, below: str, beside: str, lines: Sequence[Line]) -> str:
    """The document. Every line has a point at each of the same values of x, all above zero."""
    levels = [x for x, _ in lines[0].points]
    top = max(2.0, math.ceil(2 * max(y for line in lines for _, y in line.points)) / 2)
    low, high = math.log10(levels[0]), math.log10(levels[-1])

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - low) / (high - low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(LEFT, 22, title, size=15, weight="bold"),
        _text(14, (HEIGHT - BOTTOM + TOP) / 2, beside, anchor="middle", turn=True),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, below, anchor="middle"),
    ]
    for step in range(int(top * 2) + 1):
        (x1, y), (x2, _) = at(levels[0], step / 2), at(levels[-1], step / 2)
        parts.append(f'<path d="M{x1:.1f} {y:.1f}H{x2:.1f}" stroke="{"#8c959f" if step == 2 else "#eaeef2"}"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{step / 2:g}", anchor="end"))
    for level in levels:
        x, y = at(level, 0)
        parts.append(f'<path d="M{x:.1f} {y:.1f}v5" stroke="#57606a"/>')
        parts.append(_text(x, y + 18, f"{level:,}" if level > 1 else "0", anchor="middle"))
    for number, line in enumerate(lines):
        ink, dash = INKS[number % len(INKS)], DASHES[number % len(DASHES)]
        places = [at(x, y) for x, y in line.points]
        drawn = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path d="M{drawn}" fill="none" stroke="{ink}" stroke-width="2" stroke-dasharray="{dash}"/>')
        parts.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{ink}"/>' for x, y in places)
        y = TOP + 14 + number * 20
        parts.append(
            f'<path d="M{WIDTH - RIGHT + 16} {y}h24" stroke="{ink}" stroke-width="2" stroke-dasharray="{dash}"/>'
        )
        parts.append(_text(WIDTH - RIGHT + 46, y + 4, f"{line.name} ×{line.points[-1][1]:.2f}"))
    return "\n".join([*parts, "</svg>", ""])


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, weight: str = "normal", turn: bool = False
) -> str:
    turned = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turn else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}"'
        f' fill="#24292f"{turned}>{escape(text)}</text>'
    )
