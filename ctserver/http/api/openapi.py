"""The description of the API (OpenAPI 3.1), made of the operations and their models."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ctserver import __version__
from ctserver.domain.rights import Right
from ctserver.http.api import models
from ctserver.http.api.registry import OPERATIONS, Nothing, Operation
from ctserver.http.rights import ROUTES

_REF = "#/components/schemas/{model}"
_PATHS = {"id": "[0-9a-z]{1,40}", "number": "[+0-9 ()-]{1,40}", "name": "[a-z0-9_.-]{1,100}"}
_FAULTS = {
    400: "something in the query is not what it should be, or the request cannot be read",
    401: "no token, or one that is not good any more",
    403: "the token has not this right",
    404: "there is no such thing, or not for this token",
    409: "not as things stand",
    429: "too many requests; Retry-After says when to go on",
    503: "not now",
}


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    paths["/api/v1/events"] = {"get": _events()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ctserver",
            "version": __version__,
            "description": "Calls, what brought them, and the visitors behind them. Tokens are made on the page Account.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer ct_..."},
                "query": {"type": "apiKey", "in": "query", "name": "api_key", "description": "for reading only"},
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    right = ROUTES[f"{operation.method} {operation.path}"]
    body = operation.body is not Nothing
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.part],
        "description": f"Takes the right `{right.value}`.",
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation.takes)],
        "responses": {"200": _good(operation), **_faults((413, 415, 422) if body else ())},
    }
    if operation.method == "GET":
        described["security"] = [{"token": []}, {"query": []}]
    if body:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": _REF.format(model=operation.body.__name__)}}},
        }
    return described


def _events() -> dict[str, Any]:
    return {
        "operationId": "events",
        "summary": "Calls as they change (server-sent events)",
        "tags": ["Calls"],
        "description": f"Takes the right `{Right.CALLS}`. `event: call`, `data:` a Call. Last-Event-ID goes on where you were.",
        "parameters": [{"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}}],
        "responses": {"200": {"description": "the stream", "content": {"text/event-stream": {}}}, **_faults(())},
    }


def _good(operation: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {operation.kind: {}}
    if operation.gives is not None:
        content = {operation.kind: {"schema": {"$ref": _REF.format(model=operation.gives.__name__)}}}
    return {"description": "as asked", "content": content}


def _faults(more: tuple[int, ...]) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}}
    words = {**_FAULTS, **dict.fromkeys(more, "the body is not what it should be")}
    return {str(status): {"description": text, "content": content} for status, text in sorted(words.items())}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": f"^{_PATHS[name]}$"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema(mode="validation")
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": part.get("description", ""),
            "schema": {key: value for key, value in part.items() if key not in ("title", "description")},
        }
        for name, part in schema.get("properties", {}).items()
    ]


def _schemas() -> dict[str, Any]:
    given = {operation.gives for operation in OPERATIONS if operation.gives is not None}
    taken = {operation.body for operation in OPERATIONS if operation.body is not Nothing}
    wanted = [
        *((model, "serialization") for model in given | {models.Problem}),
        *((model, "validation") for model in taken),
    ]
    _named, schema = models_json_schema(sorted(wanted, key=lambda pair: pair[0].__name__), ref_template=_REF)  # type: ignore[arg-type]
    found: dict[str, Any] = schema["$defs"]
    return found
