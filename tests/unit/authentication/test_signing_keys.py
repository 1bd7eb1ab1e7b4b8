"""The signing keys: cached, fetched again when they must be, and no more often."""

from __future__ import annotations

import json
import sys
import threading
import time

import pytest
from joserfc.jwk import ECKey

from gatepost_worker.authentication import ConnectFailed, IdTokenInvalid, IdTokenNotVerified
from gatepost_worker.authentication.jwks import SigningKeys, parse_jwks
from support.signed_tokens import jwks, signing_key


class Source:
    """A JWKS document that can change, fail, and count."""

    def __init__(self, *kids: str) -> None:
        self.kids = kids or ("key-1",)
        self.fetches = 0
        self.failures = 0

    def __call__(self, within_s: float) -> bytes:
        self.within_s = within_s
        self.fetches += 1
        if self.failures:
            self.failures -= 1
            raise ConnectFailed
        return jwks(*self.kids)


class World:
    """Signing keys over a source, with a clock to move."""

    def __init__(self, *kids: str) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.source = Source(*kids)
        self.keys = SigningKeys(self.source, clock=lambda: self.now, sleep=self.slept.append)


def test_the_keys_are_cached_for_ten_minutes() -> None:
    """Then they are fetched anew."""
    world = World()
    world.keys.key("key-1")
    world.now += 599
    world.keys.key("key-1")
    fetches = world.source.fetches
    world.now += 2
    world.keys.key("key-1")

    assert (fetches, world.source.fetches) == (1, 2)


def test_an_unknown_key_id_forces_one_fetch() -> None:
    """After a rotation the new key is found at once."""
    world = World("key-1")
    world.keys.key("key-1")
    world.now += 31
    world.source.kids = ("key-1", "key-2")

    assert world.keys.key("key-2").as_dict(private=False)["n"] == signing_key("key-2").as_dict(private=False)["n"]
    assert world.source.fetches == 2


def test_unknown_key_ids_do_not_make_a_storm() -> None:
    """Within the cool-down no fetch is made for them."""
    world = World("key-1")
    for _ in range(20):
        world.now += 1
        with pytest.raises(IdTokenInvalid):
            world.keys.key("forged")

    assert world.source.fetches == 1
    world.now += 30
    with pytest.raises(IdTokenInvalid):
        world.keys.key("forged")
    assert world.source.fetches == 2


def test_a_failed_fetch_is_repeated_alone() -> None:
    """The login that needs it cannot be."""
    world = World()
    world.source.failures = 2

    assert world.keys.key("key-1") is not None
    assert world.source.fetches == 3
    assert len(world.slept) == 2
    assert all(0 <= wait <= 2 for wait in world.slept)


def test_a_fetch_is_given_up_after_three_attempts() -> None:
    """Bounded, and the error says which failure it was."""
    world = World()
    world.source.failures = 99
    with pytest.raises(IdTokenNotVerified) as caught:
        world.keys.key("key-1")

    assert world.source.fetches == 3
    assert caught.value.origin == "ConnectFailed"


def test_a_failure_is_not_remembered() -> None:
    """The next login tries anew."""
    world = World()
    world.source.failures = 3
    with pytest.raises(IdTokenNotVerified):
        world.keys.key("key-1")

    assert world.keys.key("key-1") is not None


def test_expired_keys_are_not_used_when_the_fetch_fails() -> None:
    """A revoked key must not live on because the network is down."""
    world = World()
    world.keys.key("key-1")
    world.now += 601
    world.source.failures = 99
    with pytest.raises(IdTokenNotVerified):
        world.keys.key("key-1")


def test_threads_share_one_fetch_and_its_failure() -> None:
    """Or each of them would wait its turn for three more attempts."""
    entered, release = threading.Event(), threading.Event()
    fetches = []

    def fetch(_within_s: float) -> bytes:
        fetches.append(1)
        entered.set()
        assert release.wait(30)
        raise ConnectFailed

    keys = SigningKeys(fetch, clock=lambda: 0.0, sleep=lambda _: None)
    failures = []

    def look_up() -> None:
        try:
            keys.key("key-1")
        except IdTokenNotVerified as error:
            failures.append(error)

    threads = [threading.Thread(target=look_up) for _ in range(8)]
    threads[0].start()
    assert entered.wait(30)
    for thread in threads[1:]:
        thread.start()
    while len({_place(thread) for thread in threads[1:]}) > 1 or _place(threads[1])[0] != "_keys_younger_than":
        time.sleep(0.01)  # until all of them wait at the same line, which is the lock's
    release.set()
    for thread in threads:
        thread.join(30)

    assert len(failures) == 8
    assert len(fetches) == 3


def _place(thread: threading.Thread) -> tuple[str, int]:
    frame = sys._current_frames().get(thread.ident or 0)
    return (frame.f_code.co_name, frame.f_lineno) if frame else ("", 0)


@pytest.mark.parametrize(
    "document", [b"", b"<html>", b"{}", b'{"keys": []}', b'{"keys": 7}', b"[]", b'{"keys": [7, {}]}']
)
def test_a_document_without_a_usable_key_is_a_failed_fetch(document: bytes) -> None:
    """Not an invalid token."""
    with pytest.raises(IdTokenNotVerified):
        parse_jwks(document)


def test_keys_of_other_kinds_are_passed_over() -> None:
    """A tenant may publish keys that this client does not use (RFC 7517, section 5)."""
    good = signing_key().as_dict(private=False)
    others = [
        ECKey.generate_key("P-256", {"kid": "ec"}).as_dict(private=False),
        {**good, "kid": "enc", "use": "enc"},
        {**good, "kid": "broken", "n": "!"},
        {**good, "kid": 7},
        {"kty": "AKP", "kid": "post-quantum"},
    ]

    assert set(parse_jwks(json.dumps({"keys": [*others, good]}).encode())) == {"key-1"}


def test_a_fetch_is_told_how_long_it_may_take() -> None:
    """Each repetition gets the time that the last one left, and none begins after the end."""
    world = World()
    world.source.failures = 2
    fetch = world.source.__call__
    told = []

    def slow(within_s: float) -> bytes:
        told.append(within_s)
        world.now += 2
        return fetch(within_s)

    keys = SigningKeys(slow, clock=lambda: world.now, sleep=world.slept.append)
    keys.key("key-1", 10)

    assert told == [10, 8, 6]
