"""A loop around one requests.Session, without a queue: the limit of the usual HTTP client. `python bare_loop.py COUNT`."""

from __future__ import annotations

import sys

import requests
from request import CA_FILE, URL, body, emails

if __name__ == "__main__":
    with requests.Session() as session:
        session.trust_env = False
        session.verify = CA_FILE or True
        for address in emails(int(sys.argv[1])):
            session.post(URL, json=body(address), timeout=10).raise_for_status()
