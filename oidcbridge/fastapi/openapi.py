"""The OpenAPI document of a protected app: who may log in where, and the 401, 403 and 503 answers.

The provider's endpoints come from discovery as it is known when the document is asked for: nothing waits, and until
discovery has been read the scheme is a plain bearer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from fastapi import FastAPI

from oidcbridge.asgi.gate import Gate
from oidcbridge.core.metadata import IssuerMetadata
from oidcbridge.fastapi.dependencies import SCHEME_NAME

_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"})
_ERROR_SCHEMA = "OIDCBridgeRefusal"
_ANSWERS = {
    "401": "No credential, or one that is not valid (RFC 6750)",
    "403": "The caller lacks a right that this needs",
    "503": "The identity provider cannot be reached; Retry-After says when to try again",
}


def install_openapi(app: FastAPI, gate: Gate, *, every_route: bool) -> None:
    """Make ``app.openapi()`` describe the protection. ``every_route``: also those that ask for no principal."""
    plain = app.openapi
    source: dict[str, Any] | None = None
    read: tuple[IssuerMetadata, ...] = ()
    described: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        nonlocal source, read, described
        schema = plain()  # FastAPI keeps it, and makes it anew where routes have been added
        known = gate.verifier.metadata() if gate.verifier else ()
        if schema is not source or known != read:
            fresh = deepcopy(schema)
            _describe(fresh, known, gate.settings.excluded if every_route else None, every_route=every_route)
            source, read, described = schema, known, fresh
        return described

    app.openapi = openapi  # type: ignore[method-assign]


def _describe(
    schema: dict[str, Any],
    known: tuple[IssuerMetadata, ...],
    excluded: re.Pattern[str] | None,
    *,
    every_route: bool,
) -> None:
    components = schema.setdefault("components", {})
    needed: dict[str, str] = {"openid": "Log in"}
    names = [SCHEME_NAME, *(f"{SCHEME_NAME}-{number}" for number in range(2, len(known) + 1))]
    for path, operation in _operations(schema):
        required = [item for item in operation.get("security", ()) if SCHEME_NAME in item]
        if not required and (not every_route or (excluded is not None and excluded.match(path))):
            continue
        scopes = sorted({scope for item in required for scope in item[SCHEME_NAME]})
        needed.update(dict.fromkeys(scopes, "Needed by some operations"))
        others = [item for item in operation.get("security", ()) if item.keys().isdisjoint(names)]
        operation["security"] = others + [{name: scopes} for name in names]
        for status, description in _ANSWERS.items():
            operation.setdefault("responses", {}).setdefault(status, _answer(description))
    components.setdefault("schemas", {})[_ERROR_SCHEMA] = _refusal_schema()
    schemes = components.setdefault("securitySchemes", {})
    schemes[SCHEME_NAME] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    for name, metadata in zip(names, known, strict=False):
        schemes[name] = _scheme(metadata, needed)


def _operations(schema: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in schema.get("paths", {}).items():
        for method, operation in item.items():
            if method in _METHODS:
                yield path, operation


def _scheme(metadata: IssuerMetadata, scopes: Mapping[str, str]) -> dict[str, Any]:
    if not metadata.authorization_endpoint or not metadata.token_endpoint:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    flow = {
        "authorizationUrl": metadata.authorization_endpoint,
        "tokenUrl": metadata.token_endpoint,
        "scopes": dict(scopes),
    }
    return {"type": "oauth2", "description": metadata.issuer, "flows": {"authorizationCode": flow}}


def _answer(description: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{_ERROR_SCHEMA}"}}}
    return {"description": description, "content": content}


def _refusal_schema() -> dict[str, Any]:
    texts = {"detail": "For people", "error": "The RFC 6750 error", "code": "A stable word for programs"}
    return {
        "title": "Refusal",
        "type": "object",
        "required": ["detail"],
        "properties": {name: {"type": "string", "description": text} for name, text in texts.items()},
    }
