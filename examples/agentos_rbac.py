"""Who may use which agent: the provider's roles and groups become AgentOS's scopes.

    make keycloak
    pip install "oidcbridge[agno,cli]" openai
    export OPENAI_API_KEY=…
    uvicorn --app-dir examples agentos_rbac:app --port 8000

ada (password ada-pw) is of the group ``/engineering/platform`` and runs both agents; bob (bob-pw) has neither role nor
group, and is answered 403 with the scope he lacks. What the service logs of it says which line to write here.
"""

import os

from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.models.openai import OpenAIChat
from agno.os import AgentOS
from agno.run import RunContext

from oidcbridge.agentos import protect


def whoami(run_context: RunContext) -> str:
    """Tell who is asking."""
    return f"user_id={run_context.user_id} groups={(run_context.dependencies or {}).get('groups')}"


db = SqliteDb(db_file="agents.db")
helper = Agent(id="helper", model=OpenAIChat(id="gpt-5-mini"), tools=[whoami], db=db)
operator = Agent(id="operator", model=OpenAIChat(id="gpt-5-mini"), tools=[whoami], db=db)

app = protect(
    AgentOS(agents=[helper, operator], db=db),
    issuer_url=os.environ.get("KEYCLOAK_ISSUER_URL", "http://127.0.0.1:8080/realms/agents"),
    audience="agent-api",
    dependencies_claims=["groups"],
    scopes_from={
        "roles:agent-user": ["agents:helper:read", "agents:helper:run"],  # one agent
        "groups:/engineering/platform": ["agents:operator:read", "agents:operator:run"],
        "scope:agents:run": ["agents:helper:run"],
    },
)
