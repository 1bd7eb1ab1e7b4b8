"""Sends, logins, status and result against a real ledger; the worker's part is played through the ledger itself."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from pydantic import SecretStr

from gatepost.producer import Producer
from gatepost_core.ledger.values import Operation
from gatepost_core.outcomes import Denial, MfaChallenge, TokenSet
from gatepost_core.reasons import Reason
from gatepost_core.sealing import Purpose
from gatepost_core.states import State
from gatepost_operations.cli.entry import main
from support.ledger_calls import begin_attempt
from support.redeeming import sealed_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatepost import Handle

    Run = Callable[..., tuple[int, dict[str, Any]]]
    WithReference = Callable[..., tuple[int, dict[str, Any]]]

pytestmark = pytest.mark.usefixtures("configured")

CLAIMS = {"iss": "https://localhost:1/", "sub": "email|1", "aud": "client", "email": "ana-canary@example.com"}
ID_TOKEN = jwt.encode({"alg": "HS256"}, CLAIMS, OctKey.import_key(bytes(32)))
TOKENS = TokenSet(access_token=SecretStr("access-canary"), id_token=SecretStr(ID_TOKEN), expires_in=60, scope="openid")


@pytest.fixture
def producer() -> Iterator[Producer]:
    """The producer of the command line, which here also plays the worker."""
    with Producer() as ready:
        yield ready


def settle(producer: Producer, operation_id: str, state: State, **how: Any) -> None:
    """End an operation as a worker does."""
    begin_attempt(producer.ledger, operation_id, "attempt", 60)
    producer.ledger.settle(operation_id, "attempt", state, **how)


@pytest.fixture
def queued_login(run: Run, producer: Producer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Handle:
    """A login that the shell enqueued without waiting, and its handle by the reference that the shell wrote."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("123456\n"))
    file = tmp_path / "reference.txt"
    code, queued = run("login", "ana@example.com", "--no-wait", "--reference-file", str(file))
    assert code == 0
    reference = file.read_text().strip()
    assert reference not in json.dumps(queued)
    return producer.handle(reference)


@pytest.fixture
def finished_login(producer: Producer, queued_login: Handle) -> Handle:
    settle(producer, queued_login.operation_id, State.ACCEPTED, sealed_result=sealed_for(queued_login, TOKENS))
    return queued_login


@pytest.fixture
def with_reference(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Run `gatepost result` with a reference on standard input."""

    def call(handle: Handle, *options: str) -> tuple[int, dict[str, Any]]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{handle.reference}\n"))
        return run("result", "-", *options)

    return call


def test_a_send_without_waiting_is_queued(run: Run) -> None:
    """Exit code 0 and the operation's id, which status knows."""
    code, queued = run("send-email", "ana@example.com", "--send", "link", "--no-wait")
    later, found = run("status", queued["operation_id"])

    assert (code, queued["state"], queued["kind"]) == (0, "queued", "send_email")
    assert (later, found) == (0, queued)


def test_the_options_become_the_command(run: Run, producer: Producer) -> None:
    """The sealed command has the typed options."""
    options = ["--language", "pt-BR", "--client-ip", "203.0.113.7", "--on-unknown", "resend", "--deadline", "90"]
    bodies = [
        "--auth-params",
        '{"scope": "openid"}',
        "--extra",
        '{"x": 1}',
        "--connection",
        "vip",
        "--headers",
        '{"x-a": "b"}',
    ]
    _, queued = run("send-email", "Ana@Example.com", "--no-wait", *options, *bodies)
    operation = producer.ledger.ready(queued["operation_id"])

    assert isinstance(operation, Operation)
    opened = producer.settings.keyring().open(operation.sealed_command, Purpose.command(operation.operation_id))
    command = json.loads(opened)
    assert command.pop("deadline")
    assert command == {
        "kind": "send_email",
        "email": "ana@example.com",
        "send": "code",
        "connection": "vip",
        "language": "pt-BR",
        "client_ip": "203.0.113.7",
        "on_unknown": "resend",
        "auth_params": {"scope": "openid"},
        "extra": {"x": 1},
        "headers": {"x-a": "b"},
    }


def test_waiting_ends_and_the_operation_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, the state on stdout, and the command that shows it again on stderr."""
    code = main(["send-sms", "+34600000001", "--timeout", "0"])
    seen = capsys.readouterr()
    operation_id, state = seen.out.split()

    assert (code, state) == (1, "queued")
    assert f"gatepost status {operation_id}" in seen.err


def test_the_same_key_gives_the_same_operation(run: Run) -> None:
    """And with another command it is refused by the guard."""
    _, first = run("send-email", "ana@example.com", "--no-wait", "--idempotency-key", "k")
    _, second = run("send-email", "ana@example.com", "--no-wait", "--idempotency-key", "k")
    code, refused = run("send-email", "eva@example.com", "--no-wait", "--idempotency-key", "k")

    assert second["operation_id"] == first["operation_id"]
    assert (code, refused["error"]["type"]) == (5, "IdempotencyConflict")


@pytest.mark.parametrize(
    ("state", "how", "expected"),
    [
        (State.ACCEPTED, {}, 0),
        (State.REJECTED, {"reason": Reason.RECIPIENT_REJECTED, "detail": "bad.email"}, 3),
        (State.REJECTED, {"reason": Reason.CLIENT_REJECTED}, 4),
        (State.UNKNOWN, {"reason": Reason.ANSWER_LOST}, 3),
    ],
)
def test_an_end_gives_its_exit_code(
    run: Run, producer: Producer, state: State, how: dict[str, Any], expected: int
) -> None:
    """Status and result say the same; the advice comes with the reason."""
    _, queued = run("send-email", "ana@example.com", "--no-wait")
    settle(producer, queued["operation_id"], state, **how)
    by_status, shown = run("status", queued["operation_id"])
    by_result, waited = run("result", queued["operation_id"])

    assert (by_status, by_result) == (expected, expected)
    assert shown == waited
    assert shown["state"] == state
    assert bool(shown["advice"]) is bool(how)


def test_an_end_is_told_to_people_too(producer: Producer, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stdout that a script can split, the advice on stderr."""
    _, queued = run("send-email", "ana@example.com", "--no-wait")
    settle(producer, queued["operation_id"], State.REJECTED, reason=Reason.RECIPIENT_REJECTED, detail="bad.email")
    main(["status", queued["operation_id"]])
    seen = capsys.readouterr()

    assert seen.out == f"{queued['operation_id']} rejected recipient_rejected\n"
    assert "correct it, or leave it out" in seen.err
    assert "bad.email" in seen.err


def test_a_waiting_operation_is_cancelled(run: Run, producer: Producer) -> None:
    """A second time, too. The audit log names the operation, and no worker sends it."""
    _, queued = run("send-email", "ana@example.com", "--no-wait")
    operation_id = queued["operation_id"]
    code, cancelled = run("cancel", operation_id)
    again, same = run("cancel", operation_id)
    entry = list(producer.campaigns.audit.entries())[-1]

    assert (code, cancelled["state"], cancelled["reason"]) == (0, "cancelled", "cancelled_by_caller")
    assert (again, same) == (0, cancelled)
    assert (entry.action, entry.about) == ("operation.cancel", {"operation_id": operation_id})
    assert not isinstance(producer.ledger.ready(operation_id), Operation)


def test_an_operation_is_not_cancelled_during_a_request(run: Run, producer: Producer) -> None:
    """Auth0 may be sending the message. The operation goes on."""
    _, queued = run("send-email", "ana@example.com", "--no-wait")
    begin_attempt(producer.ledger, queued["operation_id"], "attempt", 60)
    code, refused = run("cancel", queued["operation_id"])

    assert (code, refused["error"]["type"]) == (5, "Refused")
    assert "under way" in refused["error"]["message"]
    assert producer.handle(queued["operation_id"]).state() is State.IN_FLIGHT


def test_a_cancelled_resend_is_unknown(run: Run, producer: Producer) -> None:
    """The first message may have been sent. The exit code differs from that of a cancelled operation, and nothing is repeated."""
    _, queued = run("send-email", "ana@example.com", "--no-wait", "--on-unknown", "resend")
    begin_attempt(producer.ledger, queued["operation_id"], "attempt", 60)
    producer.ledger.postpone(queued["operation_id"], 60, attempt="attempt", free=False, doubt=Reason.SERVER_FAILED)
    code, ended = run("cancel", queued["operation_id"])

    assert (code, ended["state"], ended["reason"]) == (3, "unknown", "server_failed")
    assert not isinstance(producer.ledger.ready(queued["operation_id"]), Operation)


def test_an_ended_operation_is_not_cancelled(run: Run, producer: Producer) -> None:
    """The error says how it ended."""
    _, queued = run("send-email", "ana@example.com", "--no-wait")
    settle(producer, queued["operation_id"], State.ACCEPTED)
    code, refused = run("cancel", queued["operation_id"])

    assert (code, refused["error"]["message"]) == (5, "The operation has ended: it is accepted.")


def test_the_audit_log_keeps_no_word_that_names_no_operation(
    run: Run, producer: Producer, queued_login: Handle
) -> None:
    """A person can type an address or a reference by mistake."""
    cancelled, _ = run("cancel", queued_login.reference)
    missing = [run("cancel", text)[0] for text in ("ana-canary@example.com", "no-such-operation")]
    entries = [entry.about for entry in producer.campaigns.audit.entries()]

    assert (cancelled, missing) == (0, [1, 1])
    assert entries == [{"operation_id": queued_login.operation_id}]


def test_an_unknown_operation_is_an_error(run: Run) -> None:
    """Its record may have expired."""
    code, error = run("status", "no-such-operation")

    assert (code, error["error"]["type"]) == (1, "OperationNotFound")


def test_no_token_is_printed_unasked(with_reference: WithReference, producer: Producer, finished_login: Handle) -> None:
    """The id_token's technical claims are; the person and the tokens are not, and nothing is used up."""
    code, shown = with_reference(finished_login)

    assert code == 0
    assert shown["claims"] == {
        "iss": "https://localhost:1/",
        "sub": "email|1",
        "aud": "client",
        "scope": "openid",
        "expires_in": 60,
    }
    assert "canary" not in json.dumps(shown)
    assert ID_TOKEN not in json.dumps(shown)
    assert producer.ledger.sealed_result(finished_login.operation_id) is not None


def test_an_id_alone_shows_no_claims_and_redeems_nothing(
    run: Run, producer: Producer, finished_login: Handle, with_reference: WithReference
) -> None:
    """The error says where the reference comes from, and the tokens stay for its holder."""
    shown, document = run("result", finished_login.operation_id)
    refused, error = run("result", finished_login.operation_id, "--redeem")
    as_argument, said = run("result", finished_login.reference, "--redeem")

    assert (shown, "claims" in document) == (0, False)
    assert (refused, error["error"]["type"]) == (1, "WrongRedeemToken")
    assert "--reference-file" in error["error"]["message"]
    assert (as_argument, said["error"]["type"]) == (6, "InvalidCommand")
    assert finished_login.reference not in json.dumps(said)
    assert with_reference(finished_login, "--redeem")[0] == 0


def test_a_reference_file_is_for_its_owner_alone(queued_login: Handle, tmp_path: Path) -> None:
    """A reader of it can redeem the tokens."""
    file = tmp_path / "reference.txt"

    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == f"{queued_login.reference}\n"


def test_a_reference_file_that_cannot_be_written_spends_no_code(
    run: Run, producer: Producer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error comes before the login is enqueued."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("123456\n"))
    code, error = run("login", "ana@example.com", "--no-wait", "--reference-file", str(tmp_path / "no" / "file"))

    assert (code, error["error"]["type"]) == (6, "FileError")
    assert producer.ledger.counts() == {}


def test_a_reference_file_replaces_another_file_only_when_asked(
    run: Run, producer: Producer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The refusal spends no code, and with `--force` the new file is private."""
    file = tmp_path / "reference.txt"
    file.write_text("another login")
    monkeypatch.setattr(sys, "stdin", io.StringIO("123456\n123456\n"))
    command = ("login", "ana@example.com", "--no-wait", "--reference-file", str(file))
    refused, error = run(*command)
    kept, before = file.read_text(), producer.ledger.counts()
    replaced, queued = run(*command, "--force")

    assert (refused, error["error"]["type"], kept, before) == (5, "FileExistsAlready", "another login", {})
    assert replaced == 0
    assert file.read_text().startswith(f"{queued['operation_id']}.")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_token_set_is_redeemed_once(with_reference: WithReference, finished_login: Handle) -> None:
    """Asked for, it is printed and deleted; asked for again there is nothing, and the error says since when."""
    first, shown = with_reference(finished_login, "--redeem")
    second, error = with_reference(finished_login, "--redeem")

    assert first == 0
    assert shown["token_set"]["access_token"] == "access-canary"
    assert shown["token_set"]["id_token"] == ID_TOKEN
    assert (second, error["error"]["type"]) == (1, "NothingToRedeem")
    assert "redeemed before at 20" in error["error"]["message"]


def test_redeemed_tokens_are_alone_on_stdout(
    finished_login: Handle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipe gets the token set as JSON, the rest is on stderr."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{finished_login.reference}\n"))
    main(["result", "-", "--redeem"])
    seen = capsys.readouterr()

    assert json.loads(seen.out)["access_token"] == "access-canary"
    assert seen.err == f"{finished_login.operation_id} accepted\n"


def test_an_actions_words_are_handed_over(
    with_reference: WithReference, producer: Producer, queued_login: Handle
) -> None:
    """It is redeemed like a token set; the login is not accepted, with or without it."""
    denial = sealed_for(queued_login, Denial(description=SecretStr("Come back on Monday.")))
    settle(producer, queued_login.operation_id, State.REJECTED, reason=Reason.ACCESS_DENIED, sealed_result=denial)
    first = with_reference(queued_login, "--redeem")
    second = with_reference(queued_login, "--redeem")

    assert (first[0], first[1]["denial"]) == (3, {"description": "Come back on Monday."})
    assert (second[0], "denial" in second[1]) == (3, False)


def test_a_second_factor_is_handed_over(
    with_reference: WithReference, producer: Producer, queued_login: Handle
) -> None:
    """The MFA token is redeemed like a token set; the login is not accepted."""
    challenge = sealed_for(queued_login, MfaChallenge(mfa_token=SecretStr("mfa")))
    settle(producer, queued_login.operation_id, State.REJECTED, reason=Reason.MFA_REQUIRED, sealed_result=challenge)
    code, shown = with_reference(queued_login, "--redeem")

    assert (code, shown["kind"]) == (3, "login_with_email")
    assert shown["mfa_challenge"]["mfa_token"] == "mfa"
