"""No request ever gets the answer to another, whatever a server or a proxy writes, and whenever it writes it."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gatepost_worker import authentication as auth
from outside.upstream import CLOSE, RESET, Upstream, wait, write
from support.over_wire import OverWire
from support.tls_authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from outside.upstream import Step

PATIENCE = auth.Timeouts(connect=timedelta(seconds=20), read=timedelta(seconds=20), total=timedelta(seconds=40))
CONNECTED = {"CONNECT ": [write(b"HTTP/1.1 200 Connection established\r\n\r\n")]}
PEOPLE = [f"person{number}x" for number in range(6)]


@dataclass
class Side:
    """An upstream, and a client of it."""

    upstream: Upstream
    client: auth.Passwordless
    by_proxy: bool
    wire: OverWire | None = None

    def begin(self, scripts: dict[str, list[Step]]) -> None:
        (self.wire or self.client).close()
        self.upstream.begin({**CONNECTED, **scripts})

    def ask(self, person: str) -> str | None:
        if self.wire is not None:
            return self.wire.send_email(f"{person}@example.com").id
        return self.client.login_with_email(f"{person}@example.com", "123456").access_token

    def tokens_of(self, person: str) -> str | None:
        """Return the access token of a person's login, or the `_id` of a send over the wire.

        None for an error that leaves open whether it was carried out.
        """
        try:
            return self.ask(person)
        except auth.AuthenticationError as error:
            if not error.may_have_taken_effect and error.delivery is not auth.Delivery.NOT_SENT and error.status != 403:
                raise
            return None

    def connections(self) -> list[int]:
        return [heard.connection for heard in self.upstream.heard() if heard.connection >= 0]


@contextmanager
def side_of(how: str, folder: Path, *, transport: str = "direct") -> Iterator[Side]:
    """Start an upstream that is reached in one way, and make a client of it."""
    certificate, bundle = None, None
    if how != "http":
        authority = Authority.create(folder)
        certificate, bundle = folder / "server.pem", authority.bundle
        authority.authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    with Upstream(certificate) as upstream:
        configuration = auth.Configuration(
            base_url=upstream.url,
            timeouts=PATIENCE,
            ca_bundle=bundle,
            proxies={"https": f"http://127.0.0.1:{upstream.port}"} if how == "https by proxy" else {},
            trust_env=False,
            adapter=auth.DeadlineAdapter(ca_bundle=None if bundle is None else str(bundle))
            if transport == "requests"
            else None,
        )
        with auth.Passwordless(
            domain="tenant.example.com", client_id="client", client_secret="s3cret", configuration=configuration
        ) as client:
            wire = OverWire(client) if transport == "wire" else None
            yield Side(upstream, client, how == "https by proxy", wire)
            if wire is not None:
                wire.close()


WAYS = [(how, transport) for transport in ("direct", "requests", "wire") for how in ("http", "https", "https by proxy")]


@pytest.fixture(scope="module", params=WAYS, ids=" over ".join)
def side(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    """One upstream process for each way to reach it, and for each transport."""
    how, transport = request.param
    with side_of(how, tmp_path_factory.mktemp("upstream"), transport=transport) as started:
        yield started


def tokens(person: str) -> bytes:
    token = f"token of {person}"
    return json.dumps(
        {"access_token": token, "token_type": "Bearer", "_id": token, "email": "them@example.com"}
    ).encode()


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK", version: bytes = b"1.1") -> bytes:
    return b"\r\n".join([b"HTTP/%b %b" % (version, status), *headers, b"", body])


def chunks(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (7, body[:7], len(body) - 7, body[7:])


def length(number: int) -> bytes:
    return b"Content-Length: %d" % number


CHUNKED = b"Transfer-Encoding: chunked"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
INTERIM = [
    HINTS,
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 199 Whatever\r\nTransfer-Encoding: chunked\r\n\r\n",
]


def plain(body: bytes) -> bytes:
    return answer(body, length(len(body)))


FRAMED = {
    "one length": plain,
    "chunks": lambda body: answer(chunks(body), CHUNKED),
    "the same length twice": lambda body: answer(body, length(len(body)), length(len(body))),
    "two lengths": lambda body: answer(body, length(len(body)), length(len(body) + 40)),
    "two lengths, the long one first": lambda body: answer(body, length(len(body) + 40), length(len(body))),
    "a list of lengths": lambda body: answer(body, b"Content-Length: %d, %d" % (len(body), len(body))),
    "a length with a sign": lambda body: answer(body, b"Content-Length: +%d" % len(body)),
    "a length that is too short": lambda body: answer(body, length(len(body) - 5)),
    "no length in a kept connection": lambda body: answer(body, b"Connection: keep-alive"),
    "a length beside chunks": lambda body: answer(chunks(body), length(len(body)), CHUNKED),
    "a wrong length beside chunks": lambda body: answer(chunks(body), CHUNKED, length(3)),
    "chunks twice": lambda body: answer(chunks(body), CHUNKED, CHUNKED),
    "an unknown coding": lambda body: answer(body, b"Transfer-Encoding: secret", length(len(body))),
    "204 with a body": lambda body: answer(body, length(len(body)), status=b"204 No Content"),
    "204 with chunks": lambda body: answer(chunks(body), CHUNKED, status=b"204 No Content"),
    "304 with a body": lambda body: answer(body, length(len(body)), status=b"304 Not Modified"),
    "an error with too much": lambda body: answer(body, length(0), status=b"403 Forbidden"),
    "another protocol": lambda body: answer(body, b"Upgrade: h2c", status=b"101 Switching Protocols"),
    "the old version": lambda body: answer(body, length(len(body)), b"Connection: keep-alive", version=b"1.0"),
    "a header without a colon": lambda body: answer(body, b"X-Fine: yes", b"what is this", length(len(body))),
    "a header with a space before its colon": lambda body: answer(body, b"Content-Length : %d" % len(body)),
}
# Without the end of the stream the client would wait for it, or for more.
NEEDS_THE_END = {"no length in a kept connection", "a header without a colon", "a header with a space before its colon"}
NEEDS_THE_END |= {"an unknown coding", "chunks twice"}
AFTERWARDS = ["nothing", "a line end", "noise", "an interim answer", "another answer", "two answers", "half an answer"]


def afterwards(what: str, person: str) -> bytes:
    more = plain(tokens(person))
    return {
        "nothing": b"",
        "a line end": b"\r\n",
        "noise": b"\x00noise",
        "an interim answer": HINTS,
        "another answer": more,
        "two answers": more * 2,
        "half an answer": more[: len(more) // 2],
    }[what]


@dataclass(frozen=True)
class Scripted:
    """What one request is answered with."""

    interim: Sequence[bytes] = ()
    framed: str = "one length"
    after: str = "nothing"
    late: bool = False
    end: Step | None = None

    @property
    def is_sound(self) -> bool:
        return self.framed in {"one length", "chunks"} and self.end is not RESET

    def steps(self, person: str) -> list[Step]:
        final, more = FRAMED[self.framed](tokens(person)), afterwards(self.after, person)
        end = CLOSE if self.framed in NEEDS_THE_END and self.end is None else self.end
        steps = [write(b"".join(self.interim)), wait(0.002)] if self.interim and self.late else []
        final = final if steps else b"".join(self.interim) + final
        # Late bytes must be seen before the next request; later bytes cannot be detected.
        steps += [write(final), wait(0.002), write(more)] if self.late and more else [write(final + more)]
        return steps if end is None else [*steps, end]


SCRIPTED = st.builds(
    Scripted,
    interim=st.lists(st.sampled_from(INTERIM), max_size=3),
    framed=st.sampled_from(["one length", *FRAMED]),
    after=st.sampled_from(AFTERWARDS),
    late=st.booleans(),
    end=st.sampled_from([None, None, CLOSE, RESET]),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(script=st.lists(SCRIPTED, min_size=2, max_size=len(PEOPLE)))
@example(script=[Scripted([HINTS])] * 3)
@example(script=[Scripted([HINTS] * 3, late=True)] * 3)
@example(script=[Scripted(after="another answer"), Scripted(), Scripted()])
def test_no_request_gets_the_answer_to_another(side: Side, script: list[Scripted]) -> None:
    """Every person gets the tokens meant for them, or an error that admits to not knowing."""
    side.begin({person: one.steps(person) for person, one in zip(PEOPLE, script, strict=False)})
    given_tokens = []
    for person, one in zip(PEOPLE, script, strict=False):
        given_tokens.append(side.tokens_of(person))
        side.upstream.heard()
        time.sleep(0.02 * one.late)  # the late bytes have arrived

    for person, one, token in zip(PEOPLE, script, given_tokens, strict=False):
        assert token in {None, f"token of {person}"}
        assert token is not None or not one.is_sound


EACH = [*((framed, "another answer") for framed in FRAMED), *(("one length", after) for after in AFTERWARDS)]


@pytest.mark.parametrize(("framed", "after"), EACH)
def test_nothing_of_one_answer_is_left_for_the_next(side: Side, framed: str, after: str) -> None:
    """Each way to frame an answer, and each thing that can follow one; the next person is served all the same."""
    scripted = Scripted((), framed, after)
    side.begin({PEOPLE[0]: scripted.steps(PEOPLE[0]), PEOPLE[1]: Scripted().steps(PEOPLE[1])})
    first = side.tokens_of(PEOPLE[0])
    side.upstream.heard()
    second = side.tokens_of(PEOPLE[1])

    assert first in {None, f"token of {PEOPLE[0]}"}
    assert second == f"token of {PEOPLE[1]}"


def test_interim_answers_without_end_are_given_up(side: Side) -> None:
    """More than sixteen interim responses are refused, and the request may have been carried out."""
    side.begin({PEOPLE[0]: [write(HINTS * 17 + plain(tokens(PEOPLE[0])))]})
    with pytest.raises(auth.AnswerUnreadable) as caught:
        side.ask(PEOPLE[0])

    assert caught.value.may_have_taken_effect


def test_what_a_proxy_says_after_it_connected_is_no_answer(side: Side) -> None:
    """Bytes behind the answer to CONNECT belong to no request, so nothing is sent over that connection."""
    more = plain(tokens("a stranger"))
    connected = [write(b"HTTP/1.1 200 OK\r\n\r\n" + more), CLOSE]
    side.begin({"CONNECT ": connected, PEOPLE[0]: Scripted().steps(PEOPLE[0])})

    assert side.tokens_of(PEOPLE[0]) in {None, f"token of {PEOPLE[0]}"}
    assert side.connections() == [0] * (not side.by_proxy)


def test_the_keys_come_over_the_same_transport(side: Side) -> None:
    """A document of keys is no answer to a login, and the other way round."""
    if side.wire is not None:
        pytest.skip("only the client fetches keys")
    side.begin({"jwks.json": [write(HINTS + plain(b'{"keys": []}'))], PEOPLE[0]: Scripted([HINTS]).steps(PEOPLE[0])})
    documents = [side.client._caller.fetch_keys(30) for _ in range(2)]

    assert documents == [b'{"keys": []}'] * 2
    assert side.tokens_of(PEOPLE[0]) == f"token of {PEOPLE[0]}"


def test_connections_are_kept(side: Side) -> None:
    """Session tickets and interim answers cost no connection: 99 of 100 requests go over one that is there."""
    side.begin({"person": [write(HINTS), write(plain(tokens("them")))]})
    for number in range(200):
        assert side.tokens_of(f"person{number}") == "token of them"

    connections = side.connections()
    assert len(connections) == 200
    assert len(set(connections)) <= 2


def test_each_of_several_connection_headers_can_end_the_connection(side: Side) -> None:
    """A request on one that the other end closes might be lost, and then be unknown."""
    body = tokens("them")
    framed = answer(body, length(len(body)), b"Connection: keep-alive", b"Connection: Close")
    side.begin({"person": [write(framed)]})
    for number in range(2):
        assert side.tokens_of(f"person{number}") == "token of them"

    assert len(set(side.connections())) == len(side.connections())
