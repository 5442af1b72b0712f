"""MCP: a FastMCP server behind an identity provider.

::

    from fastmcp import FastMCP

    from oidcbridge import Verifier
    from oidcbridge.mcp import OIDCTokenVerifier, current_principal

    verifier = Verifier(issuer_url="https://id.example.com/realms/acme", audience="agent-api")
    server = FastMCP("agents", auth=OIDCTokenVerifier(verifier, base_url="https://agents.example.com"))

    @server.tool
    def whoami() -> str:
        return current_principal().user_id

Needs fastmcp 4.0 or newer (``pip install "fastmcp>=4.0"``). Nothing in the front door imports this room.
"""

from oidcbridge.mcp.access_token import OIDCAccessToken, current_principal
from oidcbridge.mcp.token_verifier import OIDCTokenVerifier

__all__ = ["OIDCAccessToken", "OIDCTokenVerifier", "current_principal"]
