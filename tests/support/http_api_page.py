"""The generated part of docs/reference/http-api.md: requests and problems, from the code.

python tests/support/http_api_page.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI

from gatepost_operations.web.api.app import ROUTERS
from gatepost_operations.web.api.openapi import document
from gatepost_operations.web.api.problems import Type

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "reference" / "http-api.md"
_GENERATED: Final = re.compile(r"(<!-- generated: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def openapi() -> dict[str, Any]:
    """The OpenAPI document, without a server."""
    app = FastAPI(title="Gatepost", version="1")
    for router in ROUTERS:
        app.include_router(router)
    return document(app)


def requests() -> Iterator[str]:
    """A table row for each request."""
    yield "| request | does |"
    yield "|---|---|"
    for path, methods in openapi()["paths"].items():
        for method, described in methods.items():
            text = " ".join(described["description"].split())
            yield f"| `{method.upper()} {path}` | {text} |"


def problems() -> Iterator[str]:
    """A table row for each type of problem."""
    yield "| type | status | title | details |"
    yield "|---|---|---|---|"
    for one in Type:
        entry = one.value
        yield f"| `{one.uri}` | {entry.status} | {entry.title} | {entry.when} |"


PARTS: Final = {"requests": requests, "problems": problems}


def renewed(page: str) -> str:
    """The page with its generated parts made anew."""
    return _GENERATED.sub(lambda part: part[1] + "\n" + "\n".join(PARTS[part[2]]()) + "\n\n" + part[4], page)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
