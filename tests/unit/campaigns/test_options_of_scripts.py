"""The Lua scripts and the model agree on the options that scripts read."""

from __future__ import annotations

import re

from gatepost_core.campaigns.model import Options
from support.sources import sources

SCRIPTS = [
    path
    for name, path in sources().items()
    if path.suffix == ".lua" and name.startswith(("gatepost_core/campaigns/", "gatepost_worker/bulk/"))
]
# In the record, `rate` is the measured rate, and `auth_params` are sealed.
OWN_MEANING = {"rate", "auth_params"}


def test_the_scripts_read_the_options_that_the_record_has() -> None:
    """An option that no script reads needs no field, and one without a field is always nil."""
    text = "\n".join(script.read_text(encoding="utf-8") for script in SCRIPTS)
    read = set(re.findall(r"'(\w+)'", text)) & set(Options.model_fields)

    assert read - OWN_MEANING == set(Options().for_scripts())
