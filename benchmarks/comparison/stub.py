"""nginx as a stub of the tenant: Auth0's answers with rate-limit headers, at once or late, over http and TLS.

Its access log is the measure of every contender: the time, the status and the path of each answer.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import trustme
from joserfc import jwk, jwt

if TYPE_CHECKING:
    from collections.abc import Iterator

ECHO_MODULE: Final = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")
NGINX: Final = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
START: Final = "/passwordless/start"
TOKEN: Final = "/oauth/token"  # noqa: S105 - a path
SECRET: Final = "secret-secret-secret-secret-secret"  # noqa: S105 - the stub checks none
_STARTED: Final = '{"_id":"65f0c0ffee","email":"someone@example.com","email_verified":false}'
_CONFIGURATION: Final = """\
load_module {module};
daemon off;
worker_processes 2;
pid {directory}/pid;
error_log {directory}/error.log;
events {{ worker_connections 8192; }}
http {{
  log_format times '$msec $status $uri';
  access_log {directory}/access.log times;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 75s;
  default_type application/json;
  map $msec $second {{ "~^(?<whole>[0-9]+)" $whole; }}
  add_header X-RateLimit-Limit 1000000;
  add_header X-RateLimit-Remaining 999999;
  add_header X-RateLimit-Reset $second;
  ssl_certificate {directory}/certificate.pem;
  ssl_certificate_key {directory}/key.pem;
  server {{
    listen 127.0.0.1:{http};
    listen 127.0.0.1:{tls} ssl;
    {start_locations}
  }}
}}
"""
_ANSWERS: Final = """
    location {start} {{ {wait_or_answer} }}
    location @start {{ return 200 '{started}'; }}
    location = {token} {{ return 200 '{tokens}'; }}
"""


@dataclass(frozen=True)
class Answer:
    """One answer: when it was written, in epoch seconds, and what."""

    at: float
    status: int
    path: str


class Target(Protocol):
    """Where contenders send."""

    def url(self, *, tls: bool) -> str:
        """Return the base URL."""

    @property
    def ca_file(self) -> Path:
        """The certificate authority of the TLS port."""


@dataclass
class Stub:
    """A running stub."""

    http_port: int
    tls_port: int
    directory: Path
    _read: int = 0

    def url(self, *, tls: bool) -> str:
        """Return the base URL."""
        return f"https://localhost:{self.tls_port}" if tls else f"http://127.0.0.1:{self.http_port}"

    @property
    def ca_file(self) -> Path:
        """The certificate authority of the TLS port."""
        return self.directory / "ca.pem"

    def new_answers(self) -> list[Answer]:
        """Return the answers since the last call."""
        with (self.directory / "access.log").open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        fields = (line.split(" ") for line in whole.decode().splitlines())
        return [Answer(float(at), int(status), path) for at, status, path in fields]


def missing() -> str | None:
    """Return how to install nginx and its module, if one is missing."""
    if NGINX and ECHO_MODULE.exists():
        return None
    return "nginx with its echo module is missing: apt-get install nginx-light libnginx-mod-http-echo"


@contextmanager
def running(directory: Path, *, http_port: int, tls_port: int, delay_s: float) -> Iterator[Stub]:
    """Run the stub. With a delay, nginx holds each answer to a start on a timer."""
    directory.mkdir(parents=True)
    # nginx's workers run as another user if the stub is started by root.
    directory.chmod(0o755)
    _write_certificates(directory)
    wait_or_answer = f"echo_sleep {delay_s}; echo_exec @start;" if delay_s else f"return 200 '{_STARTED}';"
    locations = _ANSWERS.format(
        start=f"= {START}", wait_or_answer=wait_or_answer, started=_STARTED, token=TOKEN, tokens=_tokens()
    )
    configuration = _CONFIGURATION.format(
        module=ECHO_MODULE, directory=directory, http=http_port, tls=tls_port, start_locations=locations
    )
    (directory / "nginx.conf").write_text(configuration, encoding="utf-8")
    command = [
        str(NGINX),
        "-p",
        str(directory),
        "-c",
        str(directory / "nginx.conf"),
        "-e",
        str(directory / "error.log"),
    ]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        _wait_until_ready(directory, process)
        yield Stub(http_port, tls_port, directory)
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_ready(directory: Path, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        if (directory / "pid").exists():
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit(f"nginx did not start: {(directory / 'error.log').read_text(encoding='utf-8')}")


def _write_certificates(directory: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(directory / "ca.pem")
    certificate.private_key_pem.write_to_path(directory / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(directory / "certificate.pem", append=True)


def _tokens() -> str:
    """Return a token response whose id_token is valid for an hour, signed with the client secret."""
    now = int(time.time())
    claims = {"iss": "https://tenant.example.com/", "aud": "client", "sub": "email|1", "iat": now, "exp": now + 36_000}
    id_token = jwt.encode({"alg": "HS256"}, claims, jwk.OctKey.import_key(SECRET))
    return f'{{"access_token":"{"a" * 600}","id_token":"{id_token}","token_type":"Bearer","expires_in":86400}}'
