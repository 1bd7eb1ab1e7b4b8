"""The users of docs/how-to/secure-redis.md, in a real server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from support.checkout import CHECKOUT

if TYPE_CHECKING:
    import redis

PAGE = CHECKOUT / "docs" / "how-to" / "secure-redis.md"
ROLES = ("producer", "redeemer", "worker", "operator", "api", "console", "reader")


def documented_users() -> list[str]:
    """Return the lines of the page's ACL file."""
    return re.findall(r"^user .+$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def create_users(client: redis.Redis) -> None:
    """Make the documented users in a server. The default one stays on, for the test itself."""
    version = tuple(int(part) for part in client.info("server")["redis_version"].split(".")[:2])
    for line in documented_users():
        # As the page says of Redis 7.0.
        _, name, rules = (line if version >= (7, 2) else line.replace(" +client|setinfo", "")).split(" ", 2)
        if name != "default":
            client.execute_command("ACL", "SETUSER", name, "reset", *words_of(rules))


def words_of(rules: str) -> list[str]:
    """Split a rule into its words; a selector in parentheses is one."""
    return re.findall(r"\([^)]*\)|\S+", rules)


def password_of(role: str) -> str:
    return f"{role.upper()}-PASSWORD"


def url_of(role: str, port: int, scheme: str = "redis", host: str = "127.0.0.1") -> str:
    return f"{scheme}://{role}:{password_of(role)}@{host}:{port}/0"
