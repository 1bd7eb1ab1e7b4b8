"""Check that the optional parts of Gatepost are installed before a command needs them."""

from __future__ import annotations

from importlib.util import find_spec

from gatepost_core.errors import ConfigurationError


def require_installed(*modules: str, extra: str) -> None:
    """Check that modules are installed, without importing them.

    Raises:
        ConfigurationError: one is missing; the message names the extra that brings it.
    """
    if any(find_spec(module) is None for module in modules):
        raise ConfigurationError(f"this needs an extra; install it: pip install 'gatepost[{extra}]'")


def require_worker() -> None:
    """Check that the worker is installed. Errors are those of `require_installed`."""
    require_installed("gatepost_worker", "requests", "tenacity", extra="worker")


def require_simulator() -> None:
    """Check that the simulator is installed. Errors are those of `require_installed`."""
    require_installed("gatepost_simulator", "fastapi", "uvicorn", "trustme", extra="simulator")


def require_web() -> None:
    """Check that the web roles are installed. Errors are those of `require_installed`."""
    require_installed("fastapi", "uvicorn", "jinja2", "python_multipart", "httpx", extra="web")
