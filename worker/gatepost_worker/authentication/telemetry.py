"""The `Auth0-Client` header: which SDK is calling."""

from __future__ import annotations

import base64
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def package_version() -> str:
    """Return the installed distribution's version, or `0` in a bare source tree."""
    try:
        return version("gatepost")
    except PackageNotFoundError:
        return "0"


def telemetry_header(client_info: Mapping[str, Any] | None = None) -> str | None:
    """Return the header's value: JSON in unpadded base64url, as node-auth0 sends it.

    Args:
        client_info: a payload in place of the default; one without a name gives no header.
    """
    info = client_info if client_info is not None else _default_info()
    if not isinstance(info.get("name"), str) or not info["name"]:
        return None
    payload = json.dumps(info, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(payload).rstrip(b"=").decode("ascii")


def _default_info() -> dict[str, Any]:
    return {"name": "gatepost", "version": package_version(), "env": {"python": platform.python_version()}}
