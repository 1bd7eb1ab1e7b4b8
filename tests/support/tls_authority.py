"""A certificate authority for tests, with a client certificate and contexts for servers."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import trustme

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Authority:
    """A certificate authority, and its certificates."""

    bundle: str
    certificate: str
    key: str
    authority: trustme.CA

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Write the authority's bundle and a client's certificate and key into a folder."""
        made = trustme.CA()
        client = made.issue_cert("client.example.com")
        paths = {name: str(folder / f"{name}.pem") for name in ("bundle", "certificate", "key")}
        made.cert_pem.write_to_path(paths["bundle"])
        client.private_key_pem.write_to_path(paths["key"])
        for index, blob in enumerate(client.cert_chain_pems):
            blob.write_to_path(paths["certificate"], append=index > 0)
        return cls(**paths, authority=made)

    def server_context(self, name: str = "localhost", *, demand: ssl.VerifyMode = ssl.CERT_NONE) -> ssl.SSLContext:
        """Return a server's context for a name; `demand` says whether it asks for a client certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(context)
        self.authority.configure_trust(context)
        context.verify_mode = demand
        return context
