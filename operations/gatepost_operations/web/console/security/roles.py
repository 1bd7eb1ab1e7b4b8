"""The access level that an identity provider's claims give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatepost_operations.web.console.security.operators import Level


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim; None if it is missing.

    Args:
        claims: the claims.
        name: its name, such as `roles` or `https://gatepost.example/roles`; or a path such as `realm_access.roles`.
    """
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def level_in(value: Any, roles: Mapping[str, Level]) -> Level | None:
    """Return the highest access level that a claim gives; None if it gives none.

    Args:
        value: the claim: one role, or a list of roles. Other values give none.
        roles: the access level of each role.
    """
    values = value if isinstance(value, list) else [value]
    return max((roles[one] for one in values if isinstance(one, str) and one in roles), default=None)
