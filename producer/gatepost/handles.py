"""Handles: the state and outcome of an operation, and the token set of a login, once."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from gatepost_core.error_boundary import boundary
from gatepost_core.errors import (
    Absence,
    GatepostError,
    MfaRequired,
    NotFinished,
    NothingToRedeem,
    OperationFailed,
    Rejected,
    WrongRedeemToken,
)
from gatepost_core.reasons import Reason
from gatepost_core.redeem_tokens import reference_of
from gatepost_core.states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from gatepost.shared_redis import Lease
    from gatepost.waits import Answer
    from gatepost_core.ledger import Ledger
    from gatepost_core.outcomes import Denial, MfaChallenge, Outcome, Redeemable, TokenSet
    from gatepost_core.redeem_tokens import RedeemToken

DEFAULT_TIMEOUT_S: Final = 60.0


_ID_ALONE: Final = "This handle has no redeem token. Make it with Producer.handle(reference), with the reference of the handle that login_* returned."


@boundary
class Handle:
    """One operation.

    Attributes:
        operation_id: its id. It is no secret: it shows the state and cancels, and redeems nothing.
    """

    def __init__(
        self, operation_id: str, ledger: Ledger, lease: Lease, redeem_token: RedeemToken | None = None
    ) -> None:
        self.operation_id = operation_id
        self._ledger = ledger
        self._lease = lease
        self._redeem_token = redeem_token

    @property
    def reference(self) -> str:
        """The operation's id, with the redeem token of a login. `Producer.handle` takes it back. Treat it as a password."""
        return reference_of(self.operation_id, self._redeem_token)

    def __repr__(self) -> str:
        return f"Handle({self.operation_id!r})"

    def outcome(self) -> Outcome:
        """Return the operation's outcome so far.

        Raises:
            OperationNotFound: its record has expired, or it was never recorded.
            Unavailable: Redis did not answer.
        """
        return self._ledger.outcome(self.operation_id)

    def state(self) -> State:
        """Return the operation's state. Raises as `outcome` does."""
        return self.outcome().state

    def wait(self, timeout: float = DEFAULT_TIMEOUT_S) -> Outcome:
        """Wait for a final state, and return the outcome. The wait survives a restart of Redis.

        Args:
            timeout: seconds.

        Raises:
            NotFinished: there was no final state in time. The operation continues.
            OperationNotFound: its record has expired, or it was never recorded.
            ProducerClosed: the producer was closed, before or during the wait.
            Unavailable: Redis did not answer.
        """
        answers: SimpleQueue[Answer] = SimpleQueue()
        with self.waiting(answers.put):
            try:
                return _opened(answers.get(timeout=max(timeout, 0.0)))
            except Empty:
                pass
        return self.final_look()

    @contextmanager
    def waiting(self, tell: Callable[[Answer], object]) -> Iterator[None]:
        """Wait inside the block. Another thread calls `tell` with the final outcome or an error.

        Raises:
            ProducerClosed: the producer is closed.
        """
        # Imported here, because an application that only sends should not load it.
        from gatepost.waits import Wait  # noqa: PLC0415

        wait = Wait(self.operation_id, self._lease.client, tell)
        self._lease.waits.join(wait)
        try:
            yield
        finally:
            self._lease.waits.leave(wait)

    def final_look(self) -> Outcome:
        """Return the outcome if it is final now. Raises as `wait` does."""
        outcome = self.outcome()
        if not outcome.state.is_terminal:
            raise NotFinished
        return outcome

    def result(self, timeout: float = DEFAULT_TIMEOUT_S) -> Outcome:
        """Wait like `wait`, and return an `accepted` outcome. Raise the typed error of any other final state.

        Raises:
            OperationFailed: it ended in another state. The subclass names the cause.
            NotFinished: there was no final state in time. The operation continues.
        """
        outcome = self.wait(timeout)
        outcome.raise_for_state()
        return outcome

    def redeem(self, timeout: float = DEFAULT_TIMEOUT_S) -> TokenSet:
        """Wait like `wait`, and return the login's token set, once: this call deletes it.

        Raises:
            MfaRequired: Auth0 asks for a second factor. `challenge` holds the MFA token, once.
            OperationFailed: the login ended in another state. `description` holds the message of an Action, once.
            NothingToRedeem: redeemed before, expired, or not a login; `why` says which.
            WrongRedeemToken: the handle has no redeem token, or that of another login. Nothing was deleted.
            NotFinished: there was no final state in time.
        """
        return self.open_result(self.wait(timeout))

    def open_result(self, outcome: Outcome) -> TokenSet:
        """Redeem the sealed result of a finished login; `redeem` waits for it first. Errors are those of `redeem`.

        Raises:
            SealError: it was changed, or another version wrote it.
        """
        # Imported here, because an application that only sends should not load it.
        from gatepost_core.outcomes import TokenSet  # noqa: PLC0415

        failure, token = outcome.failure(), self._redeem_token
        try:
            sealed = self._ledger.redeem(self.operation_id, "" if token is None else token.digest)
        except WrongRedeemToken as wrong:
            raise wrong if token else WrongRedeemToken(_ID_ALONE) from None
        except NothingToRedeem as nothing:
            if failure is None or (isinstance(failure, MfaRequired) and nothing.why is not Absence.NOT_A_LOGIN):
                raise
            raise failure from None
        redeemed = self._opened(sealed)
        if isinstance(redeemed, TokenSet):
            return redeemed
        raise _with_words(failure or MfaRequired(self.operation_id, Reason.MFA_REQUIRED, outcome.detail), redeemed)

    def look_at_result(self) -> Redeemable | None:
        """Return the result of a login without redeeming it; None if there is none, or the handle has no redeem token.

        Raises:
            SealError: the redeem token is that of another login, or the result was changed.
        """
        sealed = self._ledger.sealed_result(self.operation_id)
        return None if sealed is None or self._redeem_token is None else self._opened(sealed)

    def _opened(self, sealed: str) -> Redeemable:
        # Imported here, as above.
        from gatepost_core.content_key import ContentKey  # noqa: PLC0415
        from gatepost_core.outcomes import load_redeemable  # noqa: PLC0415

        if self._redeem_token is None:
            raise WrongRedeemToken(_ID_ALONE)
        return load_redeemable(ContentKey(self._redeem_token, self.operation_id).open(sealed))

    def cancel(self) -> bool:
        """Cancel the operation if no attempt has begun. Return whether it is cancelled."""
        answer = self._ledger.close(self.operation_id, State.CANCELLED, Reason.CANCELLED_BY_CALLER)
        return answer.state is State.CANCELLED


def _with_words(failure: OperationFailed, redeemed: MfaChallenge | Denial) -> OperationFailed:
    if isinstance(failure, MfaRequired) and redeemed.type == "mfa_challenge":
        failure.challenge = redeemed
    if isinstance(failure, Rejected) and redeemed.type == "denial":
        failure.description = redeemed.description
    return failure


@boundary
class AsyncHandle:
    """A `Handle` for asyncio."""

    def __init__(self, handle: Handle) -> None:
        self.operation_id = handle.operation_id
        self._handle = handle

    def __repr__(self) -> str:
        return f"AsyncHandle({self.operation_id!r})"

    @property
    def reference(self) -> str:
        """The operation's id, with the redeem token of a login. `AsyncProducer.handle` takes it back. Treat it as a password."""
        return self._handle.reference

    def waiting(self, tell: Callable[[Answer], object]) -> AbstractContextManager[None]:
        """Wait inside the block. Another thread calls `tell` with the final outcome or an error. Raises as `Handle.waiting` does."""
        return self._handle.waiting(tell)

    async def outcome(self) -> Outcome:
        """Return the operation's outcome so far. Raises as `Handle.outcome` does."""
        return await asyncio.to_thread(self._handle.outcome)

    async def state(self) -> State:
        """Return the operation's state. Raises as `Handle.outcome` does."""
        return (await self.outcome()).state

    async def wait(self, timeout: float = DEFAULT_TIMEOUT_S) -> Outcome:  # noqa: ASYNC109 - the same signature as Handle's
        """Wait for a final state, and return the outcome. Raises as `Handle.wait` does."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        with self._handle.waiting(partial(_tell, loop, answer)):
            try:
                async with asyncio.timeout(max(timeout, 0.0)):
                    return _opened(await answer)
            except TimeoutError:
                pass
        return await asyncio.to_thread(self._handle.final_look)

    async def result(self, timeout: float = DEFAULT_TIMEOUT_S) -> Outcome:  # noqa: ASYNC109 - as above
        """Wait, and return an `accepted` outcome. Raise the typed error of any other final state, as `Handle.result` does."""
        outcome = await self.wait(timeout)
        outcome.raise_for_state()
        return outcome

    async def redeem(self, timeout: float = DEFAULT_TIMEOUT_S) -> TokenSet:  # noqa: ASYNC109 - as above
        """Wait, and return the login's token set, once. Raises as `Handle.redeem` does."""
        outcome = await self.wait(timeout)
        return await asyncio.to_thread(self._handle.open_result, outcome)

    async def cancel(self) -> bool:
        """Cancel the operation if no attempt has begun. Return whether it is cancelled."""
        return await asyncio.to_thread(self._handle.cancel)


def _opened(answer: Answer) -> Outcome:
    """Return the outcome, or raise the error: a new one, because several waits can share it."""
    if isinstance(answer, GatepostError):
        raise type(answer)(*answer.args)
    return answer


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Answer], answer: Answer) -> None:
    # RuntimeError: the loop is closed, so nothing waits.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(_set, future, answer)


def _set(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)
