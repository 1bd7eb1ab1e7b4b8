"""The tenant's limits: the buckets that a request must pass, and the rate-limit headers."""

from __future__ import annotations

import math
from email.utils import formatdate
from typing import TYPE_CHECKING

from gatepost_simulator.buckets import TokenBucket
from gatepost_simulator.exchange import error_answer
from gatepost_simulator.settings import plan_buckets

if TYPE_CHECKING:
    from gatepost_simulator.buckets import Arrivals
    from gatepost_simulator.exchange import Answer, Header, Request
    from gatepost_simulator.settings import BucketSize, Quota

TENANT = "tenant"
_A_DAY = 86_400
_TEXT = "Global limit has been reached"


class RateLimits:
    """All buckets of the tenant. Order: the tenant's, then the endpoint's, then the client's policy, then the IP's."""

    def __init__(self, quota: Quota, now: float) -> None:
        self.quota = quota
        tenant, endpoints = plan_buckets(quota)
        self.tenant = self._bucket(tenant, now)
        self.endpoints = {path: self._bucket(size, now) for path, size in endpoints.items()}
        self.clients = {client: self._bucket(size, now) for client, size in quota.clients.items()}
        self.addresses: dict[str, TokenBucket] = {}

    def _bucket(self, size: BucketSize, now: float) -> TokenBucket:
        return TokenBucket(size.size, size.refill, size.period_s, now, self.quota.refill)

    def admit(self, request: Request, now: float) -> bool:
        """Take a token from the tenant's and the endpoint's bucket; return whether both had one."""
        request.bucket = self.tenant
        if not self.tenant.take(now):
            return False
        endpoint = self.endpoints.get(request.path)
        if endpoint is None:
            return True
        request.bucket = endpoint
        return endpoint.take(now)

    def admit_client(self, request: Request, now: float) -> bool:
        """Take a token from the custom policy of the request's client, if it has one."""
        bucket = request.client_bucket = self.clients.get(request.client_id)
        return bucket is None or bucket.take(now)

    def admit_address(self, request: Request, now: float, *, authenticated: bool) -> bool:
        """Take a token from the hourly bucket of the request's IP, if `per_ip` limits it."""
        mode = self.quota.per_ip
        if mode == "off" or (mode == "unauthenticated" and authenticated):
            return True
        bucket = self.addresses.get(request.ip)
        if bucket is None:
            bucket = self.addresses[request.ip] = self._bucket(self.quota.ip, now)
        request.bucket = bucket
        return bucket.take(now)

    def refusal(self, request: Request, now: float) -> Answer:
        """Return the 429 for a request that a bucket refused."""
        refusing = request.bucket or self.tenant
        if request.client_bucket is not None and request.client_bucket.remaining() < 1:
            refusing = request.client_bucket
        hint = self.retry_after(now + refusing.wait(now), now)
        return error_answer(self.quota.body, 429, "too_many_requests", _TEXT, headers=hint)

    def retry_after(self, at: float, now: float) -> tuple[Header, ...]:
        """Return the Retry-After header for the time `at`, in the form of `retry_after`."""
        seconds = math.ceil(min(at - now, _A_DAY))
        match self.quota.retry_after:
            case "seconds":
                return ((b"retry-after", b"%d" % max(1, seconds)),)
            case "date":
                return ((b"retry-after", formatdate(now + max(1, seconds), usegmt=True).encode()),)
            case _:
                return ()

    def headers(self, request: Request, now: float) -> list[Header]:
        """Return the headers that every response carries."""
        bucket = request.bucket or self.tenant
        reset = bucket.next_refill(now) if self.quota.reset == "next" else bucket.full_at(now)
        found = [
            (b"x-ratelimit-limit", b"%d" % bucket.size),
            (b"x-ratelimit-remaining", b"%d" % bucket.remaining()),
            (b"x-ratelimit-reset", b"%d" % math.ceil(reset)),
        ]
        policy = request.client_bucket
        if policy is not None:
            found.append(
                (b"auth0-ratelimit", b"client;q=%d;t=%d;r=%d" % (policy.size, policy.period_s, policy.remaining()))
            )
        return found

    def named(self, now: float) -> dict[str, TokenBucket]:
        """Return the tenant's and the endpoints' buckets by name, updated to `now`."""
        buckets = {TENANT: self.tenant, **self.endpoints}
        for bucket in buckets.values():
            bucket.settle(now)
        return buckets

    def set_foreign_traffic(self, rate: float, endpoint: str | None, now: float, arrivals: Arrivals) -> None:
        """Set the rate of foreign requests a second, to the tenant as a whole and to one endpoint if given."""
        for name, bucket in self.named(now).items():
            if name in (TENANT, endpoint):
                bucket.foreign.set_rate(rate, now, arrivals)
