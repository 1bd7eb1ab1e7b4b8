"""Render templates. They get the operator, the navigation and the formats for numbers and times."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse

from gatepost_core.safe_text import visible
from gatepost_operations.formatting import counted, day_text, duration_text, in_zone, rate_text
from gatepost_operations.web.console.campaign_text import CAMPAIGN_GLOBALS
from gatepost_operations.web.console.drawing import bar_parts, bar_text, bar_width, failed
from gatepost_operations.web.console.security.operators import signed_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import Request

_STATIC: Final = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True)
class Link:
    """A place in the navigation.

    Attributes:
        title: its words.
        path: its path. It is marked on all pages below this path.
    """

    title: str
    path: str


def build_templates(navigation: Sequence[Link]) -> Environment:
    """Return the templates. An unknown name in a template is an error."""
    templates = Environment(
        loader=PackageLoader("gatepost_operations.web.console"),
        autoescape=select_autoescape(["html.j2", "svg.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {
        "navigation": navigation,
        "static": static_url,
        "bar_parts": bar_parts,
        "bar_text": bar_text,
        "bar_width": bar_width,
        "failed": failed,
        **CAMPAIGN_GLOBALS,
    }
    templates.filters |= {
        "number": lambda number: f"{number:,}",
        "counted": counted,
        "visible": visible,
        "words": lambda name: str(name).replace("_", " "),
        "rate": rate_text,
        "duration": duration_text,
        "moment": in_zone,
        "day": lambda at: day_text(at, datetime.now(UTC)),
        "iso_day": lambda text: day_text(datetime.fromisoformat(text), datetime.now(UTC)),
    }
    return templates


def render(request: Request, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a page or a part of one.

    Args:
        request: the request that it answers.
        name: the template.
        status: the HTTP status.
        values: the template's values.
    """
    return HTMLResponse(render_text(request, name, **values), status)


def render_text(request: Request, name: str, **values: Any) -> str:
    """Render a template as text."""
    templates: Environment = request.app.state.templates
    token = getattr(request.state, "token", "")
    return templates.get_template(name).render(
        request=request, path=request.url.path, operator=signed_in(request), token=token, **values
    )


@cache
def static_url(name: str) -> str:
    """Return the URL of a static file. It changes with the file."""
    return f"/static/{name}?v={hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:12]}"
