"""The screens in the documentation are those that the command line draws."""

from __future__ import annotations

import html
import re

from support.campaign_screens import PAGE, PICTURE, page_with_screens, picture, text_of, worker_gone


def test_the_page_shows_the_screens_as_they_are_drawn() -> None:
    """`make screens` renews them."""
    page = PAGE.read_text(encoding="utf-8")

    assert page == page_with_screens(page)
    assert "one bulk worker gone" in page


def test_the_picture_shows_the_screen_as_it_is_drawn() -> None:
    """Its text is compared, because Rich draws the frame differently in each version."""
    drawn, now = (_texts(svg) for svg in (PICTURE.read_text(encoding="utf-8"), picture()))

    assert drawn == now
    assert "".join(text_of(worker_gone()).split()) in drawn


def _texts(svg: str) -> str:
    """Return the text of an SVG without spaces."""
    parts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    return "".join("".join(map(html.unescape, parts)).split())
