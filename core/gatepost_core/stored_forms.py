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
        newer: what a reader does with a later form.
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
        "The worker keeps the message as a dead letter. A submission gets an error as its answer. The reconciler publishes the operation or batch again.",
    ),
    StoredForm(
        "operations",
        1,
        "the field `form`",
        "The message goes back to its queue. No call changes the operation, and its result cannot be redeemed.",
    ),
    StoredForm(
        "commands",
        1,
        "the member `form` of the sealed JSON",
        "The operation goes back to its queue and is shown as blocked, `newer_form`.",
    ),
    StoredForm(
        "idempotency keys",
        1,
        "the field `form`",
        "The command is not recorded, and the caller gets `NewerForm`.",
    ),
    StoredForm(
        "campaigns",
        1,
        "the field `form`, or an unknown member of `options`",
        "The campaign does not change, and commands on it fail with `NewerForm`. A newer version publishes its batches again.",
    ),
    StoredForm(
        "rows",
        ROWS_FORM,
        "the first column of the sealed rows, or an unknown letter in `states`",
        "The batch waits and is shown as blocked, `newer_form` or `damaged`.",
    ),
    StoredForm(
        "lists of recipients",
        1,
        "the field `index_form`",
        "No entry is read or written. Nothing is sent while the suppression list cannot be read.",
    ),
    StoredForm(
        "dead letters",
        1,
        "the field `form`",
        "The letter is listed. It cannot be opened, searched or replayed.",
    ),
    StoredForm(
        "webhook endpoints",
        1,
        "the member `form` of the sealed JSON",
        "Nothing is sent to the endpoint. Its events wait.",
    ),
    StoredForm(
        "events for webhooks",
        int(STORED_VERSION),
        "the field `v`",
        "The event is not sent, and waits for a newer worker.",
    ),
    StoredForm(
        "audit entries",
        1,
        "the member `form`",
        "`gatepost audit` fails and names the newer version. Further entries are appended.",
    ),
    StoredForm(
        "tenants",
        1,
        "JSON instead of the text `client_id@domain`",
        "Workers put operations and batches back.",
    ),
    StoredForm(
        "limiter",
        LIMITER_FORM,
        "the first number of the value",
        "Nothing is sent for the tenant. Operations and batches go back to their queues.",
    ),
)
"""The forms that can change. `docs/reference/stored-forms.md` names their keys, and the keys that have no form."""
