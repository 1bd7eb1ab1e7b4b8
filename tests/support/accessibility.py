"""axe-core on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page


def axe_violations(page: Page) -> list[str]:
    """Return what axe-core finds on a page: the rule, and the first element."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - slow to import

    results = Axe().run(page).response
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in results["violations"]]
