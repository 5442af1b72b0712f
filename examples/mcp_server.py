"""A FastMCP server behind an identity provider: its tools know who calls them, and clients find where to log in.

.venv/bin/pip install "fastmcp>=4.0"
.venv/bin/oidcbridge serve-idp                        # a provider to try it with, in another terminal
export OIDCBRIDGE_ISSUER_URL=http://127.0.0.1:8090 OIDCBRIDGE_AUDIENCE=agent-api
.venv/bin/uvicorn --app-dir examples mcp_server:app
"""

from fastmcp import FastMCP
from fastmcp.server.auth import require_scopes

from oidcbridge import Verifier
from oidcbridge.mcp import OIDCTokenVerifier, current_principal

# The issuer and the audience come from the environment; Verifier(issuer_url="…", audience="…") names them here.
# base_url is the address that clients use: metadata and challenges name it (RFC 9728).
server = FastMCP("Agents", auth=OIDCTokenVerifier(Verifier(), base_url="http://127.0.0.1:8000"))


@server.tool
def whoami() -> dict[str, object]:
    """Tell who is calling."""
    principal = current_principal()
    return {"user_id": principal.user_id, "scopes": principal.scopes, "roles": principal.roles}


@server.tool(auth=require_scopes("agents:run"))
def run(agent_id: str) -> str:
    """Run an agent, for callers with the scope ``agents:run``; nobody else sees this tool."""
    return f"{agent_id}, started by {current_principal().user_id}"


app = server.http_app()
