"""Who asks: the API key of a request, its rights, and the person that the console names."""

from __future__ import annotations

import asyncio
import hmac
import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator  # noqa: TC003 - FastAPI reads the annotation
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import anyio.to_thread
import structlog
from fastapi import Depends, Header, Request
from pydantic import SecretStr

from gatepost_core.audit_log import acting_as
from gatepost_core.errors import InvalidCommand
from gatepost_core.kinds import Kind
from gatepost_operations.maintenance.api_keys import ApiKey, Grant, Scope
from gatepost_operations.web.api.problems import Problem, Type, problem_of
from gatepost_operations.web.api.services import Services, services_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

T = TypeVar("T")

ACTOR: Final = "Gatepost-Actor"
"""The header with which the console names the person who acts."""
_BEARER: Final = "bearer "
_KNOWN_FOR_S: Final = 1.0
_MOST_KNOWN: Final = 1000
# The first failures of an address are answered slowly, further ones at once with 429.
_SLOW_S: Final = 0.5
_MOST_FAILURES: Final = 20
_FAILURES_FOR_S: Final = 60.0
_MOST_ADDRESSES: Final = 10_000
_CONSOLE_ID: Final = "console"
_log = structlog.stdlib.get_logger("gatepost.api")


class FailedTries:
    """Slows down clients that show wrong keys, by their address."""

    def __init__(self) -> None:
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        self.most = _MOST_FAILURES
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def check(self, address: str) -> None:
        """Refuse an address with too many failures in the last minute.

        Raises:
            Problem: it has.
        """
        since, number = self._failures.get(address, (0.0, 0))
        left = since + _FAILURES_FOR_S - time.monotonic()
        if number >= self.most and left > 0:
            headers = {"Retry-After": str(int(left) + 1)}
            raise Problem(Type.QUOTA, headers=headers, more={"violated-policies": ["failed-tries"]})

    async def failed(self, address: str) -> None:
        """Note a failure, and wait."""
        now = time.monotonic()
        since, number = self._failures.pop(address, (now, 0))
        if now - since > _FAILURES_FOR_S:
            since, number = now, 0
        self._failures[address] = (since, number + 1)
        while len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)
        await self.sleep(_SLOW_S)


class KnownKeys:
    """Finds keys, and remembers them for a second: so long a revoked key may still work."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._found: OrderedDict[bytes, tuple[float, ApiKey]] = OrderedDict()
        self._console = services.settings.web_api_key
        self._mark = services.settings.fingerprints()

    async def find(self, given: SecretStr) -> ApiKey | None:
        """Return the key with this secret text, or None.

        Raises:
            Unavailable: Redis did not answer.
        """
        text = given.get_secret_value()
        if self._console and hmac.compare_digest(text.encode(), self._console.get_secret_value().encode()):
            return _of_the_console()
        mark = self._mark.digest("known api key", text)
        until, known = self._found.get(mark, (0.0, None))
        if known is not None and time.monotonic() < until:
            return known
        found = await anyio.to_thread.run_sync(self._services.api_keys.find, given)
        self._found.pop(mark, None)
        if found is not None:
            self._found[mark] = (time.monotonic() + _KNOWN_FOR_S, found)
            if len(self._found) > _MOST_KNOWN:
                self._found.popitem(last=False)
        return found


def _of_the_console() -> ApiKey:
    unlimited = {"per_hour": None, "per_country": None, "per_recipient": None}
    grant = Grant(name=_CONSOLE_ID, kinds=frozenset(Kind), scopes=frozenset(Scope), **unlimited)
    return ApiKey(_CONSOLE_ID, grant, datetime.fromtimestamp(0, UTC))


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of one request.

    Attributes:
        key: the API key.
        who: the name for the audit log: the key's, or that of the person whom the console names.
        services: what the endpoints share.
    """

    key: ApiKey
    who: str
    services: Services

    @property
    def sees_all(self) -> bool:
        """Whether the work of all keys is visible."""
        return self.key.grant.allows(Scope.CONSOLE)

    def require(self, *scopes: Scope) -> None:
        """Refuse a key that lacks one of these scopes.

        Raises:
            Problem: it lacks one; the detail names it.
        """
        missing = [scope for scope in scopes if not self.key.grant.allows(scope)]
        if missing:
            raise Problem(Type.NOT_ALLOWED, f"The API key lacks the scope {missing[0].value}.")

    def require_tenant(self, name: str | None) -> None:
        """Refuse a key that does not allow a tenant.

        Raises:
            Problem: the key does not allow it.
            TenantMissing: it is not configured.
        """
        tenant = self.services.settings.tenant_name(name)
        if self.key.grant.tenants and tenant not in self.key.grant.tenants:
            raise Problem(Type.NOT_ALLOWED, "The API key does not allow this tenant.")

    def owns(self, owner: str) -> bool:
        """Return whether something with this owner is visible to the key."""
        return self.sees_all or owner == self.key.id

    async def run(self, work: Callable[..., T], *arguments: Any, limiter: Any = None) -> T:
        """Run blocking work in a thread, under the caller's name in the audit log. Its errors leave it without frames.

        Raises:
            Problem: the answer to an error of the work.
        """
        failure: BaseException | None = None
        try:
            return await anyio.to_thread.run_sync(_acting, self.who, work, arguments, limiter=limiter)
        except Problem as problem:
            failure = problem
        except Exception as error:  # noqa: BLE001 - the frames of every error hold personal data
            failure = error
        del arguments
        raise bare_problem(failure)


def is_id(text: str) -> bool:
    """Return whether a text is a UUID as ids of operations and campaigns are written."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def bare_problem(error: BaseException) -> Problem:
    """Return the problem of an error, without frames: they hold personal data, which an error tracker would show."""
    problem = problem_of(error)
    problem.__cause__ = problem.__context__ = problem.__traceback__ = None
    error.__traceback__ = None
    return problem


def _acting(who: str, work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    with acting_as(who):
        return work(*arguments)


_MOST_OPEN: Final = 250
"""Requests of one key at the same time: a quarter of what the server takes."""


class OpenRequests:
    """Counts the requests of each key that are open, so that no key takes the room of all others with waits or slow bodies."""

    def __init__(self, most: int = _MOST_OPEN) -> None:
        self.most = most
        self._open = Counter[str]()

    @contextmanager
    def one_of(self, key: ApiKey) -> Iterator[None]:
        """Count a request during the block.

        Raises:
            Problem: the key has too many.
        """
        if self._open[key.id] >= self.most:
            headers = {"Retry-After": "1"}
            raise Problem(Type.QUOTA, headers=headers, more={"violated-policies": ["open-requests"]})
        self._open[key.id] += 1
        try:
            yield
        finally:
            self._open[key.id] -= 1
            if not self._open[key.id]:
                del self._open[key.id]


async def identify(
    request: Request,
    authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
    actor: Annotated[
        str | None, Header(alias=ACTOR, description="The person who acts, for the audit log; needs the scope console.")
    ] = None,
) -> Caller:
    """Return the caller of a request.

    Raises:
        Problem: the key is missing, wrong or revoked.
    """
    state = request.app.state
    tries: FailedTries = state.failed_tries
    address = request.client.host if request.client else ""
    given = authorization or ""
    secret = SecretStr(given[len(_BEARER) :].strip() if given.lower().startswith(_BEARER) else "")
    found = await _found(state.known_keys, secret)
    if found is None:
        # After the look-up: clients behind one proxy share an address, and one of them must not shut the others out.
        tries.check(address)
        await tries.failed(address)
        _log.warning("api.refused", reason="no valid key")
        raise Problem(Type.NO_KEY, headers={"WWW-Authenticate": 'Bearer realm="gatepost"'})
    return Caller(found, _who(found, actor), services_of(request))


async def _found(known: KnownKeys, secret: SecretStr) -> ApiKey | None:
    if not secret.get_secret_value():
        return None
    try:
        return await known.find(secret)
    except Exception as error:  # noqa: BLE001 - as in `Caller.run`
        failure = bare_problem(error)
    raise failure


def _who(key: ApiKey, actor: str | None) -> str:
    if actor is None:
        return f"api key {key.grant.name}"
    if not key.grant.allows(Scope.CONSOLE):
        raise Problem(Type.NOT_ALLOWED, f"The header {ACTOR} needs the scope {Scope.CONSOLE.value}.")
    try:
        # Header values are Latin-1; the console sends UTF-8.
        name = actor.encode("latin-1").decode()
        with acting_as(name):
            return name
    except (UnicodeError, InvalidCommand):
        raise Problem(Type.MALFORMED, f"The header {ACTOR} must be a name of 1 to 200 shown characters.") from None


async def counted(request: Request, caller: Annotated[Caller, Depends(identify)]) -> AsyncIterator[Caller]:
    """Give the caller of a request, which counts as open until it is answered.

    Raises:
        Problem: as `identify` and `OpenRequests`.
    """
    open_requests: OpenRequests = request.app.state.open_requests
    with open_requests.one_of(caller.key):
        yield caller


CallerOf = Annotated[Caller, Depends(counted)]
