"""The console's static files and templates."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import gatepost_operations.web.console

CONSOLE = Path(gatepost_operations.web.console.__file__).parent
TEMPLATES = sorted((CONSOLE / "templates").rglob("*.j2"))


def test_vendored_files_have_the_hashes_of_their_list() -> None:
    """A changed file of a package is noticed, and each script of the console is either ours or listed."""
    listed = dict(
        re.findall(r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", (CONSOLE / "VENDORED.md").read_text(), re.MULTILINE)
    )
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (CONSOLE / "static").glob("*.js")}

    assert listed
    assert listed == {name: digest for name, digest in found.items() if name != "console.js"}


def test_templates_have_no_inline_script_or_style_and_load_nothing_from_elsewhere() -> None:
    """The content security policy would refuse them."""
    refused = re.compile(
        r"<style|\sstyle=|\son[a-z]+=|hx-on|javascript:|js:|<script(?![^>]*\ssrc=)|(?:src|href)=\"(?:https?:)?//"
    )

    assert TEMPLATES
    for template in TEMPLATES:
        assert not refused.search(template.read_text()), template.name
