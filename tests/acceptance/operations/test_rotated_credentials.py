"""Credentials that change in Auth0 and in their files while workers send: nothing fails, and no campaign pauses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gatepost_core.campaigns.model import Options
from gatepost_core.states import State
from support.campaign_parts import rows
from support.guests import address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.stack import Stack

pytestmark = pytest.mark.slow

PEOPLE = 300
CLIENT = "rotating"
EVERYTHING = "gatepost.login,gatepost.send,gatepost.bulk"


def key_pair() -> tuple[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
def path(stack: Stack, tmp_path: Path) -> Iterator[Path]:
    """The file of the credential of an application that only this test uses."""
    stack.environment["AUTH0_CLIENT_ID"] = CLIENT
    del stack.environment["AUTH0_CLIENT_SECRET"]
    yield tmp_path / "credential"
    stack.environment["AUTH0_CLIENT_ID"] = "gatepost-dev"


def write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def campaign_goes_on(stack: Stack, change: Callable[[], None]) -> None:
    """Send a campaign and log in, change the credential in between, and check that nothing failed."""
    control = stack.simulator.control
    control.set_quota(plan="unlimited")
    with stack.producer() as producer:
        recipient = address()
        assert producer.send_email(recipient).result(120).state is State.ACCEPTED
        campaign = producer.campaigns.create("spring", Options(rate=60))
        producer.campaigns.add(campaign, rows(PEOPLE))
        producer.campaigns.start(campaign)

        def accepted() -> int:
            return producer.campaigns.status(campaign).counts[State.ACCEPTED]

        stack.until(lambda: accepted() > 0, "the campaign has begun")
        change()
        handle = producer.login_with_email(recipient, control.latest_code(recipient), scope="openid")
        seen = set()

        def is_over() -> bool:
            seen.add(producer.campaigns.status(campaign).status)
            return "finished" in seen

        stack.until(is_over, "the campaign has been sent")

        assert handle.redeem(120).id_token is not None
        assert "paused" not in seen
        assert accepted() == PEOPLE


@pytest.mark.parametrize("first", ["auth0", "file"])
def test_a_client_secret_is_rotated_during_a_campaign(stack: Stack, path: Path, first: str) -> None:
    """In either order: no pause, nothing failed, and a login goes through."""
    control = stack.simulator.control
    control.register_client(client_id=CLIENT, client_secret="the first secret")
    write(path, "the first secret")
    worker = stack.worker(EVERYTHING, AUTH0_CLIENT_SECRET_FILE=str(path))

    def change() -> None:
        if first == "file":
            write(path, "the second secret")
        control.register_client(client_id=CLIENT, client_secret="the second secret")
        write(path, "the second secret")

    campaign_goes_on(stack, change)

    assert "secrets.renewed" in worker.output()
    assert "secret" not in worker.output().replace("secrets.renewed", "").replace(str(path), "")


def test_a_signing_key_is_rotated_during_a_campaign(stack: Stack, path: Path) -> None:
    """Auth0 accepts both keys for a while; the worker takes the new one from its file."""
    (old, old_public), (new, new_public) = key_pair(), key_pair()
    control = stack.simulator.control
    signing = {"client_id": CLIENT, "method": "private_key_jwt"}
    control.register_client(**signing, public_keys=[old_public])
    write(path, old)
    worker = stack.worker(EVERYTHING, AUTH0_CLIENT_SIGNING_KEY_PATH=str(path))

    def change() -> None:
        control.register_client(**signing, public_keys=[old_public, new_public])
        write(path, new)
        stack.until(lambda: "secrets.renewed" in worker.output(), "the worker has the new key", worker)
        control.register_client(**signing, public_keys=[new_public])

    campaign_goes_on(stack, change)
