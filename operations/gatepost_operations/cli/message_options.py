"""The options of a message, which single sends and campaigns share."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, Final

import typer

from gatepost_core.commands import OnUnknown
from gatepost_operations.cli.inputs import json_object
from gatepost_operations.cli.options import LanguageOption

OnUnknownOption = Annotated[
    OnUnknown,
    typer.Option(
        "--on-unknown",
        help="If Auth0's answer is lost, do not send again (hold), or send again (resend). A second message voids the first code.",
    ),
]
_JSON: Final = frozenset({"auth_params"})


@dataclass(frozen=True, kw_only=True)
class MessageOptions:
    """The options of `gatepost_core.message_fields.MessageFields`. In a campaign, a recipient's own value is stronger."""

    language: LanguageOption = None
    auth_params: Annotated[
        str | None,
        typer.Option(
            "--auth-params",
            metavar="JSON|@FILE",
            help="authParams of the request, such as scope and redirect_uri.",
        ),
    ] = None

    def message_fields(self) -> dict[str, Any]:
        """Return them as commands and campaigns take them. Errors are those of `json_object`."""
        given = {field.name: getattr(self, field.name) for field in fields(MessageOptions)}
        return {name: json_object(value, name) if name in _JSON else value for name, value in given.items()}
