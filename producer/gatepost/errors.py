"""Every exception that Gatepost raises. `gatepost_core.errors` draws the tree."""

from gatepost_core.errors import *  # noqa: F403 - the names in its __all__
from gatepost_core.errors import __all__  # noqa: F401 - as this module's
