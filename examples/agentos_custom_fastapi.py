"""An AgentOS inside a FastAPI app of your own: one line protects both, and your routes know the caller too.

    pip install "oidcbridge[agno,cli]" openai
    oidcbridge serve-idp                                  # a provider to try it with, in another terminal
    export OIDCBRIDGE_ISSUER_URL=http://127.0.0.1:8090 OIDCBRIDGE_AUDIENCE=agent-api OPENAI_API_KEY=…
    uvicorn --app-dir examples agentos_custom_fastapi:app

Every route of yours needs a token as well, but for those that ``excluded_route_paths`` names.
"""

from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.models.openai import OpenAIChat
from agno.os import AgentOS
from agno.run import RunContext
from fastapi import FastAPI

from oidcbridge.agentos import protect
from oidcbridge.fastapi import CurrentPrincipal, require_scopes

shop = FastAPI(title="Shop")


@shop.get("/status")
async def status() -> dict[str, str]:
    return {"status": "open"}


@shop.get("/account")
async def account(principal: CurrentPrincipal) -> dict[str, object]:
    return {"user_id": principal.user_id, "scopes": principal.scopes}


@shop.delete("/orders/{order_id}", dependencies=[require_scopes("agents:run")])
async def cancel(order_id: str) -> dict[str, str]:
    return {"cancelled": order_id}


def whoami(run_context: RunContext) -> str:
    """Tell who is asking."""
    return f"user_id={run_context.user_id} email={(run_context.dependencies or {}).get('email')}"


db = SqliteDb(db_file="agents.db")
clerk = Agent(id="clerk", model=OpenAIChat(id="gpt-5-mini"), tools=[whoami], db=db)

# The issuer and the audience come from the environment; protect(…, issuer_url="…", audience="…") names them here.
app = protect(
    AgentOS(agents=[clerk], db=db, base_app=shop),
    dependencies_claims=["email"],
    excluded_route_paths=["/status"],
)
