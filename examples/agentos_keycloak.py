"""An AgentOS behind the local Keycloak (``make keycloak``): REST, streams and the workflows' WebSocket alike.

    make keycloak
    pip install "oidcbridge[agno,cli]" openai
    export OPENAI_API_KEY=…                               # OPENAI_BASE_URL names another server of that API
    uvicorn --app-dir examples agentos_keycloak:app --port 8000

Open http://127.0.0.1:8000/docs, press Authorize, log in as ada (password ada-pw). Or at a shell:

    TOKEN=$(oidcbridge token --issuer http://127.0.0.1:8080/realms/agents --client-id agent-ui)
    curl -H "Authorization: Bearer $TOKEN" -F message="Who am I?" http://127.0.0.1:8000/agents/helper/runs
"""

import os

from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.models.openai import OpenAIChat
from agno.os import AgentOS
from agno.run import RunContext
from agno.workflow import Step, Workflow

from oidcbridge.agentos import protect


def whoami(run_context: RunContext) -> str:
    """Tell who is asking."""
    # From the verified token; what a client sends in their place does not come here.
    caller = run_context.dependencies or {}
    return f"user_id={run_context.user_id} name={caller.get('name')} roles={caller.get('roles')}"


db = SqliteDb(db_file="agents.db")
helper = Agent(id="helper", model=OpenAIChat(id="gpt-5-mini"), tools=[whoami], db=db)
briefing = Workflow(id="briefing", steps=[Step(name="ask", agent=helper)], db=db)

app = protect(
    AgentOS(agents=[helper], workflows=[briefing], db=db),
    issuer_url=os.environ.get("KEYCLOAK_ISSUER_URL", "http://127.0.0.1:8080/realms/agents"),
    audience="agent-api",
    dependencies_claims=["name", "email", "roles"],
    scopes_from={
        "roles:agent-user": ["agents:read", "agents:run", "workflows:read", "workflows:run", "sessions:read"],
        "roles:agent-admin": ["agent_os:admin"],
    },
    swagger_client_id="agent-ui",
)
