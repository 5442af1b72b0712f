"""An agent service behind the local Keycloak (``make keycloak``), with a Swagger UI that logs in.

    make keycloak
    .venv/bin/uvicorn --app-dir examples keycloak:app --port 8000

Open http://127.0.0.1:8000/docs, press Authorize, log in as ada (password ada-pw). Or at a shell:

    TOKEN=$(.venv/bin/oidcbridge token --issuer http://127.0.0.1:8080/realms/agents --client-id agent-ui)
    curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8000/whoami
"""

import os

from fastapi import FastAPI

from oidcbridge import FetchOptions
from oidcbridge.fastapi import CurrentPrincipal, protect, require_roles, require_scopes

# In docker/compose.yml browsers and tokens say 127.0.0.1, and this service reaches Keycloak by its container's name.
# Plain http is let through to that name alone, which only the compose network knows: what is sent stays on this
# machine, and nobody but the file's own containers is on the way. On any other network somebody may be, and could
# install signing keys: use https there, and leave insecure_allow_http out.
discovery_url = os.environ.get("KEYCLOAK_DISCOVERY_URL")
inside_compose = discovery_url is not None and discovery_url.startswith("http://keycloak:8080/")

app = protect(
    FastAPI(title="Agents"),
    issuer_url=os.environ.get("KEYCLOAK_ISSUER_URL", "http://127.0.0.1:8080/realms/agents"),
    discovery_url=discovery_url,
    fetch=FetchOptions(insecure_allow_http=inside_compose),
    audience="agent-api",
    dependencies_claims=["name", "email", "roles", "groups"],
    session_state_claims=["tenant"],
    tenant_claim="tenant",
    swagger_client_id="agent-ui",
)


@app.get("/whoami")
async def whoami(principal: CurrentPrincipal) -> dict[str, object]:
    return {
        "user_id": principal.user_id,
        "kind": principal.kind,
        "session_id": principal.session_id,
        "tenant": principal.tenant,
        "scopes": principal.scopes,
        "roles": principal.roles,
        "groups": principal.groups,
        "dependencies": dict(principal.dependencies),
        "session_state": dict(principal.session_state),
    }


@app.post("/agents/{agent_id}/runs", dependencies=[require_scopes("agents:run")])
async def run(agent_id: str, principal: CurrentPrincipal) -> dict[str, str]:
    return {"agent": agent_id, "started_by": principal.user_id}


@app.delete("/agents/{agent_id}", dependencies=[require_roles("agent-admin")])
async def delete(agent_id: str) -> dict[str, str]:
    return {"deleted": agent_id}
