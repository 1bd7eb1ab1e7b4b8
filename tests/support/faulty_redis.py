"""Redis servers that Gatepost cannot use, each in its own way: real ones with the fault, and a scripted one for what cannot be had here."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

import redis

from gatepost_operations.local.embedded_valkey import server_binary
from support.free_ports import free_port

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.tls_authority import Authority

_READY_S: Final = 120.0
_GOOD: Final = {"redis_version": "7.4.0", "role": "master", "cluster_enabled": "0", "maxmemory_policy": "noeviction"}


@contextmanager
def server(directory: Path, *options: str, port: int = 0) -> Iterator[int]:
    """A real server with these options, on the port that it yields: a free one, when none is asked for."""
    port = port or free_port()
    own = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(directory)]
    process = subprocess.Popen([server_binary(), *own, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _wait(port)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _wait(port: int) -> None:
    give_up = time.monotonic() + _READY_S
    while time.monotonic() < give_up:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.02)
    raise AssertionError("the server did not start")


@contextmanager
def replica(directory: Path) -> Iterator[int]:
    """A read-only replica of a server."""
    with ExitStack() as both:
        primary = both.enter_context(server(directory, "--repl-diskless-sync-delay", "0"))
        port = both.enter_context(server(directory, "--replicaof", "127.0.0.1", str(primary)))
        with redis.Redis(port=port) as client:
            give_up = time.monotonic() + _READY_S
            while client.info("replication")["master_link_status"] != "up":
                assert time.monotonic() < give_up
                time.sleep(0.05)
        yield port


@contextmanager
def scripted(answer: Callable[[bytes], bytes], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that answers whatever it reads by a function, on the port that it yields; with a context, over TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, answer, context), daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def _serve(listener: socket.socket, answer: Callable[[bytes], bytes], context: ssl.SSLContext | None) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_talk, args=(connection, answer, context), daemon=True).start()


def _talk(connection: socket.socket, answer: Callable[[bytes], bytes], context: ssl.SSLContext | None) -> None:
    with contextlib.suppress(OSError), connection:
        spoken = connection if context is None else context.wrap_socket(connection, server_side=True)
        with spoken:
            while asked := spoken.recv(1 << 16):
                spoken.sendall(answer(asked))


def http(_asked: bytes) -> bytes:
    return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def plain(_asked: bytes) -> bytes:
    """The answer of a Redis without TLS to the beginning of a TLS handshake."""
    return b"-ERR unknown command\r\n"


def protected(asked: bytes) -> bytes:
    text = b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set.\r\n"
    return text * len(_names_of(asked))


def loading(asked: bytes) -> bytes:
    return b"-LOADING Redis is loading the dataset in memory\r\n" * len(_names_of(asked))


def old(asked: bytes) -> bytes:
    """Redis 6.2, which knows no flags of scripts."""
    info = "".join(f"{name}:{value}\r\n" for name, value in {**_GOOD, "redis_version": "6.2.14"}.items()).encode()
    not_compiled = b"-ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'\r\n"
    answers = {
        b"INFO": b"$%d\r\n%s\r\n" % (len(info), info),
        b"TIME": b"*2\r\n$1\r\n1\r\n$1\r\n0\r\n",
        b"GET": b"$-1\r\n",
        **dict.fromkeys((b"ZCARD", b"ZCOUNT"), b":0\r\n"),
        **dict.fromkeys((b"EVALSHA", b"SCRIPT"), not_compiled),
        **dict.fromkeys((b"HKEYS", b"HGETALL", b"COMMAND"), b"*0\r\n"),
    }
    return b"".join(answers.get(name, b"+OK\r\n") for name in _names_of(asked))


def _names_of(asked: bytes) -> list[bytes]:
    return [name.upper() for name in re.findall(rb"\*\d+\r\n\$\d+\r\n(\w+)", asked)]


def speaking_tls(authority: Authority) -> ssl.SSLContext:
    return authority.server_context("localhost")
