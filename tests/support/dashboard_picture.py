"""Draws the panels of the dashboard as an SVG, from what Prometheus answered. Not Grafana: the same grid, titles, series and units."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_COLUMN, _ROW = 50, 26
_COLOURS: Final = ("#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0")
_MOST_IN_LEGEND: Final = 6
_UNITS: Final = {"s": " s", "ops": "/s", "percentunit": " %", "bytes": " MB", "none": ""}
_SCALE: Final = {"percentunit": 100, "bytes": 1e-6}

Found = "Mapping[str, Sequence[tuple[dict[str, Any], list[dict[str, Any]]]]]"


def draw(panels: Sequence[dict[str, Any]], found: Found, *, start: float, end: float) -> str:
    """Return the picture.

    Args:
        panels: the dashboard's panels, without rows.
        found: each panel's targets with their series, by the panel's title.
        start: the beginning of the time, in seconds since the epoch.
        end: its end.
    """
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * _ROW
    drawn = "".join(_panel(panel, found[panel["title"]], start, end) for panel in panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{24 * _COLUMN}" height="{height}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="#111217"/>{drawn}</svg>\n'
    )


def _panel(panel: dict[str, Any], answers: Any, start: float, end: float) -> str:
    at = panel["gridPos"]
    x, y, width, height = at["x"] * _COLUMN + 3, at["y"] * _ROW + 3, at["w"] * _COLUMN - 6, at["h"] * _ROW - 6
    unit = panel["fieldConfig"]["defaults"]["unit"]
    series = [(_legend(target, one), _points(one, unit)) for target, found in answers for one in found]
    frame = (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="#181b1f" stroke="#333"/>'
        f'<text x="{x + 6}" y="{y + 15}" fill="#ccc">{escape(panel["title"])}</text>'
    )
    if panel["type"] == "stat":
        value = series[0][1][-1][1] if series else float("nan")
        return frame + f'<text x="{x + 10}" y="{y + 60}" font-size="30" fill="#7eb26d">{_shown(value, unit)}</text>'
    return frame + _lines(series, (x + 46, y + 24, width - 56, height - 62), unit, (start, end))


def _lines(series: Any, box: tuple[int, int, int, int], unit: str, times: tuple[float, float]) -> str:
    x, y, width, height = box
    most = max((value for _, points in series for _, value in points), default=0) or 1
    start, end = times
    parts = [
        (
            f'<text x="{x - 4}" y="{y + 8}" text-anchor="end" fill="#888">{_shown(most, unit)}</text>'
            f'<text x="{x - 4}" y="{y + height}" text-anchor="end" fill="#888">0</text>'
            f'<path d="M{x} {y}V{y + height}H{x + width}" stroke="#555" fill="none"/>'
        )
    ]
    for number, (legend, points) in enumerate(series):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(
            f"{x + width * (at - start) / (end - start):.1f},{y + height - height * value / most:.1f}"
            for at, value in points
        )
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        if number < _MOST_IN_LEGEND:
            left, top = x + (number % 3) * width / 3 - 30, y + height + 14 + number // 3 * 13
            parts.append(
                f'<text x="{left:.0f}" y="{top:.0f}" fill="{colour}" font-size="9">{escape(legend[:32])}</text>'
            )
    return "".join(parts)


def _points(series: dict[str, Any], unit: str) -> list[tuple[float, float]]:
    scale = _SCALE.get(unit, 1)
    return [(at, float(value) * scale) for at, value in series["values"] if value not in {"NaN", "+Inf", "-Inf"}]


def _legend(target: dict[str, Any], series: dict[str, Any]) -> str:
    text: str = target["legendFormat"]
    for label, value in series["metric"].items():
        text = text.replace(f"{{{{{label}}}}}", value)
    return text


def _shown(value: float, unit: str) -> str:
    return f"{value:.0f}{_UNITS[unit]}" if value >= 10 or value == int(value) else f"{value:.2g}{_UNITS[unit]}"
