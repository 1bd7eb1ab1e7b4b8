"""The errors that an application catches have one home, `gatepost.errors`."""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module

import gatepost
import gatepost.errors
import gatepost_core
from gatepost_core import errors

# They leave operators' tools, or no public function at all.
INTERNAL = {
    "AuditUnreadable",
    "BadValue",
    "DeadLetterNotFound",
    "EndpointNotFound",
    "MemoryFull",
    "TooManyEndpoints",
}


def subclasses(kind: type) -> set[type]:
    return {kind}.union(*(subclasses(one) for one in kind.__subclasses__()))


def errors_of_all_modules() -> set[type]:
    """Return every error class that the producer and the core define."""
    for package in (gatepost, gatepost_core):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    return {
        error
        for error in subclasses(errors.GatepostError)
        if error.__module__.startswith(("gatepost.", "gatepost_core."))
    }


def test_every_error_of_producer_and_core_is_public() -> None:
    """Its class is in `gatepost.errors`, which is also its `__module__`."""
    elsewhere = {error.__name__ for error in errors_of_all_modules() if error.__module__ != "gatepost.errors"}
    public = {error.__name__ for error in errors_of_all_modules() if error.__module__ == "gatepost.errors"}

    assert elsewhere == INTERNAL
    assert public == set(gatepost.errors.__all__)
    assert all(getattr(gatepost.errors, name) is getattr(errors, name) for name in public)
    assert {"CampaignConflict", "CampaignNotFound", "TooManyChanges"} <= public


def test_the_tree_of_errors_shows_each_class() -> None:
    """The docstring of the module draws the whole tree."""
    drawn = set(re.findall(r"\b[A-Z]\w+", (errors.__doc__ or "").partition("\n\nNine")[0]))

    assert set(gatepost.errors.__all__) <= drawn
