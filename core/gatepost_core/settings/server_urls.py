"""Checks of the URLs in the settings. Their messages repeat nothing of a URL: any part of it may belong to a password."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection
    from urllib.parse import SplitResult

_SENTINEL: Final = "sentinel"
_REDIS: Final = ("redis", "rediss", _SENTINEL)
_BROKER: Final = (*_REDIS, "amqp", "amqps", "pyamqp")
# redis-py, kombu and Celery read different options from a query, and one could turn off the verification of certificates. An option that
# asks for verification, which is always on, is accepted and dropped.
_OF_TLS: Final = "rediss"
_VERIFIED: Final = frozenset({("ssl_cert_reqs", "required"), ("ssl_cert_reqs", "CERT_REQUIRED")})
# Options of an amqp:// URL that kombu reads and RabbitMQ knows. Others cause a TypeError at the first message, or unverified TLS.
_AMQP_OPTIONS: Final = {
    "heartbeat": re.compile(r"[0-9]{1,4}(?:\.[0-9]+)?").fullmatch,
    "login_method": re.compile(r"PLAIN|AMQPLAIN|EXTERNAL").fullmatch,
}
_PROXY: Final = ("http", "https")
_BASE_FORM: Final = "https://host[:port][/path]"
_QUOTED: Final = "in a user name or a password, / is written %2F, # %23, ? %3F, @ %40, : %3A, ; %3B, [ %5B, ] %5D, % %25 and a space %20"
_LAST_OF_LATIN_1: Final = "\xff"
_UNWRITABLE: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LABEL: Final = r"\w(?:[\w-]{0,61}\w)?"
_HOST: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?").fullmatch


def checked_redis_url(url: str) -> str:
    """Return the URL of the ledger's Redis, a server or several Sentinels, in a form for redis-py, kombu and Celery.

    Raises:
        ValueError: it is malformed. The message names the flaw and repeats nothing of the URL.
    """
    _check_all(url, _REDIS, several=(_SENTINEL,))
    return _without_query(url)


def checked_broker_url(url: str) -> str:
    """Return the URL of the broker, or of several, separated by semicolons. Raises as `checked_redis_url` does."""
    _check_all(url, _BROKER, several=_BROKER)
    return _without_query(url) if url.startswith(_REDIS) else url


def check_proxy_url(url: str) -> None:
    """Check the URL of a proxy. The scheme is optional. Raises as `checked_redis_url` does."""
    if url.partition("://")[1] and url.lower().startswith("socks"):
        # requests would need another package for SOCKS.
        raise ValueError("only http:// and https:// proxies can be used")
    _check_all(url if "://" in url else f"{_PROXY[0]}://{url}", _PROXY, several=())


def check_base_url(url: str) -> None:
    """Check a base URL for requests, which holds no secret. An empty one is accepted.

    Raises:
        ValueError: it is not `https://host[:port][/path]`, or the same with `http://`. The message repeats nothing of it.
    """
    if not url:
        return
    # Anywhere: a password that is not quoted may have a / before the @.
    if "@" in url:
        raise ValueError(f"must be without user name and password, {_BASE_FORM}; in a path @ is written %40")
    if _UNWRITABLE.search(url):
        raise ValueError(f"has a space, a line end or a control character in it; write {_BASE_FORM}")
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"must begin with https://; write {_BASE_FORM}")
    parts = _split(url)
    if parts is None or "?" in url or "#" in url or not _has_port(parts) or not _has_host(parts):
        raise ValueError(f"must have the form {_BASE_FORM}, with nothing after the path")


def check_encrypted(url: str) -> None:
    """Check that requests to a base URL do not leave this machine in clear.

    Raises:
        ValueError: it is `http://` to another machine.
    """
    if is_cleartext(url):
        raise ValueError(
            "must begin with https://, because http:// sends the client secret in clear; "
            "http:// is for localhost, 127.0.0.1 and [::1], or anywhere with GATEPOST_ALLOW_HTTP=1"
        )


def is_cleartext(url: str) -> bool:
    """Return whether an `http://` URL leads to another machine."""
    return url.lower().startswith("http://") and is_elsewhere(url)


def is_elsewhere(url: str) -> bool:
    """Return whether a URL leads to another machine. Every name except `localhost` and its subdomains does."""
    host = (urlsplit(url).hostname or "").removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def _check_all(url: str, schemes: Collection[str], several: Collection[str]) -> None:
    if _UNWRITABLE.search(url):
        raise ValueError(f"has a space, a line end or a control character in it; {_QUOTED}")
    scheme = url.partition("://")[0]
    if scheme not in schemes or "://" not in url:
        *most, last = (f"{name}://" for name in schemes)
        raise ValueError(f"must begin with {', '.join(most)} or {last}")
    parts = url.split(";") if scheme in several else [url]
    if not all(part.startswith(f"{scheme}://") for part in parts):
        raise ValueError(f"has a ; that no further {scheme}:// follows; {_QUOTED}")
    for part in parts:
        _check(part, scheme)


def _check(url: str, scheme: str) -> None:
    # A / ? or # in an unquoted password would end the host too early. The @ then follows it.
    place = url.removeprefix(f"{scheme}://")
    rest = place[len(re.split(r"[/?#]", place, maxsplit=1)[0]) :]
    if "@" in rest or "#" in rest:
        raise ValueError(
            f"has an @ or a # behind the host, or the password has a character that must be quoted; {_QUOTED}"
        )
    parts = _split(url)
    if parts is None:
        raise ValueError(f"cannot be taken apart into user name, password and host; {_QUOTED}")
    unquoted = _unquoted(parts)
    if unquoted is None:
        raise ValueError(f"has a %-escape in it that is not UTF-8; {_QUOTED}")
    if scheme in _PROXY and max(unquoted) > _LAST_OF_LATIN_1:
        raise ValueError("must have a user name and a password in Latin-1, because HTTP knows no others for a proxy")
    if not _has_port(parts):
        raise ValueError(f"must have a number from 1 to 65535 for a port, or none; {_QUOTED}")
    if not _has_host(parts):
        raise ValueError(f"must name a host: {scheme}://[user:password@]host[:port]; {_QUOTED}")
    if scheme in _REDIS:
        _check_database(parts)
        _check_options_of_redis(parts)
    elif scheme in _BROKER:
        _check_options_of_rabbitmq(parts)


def _check_database(parts: SplitResult) -> None:
    database = parts.path.strip("/")
    if database and not (database.isascii() and database.isdigit()):
        raise ValueError("must end in the number of a database, such as /0, or in none")


def _check_options_of_redis(parts: SplitResult) -> None:
    if not set(_options(parts)) <= (_VERIFIED if parts.scheme == _OF_TLS else frozenset()):
        raise ValueError(
            "must have no option behind a ?, but ssl_cert_reqs=required with rediss://; "
            f"user name and password stand before the host; {_QUOTED}"
        )


def _check_options_of_rabbitmq(parts: SplitResult) -> None:
    if not all(name in _AMQP_OPTIONS and _AMQP_OPTIONS[name](value) for name, value in _options(parts)):
        raise ValueError(
            "must have no option behind a ?, but heartbeat=SECONDS and login_method=PLAIN, AMQPLAIN or EXTERNAL; "
            f"user name and password stand before the host; {_QUOTED}"
        )


def _options(parts: SplitResult) -> list[tuple[str, str]]:
    return parse_qsl(parts.query, keep_blank_values=True)


def _without_query(url: str) -> str:
    return ";".join(part.partition("?")[0] for part in url.split(";"))


# Python's errors repeat a part of the URL. The functions below return instead of raising, so that no such error becomes a context.


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _unquoted(parts: SplitResult) -> str | None:
    """Return user name, password and path without quotes, or None if they are not UTF-8."""
    try:
        return unquote(f"{parts.netloc.rpartition('@')[0]}@{parts.path}", errors="strict")
    except UnicodeDecodeError:
        return None


def _has_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _has_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if "[" not in parts.netloc.rpartition("@")[2]:
        return _HOST(host) is not None
    try:
        return bool(ipaddress.IPv6Address(host))
    except ValueError:
        return False
