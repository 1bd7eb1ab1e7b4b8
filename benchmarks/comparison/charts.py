"""Draws the pictures of the report as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLOURS: Final = ("#1f5fa8", "#c2571a", "#2e8b57", "#8e44ad", "#b8860b", "#c0392b", "#16808a", "#7f8c8d", "#444444")
_WIDTH, _LEFT, _RIGHT, _TOP, _HEIGHT = 900, 70, 560, 40, 240


def lines(title: str, unit: str, curves: Mapping[str, Sequence[tuple[float, float]]], across: str) -> str:
    """Draw curves over one another.

    Args:
        title: above the picture.
        unit: of the upright axis.
        curves: the points of each curve, by its name.
        across: the unit of the other axis.
    """
    points = [point for curve in curves.values() for point in curve]
    most_x, most_y = max(x for x, _ in points) or 1, max(y for _, y in points) or 1
    parts = [*_head(f"{title}; {unit}", _TOP + _HEIGHT + 40), *_grid(most_x, most_y, across)]
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(
            f"{_LEFT + (_RIGHT - _LEFT) * x / most_x:.1f},{_TOP + _HEIGHT * (1 - y / most_y):.1f}" for x, y in curve
        )
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{path}"/>')
        parts.append(f'<text x="{_RIGHT + 12}" y="{_TOP + 12 + 18 * number}" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def bars(title: str, values: Mapping[str, float], form: str) -> str:
    """Draw one bar a name, with its value in the given format."""
    most = max(values.values()) or 1
    parts = _head(title, _TOP + 30 * len(values) + 10)
    for number, (name, value) in enumerate(values.items()):
        y = _TOP + 30 * number
        width = 360 * value / most
        parts += [
            f'<text x="270" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="280" y="{y}" width="{width:.1f}" height="20" fill="{COLOURS["Gatepost" not in name]}"/>',
            f'<text x="{286 + width:.1f}" y="{y + 15}">{value:{form}}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _head(title: str, height: int) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{_LEFT}" y="22" font-size="14">{escape(title)}</text>',
    ]


def _grid(most_x: float, most_y: float, across: str) -> list[str]:
    parts = []
    for share in (0, 0.5, 1):
        y, x = _TOP + _HEIGHT * (1 - share), _LEFT + (_RIGHT - _LEFT) * share
        parts += [
            f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y}" y2="{y}" stroke="#ddd"/>',
            f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{most_y * share:,.4g}</text>',
            f'<text x="{x}" y="{_TOP + _HEIGHT + 20}" text-anchor="middle">{most_x * share:,.4g} {escape(across)}</text>',
        ]
    return parts
