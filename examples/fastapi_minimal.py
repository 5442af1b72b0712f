"""FastAPI behind an identity provider, in one line: every route needs a token, and this one a right.

.venv/bin/oidcbridge serve-idp                        # a provider to try it with, in another terminal
export OIDCBRIDGE_ISSUER_URL=http://127.0.0.1:8090 OIDCBRIDGE_AUDIENCE=agent-api
.venv/bin/uvicorn --app-dir examples fastapi_minimal:app
"""

from fastapi import FastAPI

from oidcbridge.fastapi import CurrentPrincipal, Dependencies, SessionId, UserId, protect, require_scopes

# The issuer and the audience come from the environment; protect(app, issuer_url="…", audience="…") names them here.
app = protect(FastAPI(title="Agents"), dependencies_claims=["email", "roles"])


@app.get("/whoami")
async def whoami(user_id: UserId, session_id: SessionId, dependencies: Dependencies) -> dict[str, object]:
    return {"user_id": user_id, "session_id": session_id, "dependencies": dependencies}


@app.post("/agents/{agent_id}/runs", dependencies=[require_scopes("agents:run")])
async def run(agent_id: str, principal: CurrentPrincipal) -> dict[str, str]:
    return {"agent": agent_id, "started_by": principal.user_id}
