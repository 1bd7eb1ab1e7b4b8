"""The TLS settings of every connection to Auth0: the trusted certificates, and the client's own for mutual TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import ALPN_PROTOCOLS, create_urllib3_context

from gatepost_worker.authentication.errors import ConfigurationError


def tls_context(ca_bundle: str | None, certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
    """Return a context that verifies the server's certificate and its host name.

    Args:
        ca_bundle: a file or directory of CA certificates; None for certifi's.
        certificate: paths of a client certificate and its key.

    Raises:
        ConfigurationError: a certificate cannot be loaded.
    """
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.set_alpn_protocols(ALPN_PROTOCOLS)
    bundle = Path(ca_bundle or DEFAULT_CA_BUNDLE_PATH)
    try:
        context.load_verify_locations(**({"capath": str(bundle)} if bundle.is_dir() else {"cafile": str(bundle)}))
    except OSError as error:
        raise ConfigurationError(f"The CA bundle {bundle} cannot be used: {type(error).__name__}") from None
    if certificate is not None:
        try:
            context.load_cert_chain(*certificate, password="")
        except OSError as error:
            raise ConfigurationError(
                f"The client certificate {certificate[0]} or its key cannot be used: {type(error).__name__}"
            ) from None
    return context
