"""Certificates for https: a fresh authority, the server's certificate, a client's for mTLS, a key for assertions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme
from joserfc.jwk import RSAKey

from gatepost_simulator.settings import MTLS_CLIENT_ID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """The certificate files in a directory.

    Attributes:
        authority: The authority's certificate, which clients must trust.
        server: The server's private key and certificate chain.
        client: A client's private key and certificate chain, for mutual TLS.
    """

    authority: Path
    server: Path
    client: Path


def write_certificates(directory: Path, hosts: Sequence[str]) -> CertificateFiles:
    """Write a new authority and its certificates into a directory, readable by the owner only."""
    files = CertificateFiles(directory / "ca.pem", directory / "server.pem", directory / "client.pem")
    directory.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA(organization_name="Gatepost simulator")
    names = dict.fromkeys([*hosts, "localhost", "127.0.0.1", "::1", "mtls.localhost"])
    server = authority.issue_cert(*(name for name in names if name not in ("", "0.0.0.0", "::")))  # noqa: S104 - a name, not a bind
    client = authority.issue_cert(f"{MTLS_CLIENT_ID}.example", common_name=MTLS_CLIENT_ID)
    _write(files.authority, authority.cert_pem.bytes())
    _write(files.server, server.private_key_and_cert_chain_pem.bytes())
    _write(files.client, client.private_key_and_cert_chain_pem.bytes())
    return files


def write_assertion_key(path: Path) -> str:
    """Write a new private key (PKCS8) for assertions, and return its public key (PEM)."""
    key = RSAKey.generate_key(2048)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, key.as_pem(private=True))
    return key.as_pem(private=False).decode()


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
