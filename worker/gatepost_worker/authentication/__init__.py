"""A client for Auth0's Authentication API: passwordless sends and logins. It needs neither Celery nor Redis.

    from gatepost_worker.authentication import Passwordless

    with Passwordless(domain="example.eu.auth0.com", client_id="…", client_secret="…") as passwordless:
        passwordless.send_email("someone@example.com")
        tokens = passwordless.login_with_email("someone@example.com", "123456", scope="openid")

`errors` shows the tree of its exceptions.
"""

from gatepost_worker.authentication import errors, refusals
from gatepost_worker.authentication.adapter import DeadlineAdapter
from gatepost_worker.authentication.client import Passwordless, Send
from gatepost_worker.authentication.configuration import (
    ClientCertificate,
    Configuration,
    RequestOverrides,
    RetryPolicy,
    Timeouts,
)
from gatepost_worker.authentication.error_attributes import Cause, Delivery, Remedy
from gatepost_worker.authentication.errors import *  # noqa: F403 - the names in its __all__
from gatepost_worker.authentication.http_exchange import Exchange, current_exchange
from gatepost_worker.authentication.middleware import Middleware
from gatepost_worker.authentication.rate_limits import ClientQuota, RateLimits
from gatepost_worker.authentication.refusals import *  # noqa: F403 - the names in its __all__
from gatepost_worker.authentication.responses import HttpResponse, StartResponse, TokenResponse
from gatepost_worker.authentication.start_probe import CredentialCheck, StartProbe

__all__ = [
    "Cause", "ClientCertificate", "ClientQuota", "Configuration", "CredentialCheck", "DeadlineAdapter", "Delivery",
    "Exchange", "HttpResponse", "Middleware", "Passwordless", "RateLimits", "Remedy", "RequestOverrides",
    "RetryPolicy", "Send", "StartProbe", "StartResponse", "Timeouts", "TokenResponse", "current_exchange",
]  # fmt: skip
__all__ += errors.__all__
__all__ += refusals.__all__
