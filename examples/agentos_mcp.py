"""An AgentOS whose agents are tools for other people's models: MCP at ``/mcp``, behind the same identity provider.

    pip install "oidcbridge[agno,cli]" openai
    oidcbridge serve-idp                                  # a provider to try it with, in another terminal
    export OIDCBRIDGE_ISSUER_URL=http://127.0.0.1:8090 OIDCBRIDGE_AUDIENCE=agent-api OPENAI_API_KEY=…
    uvicorn --app-dir examples agentos_mcp:app

A client without a token is told where to log in (RFC 9728). Tools know the ``user_id`` and the scopes decide which
agent may be run; a run's ``dependencies`` do not reach MCP, so a tool of your own asks ``current_principal()``.
"""

import os

from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.models.openai import OpenAIChat
from agno.os import AgentOS, MCPConfig
from agno.run import RunContext

from oidcbridge import Verifier
from oidcbridge.agentos import protect
from oidcbridge.mcp import OIDCTokenVerifier, current_principal


def whoami(run_context: RunContext) -> str:
    """Tell who is asking."""
    return f"user_id={run_context.user_id}"


def caller() -> dict[str, object]:
    """Tell who is connected, and by which provider's word."""
    principal = current_principal()
    return {"user_id": principal.user_id, "issuer": principal.claims["iss"], "scopes": principal.scopes}


db = SqliteDb(db_file="agents.db")
helper = Agent(id="helper", description="Answers questions", model=OpenAIChat(id="gpt-5-mini"), tools=[whoami], db=db)
verifier = Verifier()  # from OIDCBRIDGE_*

app = protect(
    AgentOS(
        agents=[helper],
        db=db,
        mcp=MCPConfig(tools=[helper.as_tool(name="ask_helper"), caller]),
        mcp_auth=OIDCTokenVerifier(verifier, base_url=os.environ.get("PUBLIC_URL", "http://127.0.0.1:8000")),
    ),
    verifier,
)
