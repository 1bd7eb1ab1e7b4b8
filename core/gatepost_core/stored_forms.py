"""Every form in which Gatepost stores a value, with its number: the list for `gatepost doctor`, the documentation and the tests.

A value in the first form carries no number. A later form carries its number at the place that `mark` names, so that a reader of an earlier
version refuses it and leaves it as it is. See `docs/how-to/upgrade.md` for the change of a form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gatepost_core.broker.messages import MESSAGE_VERSION
from gatepost_core.campaigns.batch import ROWS_FORM
from gatepost_core.webhooks.events import STORED_VERSION

LIMITER_FORM: Final = 4
"""The number in `limiter/state.lua`."""


@dataclass(frozen=True, slots=True)
class StoredForm:
    """One form.

    Attributes:
        name: the kind of value, as `gatepost doctor` shows it.
        number: the form that this version writes. It reads this form and the earlier ones.
        mark: where a later form has its number.
        newer: the effect of a later form on a reader.
    """

    name: str
    number: int
    mark: str
    newer: str


FORMS: Final = (
    StoredForm(
        "messages",
        MESSAGE_VERSION,
        "in the argument `version`",
        "The message becomes a dead letter. If the message contains only an id, the reconciler publishes a new message. If it contains a command, the sender gets an error.",
    ),
    StoredForm(
        "operations",
        1,
        "in the field `form`",
        "The operation's message goes back to the queue. The operation does not change, and callers cannot read the tokens of a login.",
    ),
    StoredForm(
        "commands",
        1,
        "in the member `form` of the encrypted JSON",
        "The operation's message goes back to the queue. The operation's status shows `newer_form`.",
    ),
    StoredForm(
        "idempotency keys",
        1,
        "in the field `form`",
        "A call with this idempotency key fails with `NewerForm`.",
    ),
    StoredForm(
        "campaigns",
        1,
        "in the field `form`. An unknown option in `options` also shows a later form",
        "The campaign does not change, and calls for this campaign fail with `NewerForm`. Its batches wait for a newer version.",
    ),
    StoredForm(
        "rows",
        ROWS_FORM,
        "in the first column of the encrypted rows. An unknown letter in the field `states`, which has one letter per row, also means a later form",
        "The batch waits for a newer version. The campaign's status shows `newer_form` or `damaged`.",
    ),
    StoredForm(
        "lists of recipients",
        1,
        "in the field `index_form`",
        "Gatepost cannot read or change the list. If it is the suppression list, campaigns send nothing.",
    ),
    StoredForm(
        "dead letters",
        1,
        "in the field `form`",
        "Operators can list the dead letter, but cannot open, search or replay it.",
    ),
    StoredForm(
        "webhook endpoints",
        1,
        "in the member `form` of the encrypted JSON",
        "The endpoint gets no events, and its events wait.",
    ),
    StoredForm(
        "events for webhooks",
        int(STORED_VERSION),
        "in the field `v`",
        "The event waits for a newer version.",
    ),
    StoredForm(
        "audit entries",
        1,
        "in the member `form` of the JSON",
        "`gatepost audit` fails and says that a newer version wrote the entry. Gatepost still adds new entries.",
    ),
    StoredForm(
        "tenants",
        1,
        "no number: form 1 is the text `client_id@domain`, and later forms are JSON",
        "The tenant's operations and batches go back to their queues.",
    ),
    StoredForm(
        "limiter",
        LIMITER_FORM,
        "at the start of the value",
        "Gatepost sends nothing for the tenant. Its operations and batches go back to their queues.",
    ),
)
"""The forms that can change. `docs/reference/stored-forms.md` names their keys."""
