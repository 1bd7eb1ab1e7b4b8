"""Workers under other configurations: several tenants, other credentials, an Auth0 that cannot be reached."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gatepost import Producer, State
from gatepost import errors as e
from gatepost_core.reasons import Reason
from gatepost_core.sealing import Key
from gatepost_core.settings import Settings
from support.sealing_keys import SEALING_KEY

if TYPE_CHECKING:
    from typing import Any

    from support.stack import Stack


def test_a_request_that_did_not_arrive_is_retried_until_attempts_are_used_up(stack: Stack) -> None:
    """Nothing listens at that port: every attempt is refused before a byte leaves."""
    stack.environment.update(AUTH0_BASE_URL="https://localhost:9", GATEPOST_MAX_ATTEMPTS="2")
    stack.worker()
    with stack.producer() as producer:
        handle = producer.send_email("guest@example.com")
        with pytest.raises(e.AttemptsExhausted):
            handle.result(120)
        outcome = handle.outcome()

    assert (outcome.state, outcome.reason, outcome.attempts) == (State.EXHAUSTED, Reason.NOT_REACHED, 2)


def test_a_server_with_an_untrusted_certificate_gets_no_request(stack: Stack) -> None:
    """Without the simulator's CA the handshake fails, so nothing was sent."""
    stack.environment.pop("AUTH0_CA_BUNDLE")
    stack.environment.update(GATEPOST_MAX_ATTEMPTS="1")
    stack.worker()
    with stack.producer() as producer, pytest.raises(e.AttemptsExhausted):
        producer.send_email("guest@example.com").result(120)

    assert stack.simulator.control.count("guest@example.com") == 0


def test_several_tenants_are_served_and_the_first_is_the_default(stack: Stack) -> None:
    """Two tenants, the second with a client that signs assertions; each operation goes to its own."""
    second: dict[str, Any] = {
        "name": "second",
        "domain": stack.simulator.domain,
        "client_id": "gatepost-assertion",
        "client_assertion_signing_key_file": str(stack.simulator.assertion_key_file),
        "ca_bundle": str(stack.simulator.ca_file),
    }
    stack.environment["GATEPOST_TENANTS"] = json.dumps([second])
    stack.worker()
    control = stack.simulator.control

    with stack.producer() as producer:
        producer.send_email("guest@example.com").result(120)
        producer.send_email("other@example.com", tenant="second").result(120)
        tokens = producer.login_with_email(
            "other@example.com", control.latest_code("other@example.com"), tenant="second", scope="openid"
        ).redeem(120)
        with pytest.raises(e.ConfigurationError, match="third"):
            producer.send_email("guest@example.com", tenant="third")

    clients = {entry["recipient"]: entry["client_id"] for entry in control.outbox()}
    assert clients == {"guest@example.com": "gatepost-dev", "other@example.com": "gatepost-assertion"}
    assert tokens.id_token is not None


def test_an_application_that_only_enqueues_and_redeems_needs_no_tenant(stack: Stack) -> None:
    """It has Redis's URL and the keys; the credentials stay with the workers."""
    own = {
        "redis_url": stack.valkey.url,
        "sealing_keys": SEALING_KEY.reveal(),
        "fingerprint_key": "a fingerprint key of the tests alone",
    }
    stack.worker()

    with Producer(Settings(**own)) as producer:
        producer.send_email("guest@example.com").result(120)
        code = stack.simulator.control.latest_code("guest@example.com")
        tokens = producer.login_with_email("guest@example.com", code, scope="openid").redeem(120)
        campaign_id = producer.campaigns.create("spring")

    assert tokens.id_token is not None
    with stack.producer() as configured:
        assert configured.campaigns.status(campaign_id).name == "spring"


def test_a_worker_that_lacks_the_key_leaves_the_operation_to_one_that_has_it(stack: Stack) -> None:
    """A rotation that reached the producer and another worker first loses nothing."""
    new = Key("new", b"n" * 32)
    old_ring = stack.environment["GATEPOST_SEALING_KEYS"]
    behind = stack.worker()
    stack.environment["GATEPOST_SEALING_KEYS"] = f"{new.reveal()},{old_ring}"
    # Producers take a key that some worker has had; this one serves another queue.
    stack.worker("gatepost.bulk")
    with stack.producer() as producer:
        handle = producer.send_email("guest@example.com")
        stack.until(lambda: handle.state() is State.DEFERRED, "the operation is put off", behind)
        assert "key new" in behind.output()
        behind.kill()


def test_a_worker_without_a_sealing_key_does_not_start(stack: Stack) -> None:
    """A wrong configuration is found at the start, with the way out, not at the first message."""
    del stack.environment["GATEPOST_SEALING_KEYS"]
    program = stack.start("keyless", "-m", "celery", "-A", "gatepost_worker", "worker")

    assert program.wait(120) != 0
    assert "gatepost keys new" in program.output()
