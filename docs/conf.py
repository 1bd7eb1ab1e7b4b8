"""The configuration of Sphinx.

`make docs` builds the site from the pages that are read in the repository too, so links are the same in both. The sections of
docs/README.md make the table of contents. The reference of the Python names comes from their docstrings.
"""

from __future__ import annotations

import inspect
import re
import shutil
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pygments.lexers.configs import IniLexer
from pygments.lexers.special import TextLexer

import gatepost
import gatepost.errors
import gatepost.testing

if TYPE_CHECKING:
    from types import ModuleType

    from sphinx.application import Sphinx

_DOCS: Final = Path(__file__).parent
_SECTION: Final = re.compile(r"^## (.+)\n((?:(?!^## ).*\n?)*)", re.MULTILINE)
_PAGE: Final = re.compile(r"\]\(([^):#]+)\.md\)")
# Pages from docstrings.
_MODULES: Final[dict[str, ModuleType]] = {
    "docs/reference/python": gatepost,
    "docs/reference/errors": gatepost.errors,
    "docs/reference/testing": gatepost.testing,
}

project = "Gatepost"
version = release = version_of("gatepost")
root_doc = "README"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/**",
    "examples/*/README.md",
    "fuzz/README.md",
]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
myst_heading_anchors = 4
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Docstrings mark code with single backticks, as the pages do.
default_role = "code"
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_theme = "furo"
html_title = "Gatepost"
html_copy_source = False


def contents() -> str:
    """Return the table of contents: the sections of docs/README.md with their pages, in Sphinx's form."""
    examples = sorted(
        f"/{path.relative_to(_DOCS.parent).with_suffix('')}" for path in _DOCS.parent.glob("examples/*/README.md")
    )
    found = []
    for title, body in _SECTION.findall((_DOCS / "README.md").read_text(encoding="utf-8")):
        pages = [f"/{(_DOCS / page).resolve().relative_to(_DOCS.parent)}" for page in _PAGE.findall(body)]
        pages += [f"/{page}" for page in _MODULES if title == "Reference"]
        found.append(toctree(pages, title))
    return "\n\n".join([toctree(["/docs/README", *examples, "/fuzz/README"]), *found])


def toctree(pages: list[str], title: str = "") -> str:
    """Return a hidden table of contents."""
    caption = [f":caption: {title}"] if title else []
    return "\n".join(["```{toctree}", ":hidden:", *caption, *pages, "```"])


def names_of(module: ModuleType) -> str:
    """Return a directive for each public name of a module."""
    directives = []
    for name in module.__all__:
        found = getattr(module, name)
        kind = "autoclass" if inspect.isclass(found) else "autofunction"
        # The fields of a named tuple are described in its docstring.
        members = inspect.isclass(found) and not issubclass(found, tuple)
        directives.append(f".. {kind}:: {module.__name__}.{name}\n" + ("   :members:\n" if members else ""))
    return "\n".join(directives)


def complete(_: Sphinx, docname: str, source: list[str]) -> None:
    """Add to a page what comes from elsewhere."""
    if docname == root_doc:
        source[0] += f"\n\n{contents()}\n"
    elif docname == "docs/decisions/README":
        records = sorted(path.stem for path in (_DOCS / "decisions").glob("[0-9]*.md"))
        source[0] += f"\n\n{toctree(records)}\n"
    elif docname in _MODULES:
        source[0] += f"\n{names_of(_MODULES[docname])}"


def copy_landing_page(app: Sphinx, failure: Exception | None) -> None:
    """Give the landing page the name that servers and browsers look for."""
    if failure is None:
        shutil.copyfile(Path(app.outdir) / f"{root_doc}.html", Path(app.outdir) / "index.html")


def setup(app: Sphinx) -> None:
    """Connect `complete`, and name a lexer for languages that Pygments does not know."""
    app.add_lexer("csv", TextLexer)
    app.add_lexer("dotenv", IniLexer)
    app.connect("source-read", complete)
    app.connect("build-finished", copy_landing_page)
