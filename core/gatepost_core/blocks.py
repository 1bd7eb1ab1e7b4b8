"""Blocks: the reasons why a worker cannot run an operation or batch. It goes back to the queue, and nothing is sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.errors import ConfigurationError, NewerForm, SealError, TenantMissing, UnknownKey, WrongApplication

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepost_core.errors import GatepostError

ACCEPT_OPERATIONS: Final = "gatepost tenants accept NAME"
"""The command that sends open operations through another Auth0 application."""
_LONGEST_DETAIL: Final = 200


class BlockKind(StrEnum):
    """The kinds of blocks."""

    WRONG_APPLICATION = "wrong_application"
    TENANT_MISSING = "tenant_missing"
    KEY_MISSING = "key_missing"
    UNUSABLE = "unusable"
    DAMAGED = "damaged"
    NEWER_FORM = "newer_form"


_SENTENCES: Final[dict[BlockKind, str]] = {
    BlockKind.WRONG_APPLICATION: (
        "It is for {detail}. Run workers for that application, or, if the client id or domain was changed on purpose: {way_out}"
    ),
    BlockKind.TENANT_MISSING: "The workers have no tenant named {detail}. Add it to their configuration and restart them.",
    BlockKind.KEY_MISSING: (
        "The workers lack the sealing key {detail}. Add it to their GATEPOST_SEALING_KEYS and restart them."
    ),
    BlockKind.UNUSABLE: "The workers' configuration of the tenant is unusable: {detail}",
    BlockKind.DAMAGED: "It cannot be opened: {detail} Cancel it, or repair it: see docs/how-to/runbook/blocked-operations.md.",
    BlockKind.NEWER_FORM: "A newer version of Gatepost wrote it in a form that the workers do not know. Upgrade them.",
}


@dataclass(frozen=True, slots=True)
class Block:
    """One block, and the batches that it concerns.

    Attributes:
        kind: the kind of block.
        detail: a tenant's name, a key's id, applications, or the damage. Never a person.
        batches: numbers of a campaign's batches; empty for a single operation, and for a block that no worker has reported.
        at: when a worker last reported it.
    """

    kind: BlockKind
    detail: str
    batches: tuple[int, ...] = ()
    at: datetime | None = None

    def sentence(self, way_out: str) -> str:
        """Return the cause and the way out as a sentence.

        Args:
            way_out: the command that accepts the other application.
        """
        return _SENTENCES[self.kind].format(detail=self.detail, way_out=way_out)

    @property
    def stored(self) -> str:
        """The block as records store it."""
        return f"{self.kind} {self.detail}"

    def as_json(self, way_out: str) -> dict[str, Any]:
        """Return the block as JSON values."""
        return {
            "kind": self.kind.value,
            "detail": self.detail,
            "batches": list(self.batches),
            "at": self.at and self.at.isoformat(),
            "advice": self.sentence(way_out),
        }


def block_of(failure: GatepostError) -> Block:  # noqa: PLR0911 - one return for each kind
    """Return the block for the error that stopped a worker."""
    match failure:
        case WrongApplication():
            return Block(BlockKind.WRONG_APPLICATION, failure.applications)
        case TenantMissing():
            return Block(BlockKind.TENANT_MISSING, failure.tenant)
        case NewerForm():
            return Block(BlockKind.NEWER_FORM, "")
        case UnknownKey():
            return Block(BlockKind.KEY_MISSING, failure.kid)
        case ConfigurationError():
            return Block(BlockKind.UNUSABLE, str(failure)[:_LONGEST_DETAIL])
        case SealError():
            return Block(BlockKind.DAMAGED, str(failure)[:_LONGEST_DETAIL])
        case _:
            return Block(BlockKind.DAMAGED, "This version does not know its format.")


def read_block(stored: str) -> Block | None:
    """Read `Block.stored`. Return None for the text of another version."""
    kind, _, detail = stored.partition(" ")
    return Block(BlockKind(kind), detail) if kind in set(BlockKind) else None


def read_blocks(stored: Mapping[str, str]) -> tuple[Block, ...]:
    """Return a campaign's blocks, with equal ones combined. A field is a batch's number, its value `MILLISECONDS KIND DETAIL`."""
    together: dict[tuple[BlockKind, str], list[tuple[int, int]]] = {}
    for batch, text in stored.items():
        at, _, rest = text.partition(" ")
        block = read_block(rest)
        if block is not None and batch.isdecimal() and at.isdecimal():
            together.setdefault((block.kind, block.detail), []).append((int(batch), int(at)))
    return tuple(
        Block(
            kind,
            detail,
            tuple(sorted(batch for batch, _ in met)),
            datetime.fromtimestamp(max(at for _, at in met) / 1000, UTC),
        )
        for (kind, detail), met in together.items()
    )
