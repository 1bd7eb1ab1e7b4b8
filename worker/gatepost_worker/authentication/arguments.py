"""The arguments of a call: the required ones checked, all of them under the names they have on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatepost_worker.authentication.errors import RequiredError

if TYPE_CHECKING:
    from collections.abc import Mapping


def required(field: str, value: object) -> str:
    """Return the value.

    Raises:
        RequiredError: it is missing, empty, blank or not text.
    """
    if not isinstance(value, str) or not value.strip():
        raise RequiredError(field)
    return value


def start_members(
    recipient: Mapping[str, str],
    *,
    connection: str | None,
    send: str | None,
    auth_params: Mapping[str, Any] | None,
    captcha: str | None,
) -> dict[str, Any]:
    """Return a start's members, in the order of Auth0's SDKs; None stands for one that is left out."""
    return {"connection": connection, **recipient, "send": send, "authParams": auth_params, "captcha": captcha}


def token_members(
    username: str,
    code: object,
    *,
    realm: str | None,
    audience: str | None,
    scope: str | None,
    resource: str | None,
    redirect_uri: str | None,
) -> dict[str, Any]:
    """Return a token call's members, in the order of Auth0's SDKs; None stands for one that is left out.

    Raises:
        RequiredError: the code is missing.
    """
    return {
        "username": username,
        "otp": required("code", code),
        "realm": realm,
        "audience": audience,
        "scope": scope,
        "resource": resource,
        "redirect_uri": redirect_uri,
    }
