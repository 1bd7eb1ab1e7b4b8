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
        "the argument `version`",
        "The message becomes a dead letter. The reconciler publishes a new message, except for a submission: its sender gets an error.",
    ),
    StoredForm(
        "operations",
        1,
        "the field `form`",
        "The operation's message goes back to the queue. The operation does not change, and its result cannot be redeemed.",
    ),
    StoredForm(
        "commands",
        1,
        "the member `form` of the sealed JSON",
        "The operation goes back to the queue. Its status shows `newer_form`.",
    ),
    StoredForm(
        "idempotency keys",
        1,
        "the field `form`",
        "A command with this idempotency key is not recorded. The caller gets `NewerForm`.",
    ),
    StoredForm(
        "campaigns",
        1,
        "the field `form`, or an unknown member of `options`",
        "The campaign does not change, and calls for this campaign fail with `NewerForm`. Its batches wait for a newer worker.",
    ),
    StoredForm(
        "rows",
        ROWS_FORM,
        "the first column of the sealed rows, or an unknown letter in `states`",
        "The batch waits for a newer worker. The campaign's status shows `newer_form` or `damaged`.",
    ),
    StoredForm(
        "lists of recipients",
        1,
        "the field `index_form`",
        "The list cannot be read or changed. If it is the suppression list, campaigns send nothing.",
    ),
    StoredForm(
        "dead letters",
        1,
        "the field `form`",
        "The dead letter is listed, but cannot be opened, searched or replayed.",
    ),
    StoredForm(
        "webhook endpoints",
        1,
        "the member `form` of the sealed JSON",
        "The endpoint gets nothing, and its events wait.",
    ),
    StoredForm(
        "events for webhooks",
        int(STORED_VERSION),
        "the field `v`",
        "The event waits for a newer worker.",
    ),
    StoredForm(
        "audit entries",
        1,
        "the member `form`",
        "`gatepost audit` fails and says that a newer version wrote the entry. New entries are still recorded.",
    ),
    StoredForm(
        "tenants",
        1,
        "JSON instead of the text `client_id@domain`",
        "The tenant's operations and batches go back to their queues.",
    ),
    StoredForm(
        "limiter",
        LIMITER_FORM,
        "the first number of the value",
        "Nothing is sent for the tenant. Its operations and batches go back to their queues.",
    ),
)
"""The forms that can change. `docs/reference/stored-forms.md` names their keys, and the keys that have no form."""
