"""The ratios of the report that matter most, from the medians of its rounds."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, Final

from comparison.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Runs = Mapping[str, list[dict[str, Any]]]

_GATEPOST: Final = ("gatepost", "gatepost-best")
_PYTHON_PEERS: Final = ("usual", "tuned", "taskiq", "dramatiq", "saq")
_SLUGS: Final = {
    "http-at-once": "http, at once",
    "http-50-ms": "http, 50 ms",
    "tls-at-once": "TLS, at once",
    "tls-50-ms": "TLS, 50 ms",
}
_SCENARIOS: Final = tuple(_SLUGS.values())
_HEAD: Final = """## In short

Each value is a ratio. For example, 2.00 in the row *Gatepost's rate / BullMQ's rate* means that Gatepost sent twice as fast as BullMQ."""
_COLUMNS: Final = """If the stub answers after 50 ms, Gatepost runs twice: with default settings, and with [more calls in flight](#settings). *Gatepost's rate* is the higher of the two rates. The
ratios of CPU seconds use the run with default settings."""


def section(report: Mapping[str, Any]) -> list[str]:
    """Return the section with the ratios that this report can give."""
    found = ratios(report)
    rows: dict[str, dict[str, str]] = {}
    others = []
    for label, ratio in found.items():
        scenario, _, what = label.partition(": ")
        if scenario in _SCENARIOS:
            rows.setdefault(what, {})[scenario] = f"{ratio:.2f}"
        else:
            others.append([label, f"{ratio:.2f}"])
    beside = [[what, *(cells.get(scenario, "n/a") for scenario in _SCENARIOS)] for what, cells in rows.items()]
    parts = [_HEAD]
    if beside:
        parts += [_COLUMNS, table(["ratio", *_SCENARIOS], beside)]
    if others:
        parts.append(table(["ratio", "value"], others))
    return ["\n\n".join(parts)] if found else []


def ratios(report: Mapping[str, Any]) -> dict[str, float]:
    """Return each ratio by its description. One without figures is left out."""
    scenarios: dict[str, Runs] = {each["slug"]: each["runs"] for each in report["bulk"]}
    found: dict[str, float | None] = {}
    for slug, name in _SLUGS.items():
        runs = scenarios.get(slug, {})
        best = _best(runs, _GATEPOST, "rate", max)
        for label, peers in {
            "BullMQ's rate": ("bullmq",),
            "the rate of the fastest other Python queue": _PYTHON_PEERS,
            "the rate of the usual way": ("usual",),
            "the rate of two bare `requests` loops": ("bare",),
        }.items():
            found[f"{name}: Gatepost's rate / {label}"] = _ratio(best, _best(runs, peers, "rate", max))
        cpu = _best(runs, ("gatepost",), "cpu_s_per_1000", min)
        usual = _best(runs, ("usual",), "cpu_s_per_1000", min)
        found[f"{name}: CPU seconds per recipient: the usual way / Gatepost"] = _ratio(usual, cpu)
    late = _best(scenarios.get("http-50-ms", {}), ("gatepost",), "cpu_s_per_1000", min)
    at_once = _best(scenarios.get("http-at-once", {}), ("gatepost",), "cpu_s_per_1000", min)
    found["Gatepost's CPU seconds per recipient (http): answers after 50 ms / answers at once"] = _ratio(late, at_once)
    logins = report["logins"]
    found["logins per second: Gatepost / the usual way"] = _ratio(
        _best(logins, ("gatepost",), "rate", max), _best(logins, ("usual",), "rate", max)
    )
    found |= _beside_first(report["enqueueing"], "sends put on the queue per second", "rate", max)
    made = report.get("producers", {})
    found |= _beside_first(made, "CPU seconds to start an application", "construct_cpu_s", min)
    found |= _beside_first(made, "memory of an application after its start", "mib", min)
    if beside := report.get("beside"):
        found["99th percentile of the time of a login: while a campaign runs / without a campaign"] = beside[
            "p99_ratio"
        ]
    sizes = report["sizes"]
    if len(sizes) > 1:
        smallest, largest = sizes[0], sizes[-1]
        what = f"Gatepost's CPU seconds per recipient: {largest['recipients']:,} recipients / {smallest['recipients']:,} recipients"
        found[what] = _ratio(largest["cpu_s_per_1000"], smallest["cpu_s_per_1000"])
    return {what: ratio for what, ratio in found.items() if ratio is not None}


def _beside_first(
    runs: Runs, what: str, figure: str, choose: Callable[[list[float]], float]
) -> dict[str, float | None]:
    """Return the ratio of each way to the first, which is Celery's."""
    if not runs:
        return {}
    base, *ways = runs
    of_base = _best(runs, (base,), figure, choose)
    return {
        f"{what}: {_with_way(way)} / {_with_way(base)}": _ratio(_best(runs, (way,), figure, choose), of_base)
        for way in ways
    }


def _with_way(name: str) -> str:
    """Return a contender's name with its way in parentheses: `Gatepost (send_many)` for `Gatepost, send_many`."""
    program, _, way = name.partition(", ")
    return f"{program} ({way})" if way else program


def _best(runs: Runs, names: tuple[str, ...], figure: str, choose: Callable[[list[float]], float]) -> float | None:
    """Return the best of the contenders' medians; None if none of them ran."""
    medians = [statistics.median([run[figure] for run in runs[name]]) for name in names if runs.get(name)]
    return choose(medians) if medians else None


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None
