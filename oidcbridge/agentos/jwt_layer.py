"""The layer behind `JWTMiddleware`, made at the first connection, when the app it stands on is known."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, cast

from agno.os.middleware.jwt import AuthMiddleware
from starlette.applications import Starlette
from starlette.types import ASGIApp

from oidcbridge.agentos.callers import Callers
from oidcbridge.agentos.injection import Injection, read_injection
from oidcbridge.agentos.jwt_arguments import http_arguments, unverified_arguments, verifier_arguments
from oidcbridge.agentos.jwt_verifier import make_verifier
from oidcbridge.agentos.layer import AgentOSLayer, Wiring
from oidcbridge.agentos.neighbours import (
    let_pass,
    refuse_neighbours,
    refuse_other_keys_for_mcp,
    refuse_other_paths,
    say_that_we_verify,
)
from oidcbridge.agentos.own_settings import INERT_KEY
from oidcbridge.agentos.scopes import Grants
from oidcbridge.agentos.surface import check_surfaces
from oidcbridge.agentos.unverified import NoValidator, UnverifiedLayer
from oidcbridge.agentos.validator import TokenValidator
from oidcbridge.arguments import MiddlewareArguments, read_claim_names
from oidcbridge.asgi.middleware import build_gate
from oidcbridge.errors import ConfigurationError
from oidcbridge.verifier import Verifier


def build_layer(ours: AuthMiddleware, owner: object, said: Mapping[str, Any]) -> ASGIApp:
    """The layer that works for ``ours`` on the app ``owner``; ``said``: the constructor's arguments.

    Raises `ConfigurationError`.
    """
    check_surfaces()
    if not isinstance(owner, Starlette):
        raise ConfigurationError(
            "JWTMiddleware stands on an AgentOS's app or on a FastAPI app: app.add_middleware(JWTMiddleware, …)"
        )
    isolated = bool(said["user_isolation"] or getattr(owner.state, "user_isolation_enabled", False))
    authorizes = said["scope_mappings"] is not None if said["authorization"] is None else bool(said["authorization"])
    refuse_neighbours(owner, type(ours), verifies=said["validate"], authorizes=authorizes)
    refuse_other_paths(owner, type(ours))
    if said["validate"] is False:
        if authorizes or isolated:
            raise ConfigurationError(
                "validate=False and authorization or user_isolation exclude each other: whoever calls chooses who to be"
                " and what to be allowed"
            )
        return _unverified(ours.app, owner, said)
    callers = _callers(owner, said)
    refuse_other_keys_for_mcp(owner, callers.gate, os.environ)
    wiring = Wiring(callers, TokenValidator(callers), has_mcp_provider=True, entrance="JWTMiddleware")
    layer = _verified(ours.app, wiring, _for_agno(owner, said, isolated=isolated, authorizes=authorizes))
    _find_validator(owner, wiring.validator)
    owner.state.admin_scope, owner.state.user_isolation_enabled = layer.admin_scope, isolated
    let_pass(owner, ours)
    say_that_we_verify(owner, type(ours))
    return layer


def _find_validator(owner: Starlette, validator: object) -> None:
    """agno's WebSocket finds a validator here, or knows only its own class among the layers and lets everybody in."""
    owner.state.jwt_validator = validator
    owner.state.jwt_verify_audience, owner.state.jwt_audience = False, None


def _callers(owner: Starlette, said: Mapping[str, Any]) -> Callers:
    arguments = verifier_arguments(said, getattr(owner.state, "agent_os_id", None), os.environ)
    http = http_arguments(said)
    if said["verifier"] is None:
        verifier = make_verifier(arguments, issuer=said["issuer"], audience_claim=said["audience_claim"])
        gate = build_gate(verifier, cast(MiddlewareArguments, http))
    else:
        if said["issuer"] is not None:
            raise ConfigurationError("verifier= and issuer= exclude each other; give it to Verifier(issuer_url=…)")
        gate = build_gate(said["verifier"], cast(MiddlewareArguments, {**arguments, **http}))
    verifier = cast(Verifier, gate.verifier)
    return Callers(
        gate=gate,
        verifier=verifier,
        control_gate=None,
        grants=Grants(said["scopes_from"]),
        injection=read_injection(verifier, said["metadata_claims"]),
    )


def _for_agno(owner: Starlette, said: Mapping[str, Any], *, isolated: bool, authorizes: bool) -> dict[str, Any]:
    """What agno's own layer is told: nothing that could verify, and all that it decides by."""
    mappings = said["scope_mappings"]
    if authorizes:  # what AgentOS's interfaces need, which their paths alone do not tell
        mappings = {**getattr(owner.state, "scope_mappings", {}), **(mappings or {})}
    arguments = {
        "verification_keys": [INERT_KEY],
        "authorization": authorizes,
        "scope_mappings": mappings,
        "admin_scope": said["admin_scope"],
        "user_isolation": isolated,
        "service_account_verifier": said["service_account_verifier"],
    }
    if said["cors_origin_policy"] is not None:  # unknown to older ones
        arguments["cors_origin_policy"] = said["cors_origin_policy"]
    return arguments


def _verified(app: ASGIApp, wiring: Wiring, arguments: Mapping[str, Any]) -> AgentOSLayer:
    try:
        return AgentOSLayer(app, wiring=wiring, **arguments)
    except ValueError as error:  # it reads a file that its environment names
        raise ConfigurationError(f"AgentOS refuses its own settings: {error}") from None


def _unverified(app: ASGIApp, owner: Starlette, said: Mapping[str, Any]) -> UnverifiedLayer:
    """The same for ``validate=False``."""
    gate = build_gate(said["verifier"], unverified_arguments(said))
    names = {
        name: read_claim_names(said[name] or (), name)
        for name in ("dependencies_claims", "session_state_claims", "metadata_claims")
    }
    injection = Injection(
        frozenset(names["dependencies_claims"]),
        frozenset(names["session_state_claims"]),
        dict(names["metadata_claims"]),
    )
    layer = UnverifiedLayer(app, gate, injection, owner)
    _find_validator(owner, NoValidator())
    return layer
