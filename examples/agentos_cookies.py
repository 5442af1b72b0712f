"""An AgentOS for a page that has no token in its hands: the browser carries it, in a cookie no script can read.

    pip install "oidcbridge[agno,cli]" openai
    oidcbridge serve-idp                                  # a provider to try it with, in another terminal
    export OIDCBRIDGE_ISSUER_URL=http://127.0.0.1:8090 OIDCBRIDGE_AUDIENCE=agent-api OPENAI_API_KEY=…
    uvicorn --app-dir examples agentos_cookies:app

A browser sends a cookie with every request, also with one that another site's page makes. So a cookie starts a run, or
opens ``/workflows/ws``, only from our own origin, or from one that ``allowed_origins`` names.
"""

from typing import Annotated

from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.models.openai import OpenAIChat
from agno.os import AgentOS
from agno.run import RunContext
from agno.workflow import Step, Workflow
from fastapi import Body, FastAPI, Response

from oidcbridge import TokenSource, Verifier
from oidcbridge.agentos import protect

verifier = Verifier(dependencies_claims=["name", "email"])  # the rest from OIDCBRIDGE_*
pages = FastAPI()


@pages.post("/auth/session")
async def log_in(access_token: Annotated[str, Body(embed=True)], response: Response) -> dict[str, str]:
    """Put a verified token into the cookie. A bad one raises, and is answered 401."""
    principal = await verifier.verify(access_token)
    response.set_cookie("agent_token", access_token, httponly=True, secure=True, samesite="strict", path="/")
    return {"user_id": principal.user_id}


@pages.delete("/auth/session")
async def log_out(response: Response) -> None:
    response.delete_cookie("agent_token", httponly=True, secure=True, samesite="strict", path="/")


def whoami(run_context: RunContext) -> str:
    """Tell who is asking."""
    return f"user_id={run_context.user_id} name={(run_context.dependencies or {}).get('name')}"


db = SqliteDb(db_file="agents.db")
helper = Agent(id="helper", model=OpenAIChat(id="gpt-5-mini"), tools=[whoami], db=db)
briefing = Workflow(id="briefing", steps=[Step(name="ask", agent=helper)], db=db)

app = protect(
    AgentOS(agents=[helper], workflows=[briefing], db=db, base_app=pages),
    verifier,
    token_source=TokenSource.COOKIE,
    cookie_name="agent_token",
    allowed_origins=["https://ui.example.com"],
    excluded_route_paths=["/auth/*"],
    authorization=False,  # everyone who can log in may use everything; see agentos_rbac.py for who may what
)
