"""What an AgentOS says about authentication itself: what is kept, and what would stand beside ours and is refused."""

from __future__ import annotations

import os
from typing import Any

from agno.os import AgentOS
from agno.os.config import AuthorizationConfig
from agno.os.middleware.jwt import AuthMiddleware

from oidcbridge.asgi.middleware import GATE, GateMiddleware
from oidcbridge.errors import ConfigurationError

#: Stands where agno wants a key, and can never be one: nothing verifies against it.
INERT_KEY = "no key: oidcbridge verifies the tokens"
_KEY_VARIABLES = ("JWT_VERIFICATION_KEY", "JWT_JWKS_FILE")
_TWICE = "this AgentOS is protected already; for several issuers write issuers=[…] in one call"


def refuse_doubled(agent_os: AgentOS) -> None:
    """Raises `ConfigurationError` where something protects already, or where an open app has been made."""
    if "get_app" in vars(agent_os):
        raise ConfigurationError(_TWICE)
    if "dbs" in vars(agent_os):  # get_app sets it
        raise ConfigurationError(
            "this AgentOS has made an app already, which is open: call protect(agent_os, …) before get_app() and"
            " get_routes(), and use the app that it returns"
        )
    if getattr(agent_os, "public", None) is not None:
        raise ConfigurationError("AgentOS(public=…) decides by rules of its own who needs no token; leave it out")
    if agent_os.base_app is None:
        return
    if getattr(agent_os.base_app.state, GATE, None) is not None:
        raise ConfigurationError("base_app is protected already; protect the AgentOS alone, its layer covers base_app")
    for entry in agent_os.base_app.user_middleware:
        if isinstance(entry.cls, type) and issubclass(entry.cls, AuthMiddleware | GateMiddleware):
            raise ConfigurationError(
                f"base_app has {entry.cls.__name__} already; take it out, protect(agent_os, …) covers base_app"
            )


def refuse_other_keys(agent_os: AgentOS, control_plane_key: str | bytes | None) -> None:
    """Raises `ConfigurationError` where AgentOS was told by itself whom to believe."""
    config = agent_os.authorization_config
    if config is not None and (config.verification_keys or config.jwks_file):
        raise ConfigurationError(
            "this AgentOS has verification_keys or a jwks_file of its own, which protect() replaces; take them out (for"
            " the hosted control plane's key: control_plane_key=)"
        )
    if config is not None and (config.verify_audience or config.audience):
        raise ConfigurationError("say the audience to protect(audience=…), not to the AgentOS's authorization")
    if agent_os._authz_issuer is not None:
        raise ConfigurationError("say the issuer to protect(issuer_url=…), not to the AgentOS's authorization")
    if agent_os.mcp_auth is not None:
        for variable in _KEY_VARIABLES:
            if os.environ.get(variable) and os.environ[variable] != control_plane_key:
                raise ConfigurationError(
                    f"{variable} is set: with mcp_auth, AgentOS would let its tokens into /mcp. Unset it; for the"
                    " hosted control plane's tokens, give the same key as control_plane_key="
                )


def own_config(agent_os: AgentOS, *, isolated: bool) -> AuthorizationConfig:
    """AgentOS's own settings, with nothing that could verify."""
    config = agent_os.authorization_config or AuthorizationConfig()
    said: dict[str, Any] = {
        "verification_keys": [INERT_KEY],
        "algorithm": "RS256",
        "user_isolation": isolated or config.user_isolation,
    }
    return config.model_copy(update=said)
