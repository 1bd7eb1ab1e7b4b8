"""Reads the text that Prometheus scrapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from prometheus_client.samples import Sample


def values_in(text: str) -> dict[str, float]:
    """Return the value of each series, by its name with its labels in order."""
    return {
        _series(sample): sample.value for family in text_string_to_metric_families(text) for sample in family.samples
    }


def _series(sample: Sample) -> str:
    labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{labels}}}" if labels else sample.name
