"""docs/reference/http-api.md lists every request and every problem, as the code has them."""

from __future__ import annotations

from support.http_api_page import PAGE, openapi, renewed


def test_the_page_has_every_request_and_every_problem() -> None:
    """Renew it with `python tests/support/http_api_page.py`."""
    page = PAGE.read_text(encoding="utf-8")

    assert renewed(page) == page


def test_every_request_has_a_name_of_its_own() -> None:
    """Generated clients are named after it."""
    found = openapi()
    names = [one["operationId"] for methods in found["paths"].values() for one in methods.values()]

    assert found["openapi"].startswith("3.1")
    assert len(names) == len(set(names)) > 25
