"""The OpenAPI 3.1 document: bodies that endpoints read themselves, problems, and the API key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi.openapi.utils import get_openapi

from gatepost.campaigns.creation import MOST_GUESTS
from gatepost_core.campaigns.model import Options
from gatepost_core.commands import COMMANDS
from gatepost_operations.web.api import schemas
from gatepost_operations.web.api.problems import MEDIA_TYPE, Type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi import FastAPI
    from pydantic import BaseModel

    from gatepost_core.kinds import Kind

_REF: Final = "#/components/schemas/{model}"
_KEY_SCHEME: Final = "apiKey"
_PUBLIC: Final = "/v1/health"
_MOST_ITEMS: Final = 1000
# Of every request with a key.
_ALWAYS: Final = (
    Type.NO_KEY,
    Type.NOT_ALLOWED,
    Type.INVALID,
    Type.QUOTA,
    Type.INTERNAL,
    Type.UNAVAILABLE,
    Type.MALFORMED,
)
_TEXTS: Final[dict[str, dict[str, Any]]] = {
    "email": {"type": "string", "format": "email", "maxLength": 254},
    "phone_number": {"type": "string", "description": "With its country code, such as +44…"},
    "code": {"type": "string", "minLength": 1},
    "redeem_token": {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"},
}
_FURTHER: Final[dict[str, Any]] = {}


def batch_body(kinds: Iterable[Kind]) -> dict[str, Any]:
    """Return the options of a route that takes one command of these kinds, or many."""
    one = {"oneOf": [{"$ref": _command(kind)} for kind in kinds]}
    # Items have no schema: a wrong one does not make the request wrong, but gets a problem as its result.
    many = {
        "type": "array",
        "items": {},
        "minItems": 1,
        "maxItems": _MOST_ITEMS,
        "description": "Items like a single one.",
    }
    accepted = {"oneOf": [{"$ref": shape(schemas.Accepted)}, {"$ref": shape(schemas.Results)}]}
    location = {"description": "The operation; absent for many items.", "schema": {"type": "string"}}
    return {
        "openapi_extra": {"requestBody": json_body({"anyOf": [*one["oneOf"], many]})},
        "responses": {
            202: {
                "description": "Recorded",
                "headers": {"Location": location},
                "content": {"application/json": {"schema": accepted}},
            },
            **problems(Type.RECORD_GONE, Type.TOO_LARGE, Type.MEDIA),
        },
    }


def campaign_body() -> dict[str, Any]:
    """Return the schema of a new campaign: its name, its guest list and its options."""
    schema = Options.model_json_schema(ref_template=_REF)
    _FURTHER.update(schema.pop("$defs", {}))
    properties = schema["properties"]
    del properties["guests"]
    properties["name"] = {"type": "string", "minLength": 1, "maxLength": 200}
    properties["guest_list"] = {"type": ["array", "null"], "items": {"type": "string"}, "maxItems": MOST_GUESTS}
    schema["required"] = ["name"]
    _FURTHER["NewCampaign"] = schema
    return {"$ref": _REF.format(model="NewCampaign")}


def model_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a body that a model reads."""
    schema = model.model_json_schema(ref_template=_REF)
    _FURTHER.update(schema.pop("$defs", {}))
    for described in schema["properties"].values():
        for one in described.get("anyOf", [described]):
            # A value that is given twice counts once.
            one.pop("uniqueItems", None)
    _FURTHER[model.__name__] = schema
    return {"$ref": _REF.format(model=model.__name__)}


def file_body(media_types: Iterable[str]) -> dict[str, Any]:
    """Return the description of an uploaded file."""
    text = {"schema": {"type": "string", "format": "binary"}}
    return {"required": True, "content": dict.fromkeys(sorted(media_types), text)}


def json_body(schema: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    """Return the description of a JSON body."""
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def shape(model: type[BaseModel]) -> str:
    """Return the reference of a shape, and put it into the document."""
    schema = model.model_json_schema(ref_template=_REF, mode="serialization")
    _FURTHER.update(schema.pop("$defs", {}))
    _FURTHER[model.__name__] = schema
    return _REF.format(model=model.__name__)


def answer(model: type[BaseModel], description: str = "Done") -> dict[str, Any]:
    """Return the description of a successful answer."""
    return {"description": description, "content": {"application/json": {"schema": {"$ref": shape(model)}}}}


def problems(*types: Type) -> dict[int | str, dict[str, Any]]:
    """Return the descriptions of answers with problems, by status."""
    content = {MEDIA_TYPE: {"schema": {"$ref": shape(schemas.ProblemDocument)}}}
    found: dict[int | str, dict[str, Any]] = {}
    for one in types:
        found.setdefault(one.value.status, {"description": one.value.title, "content": content})
    return found


def _command(kind: Kind) -> str:
    model = COMMANDS[kind]
    schema = model.model_json_schema(ref_template=_REF)
    _FURTHER.update(schema.pop("$defs", {}))
    properties = schema["properties"]
    for name, text in _TEXTS.items():
        if name in properties:
            properties[name] = text
    properties["kind"] = {"const": kind.value, "description": "May be left out."}
    properties["idempotency_key"] = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[ -~]+$"}
    _FURTHER[model.__name__] = schema
    return _REF.format(model=model.__name__)


def document(app: FastAPI) -> dict[str, Any]:
    """Return the document of the app."""
    found = get_openapi(title=app.title, version=app.version, routes=app.routes, openapi_version="3.1.0")
    components = found.setdefault("components", {})
    for name in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(name, None)
    for path, methods in found["paths"].items():
        for method in methods.values():
            if path != _PUBLIC:
                method["security"] = [{_KEY_SCHEME: []}]
                slow = (Type.TOO_SLOW,) if "requestBody" in method else ()
                for status, described in problems(*_ALWAYS, *slow).items():
                    method["responses"].setdefault(str(status), described)
                # FastAPI describes its own form of 422.
                method["responses"]["422"] = problems(Type.INVALID)[422]
    components.setdefault("schemas", {}).update(_FURTHER)
    components["securitySchemes"] = {_KEY_SCHEME: {"type": "http", "scheme": "bearer"}}
    return found
