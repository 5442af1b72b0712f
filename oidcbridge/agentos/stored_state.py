"""A session's stored state, brought up to date with the token before agno runs on it.

==================  ==============================================================================================
a run is continued  agno takes no session state from the request: tools would find what an older token has left in
                    the session, and nothing where the client has patched a claim's name away
a run is queued     (`QueueConfig(durable=True)`) the token's session state goes through JSON and is merged deeply
                    with the stored one: what a token no longer says of an object would stay
==================  ==============================================================================================
"""

from __future__ import annotations

import re
from copy import deepcopy
from inspect import isawaitable
from typing import Any

from agno.db.base import AsyncBaseDb, BaseDb, SessionType
from agno.os import AgentOS
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Receive, Scope

from oidcbridge.asgi.paths import route_path
from oidcbridge.errors import MalformedRequestError

_RUN = re.compile(r"/(?P<kind>agents|teams|workflows)/(?P<id>[^/]+)/runs(?P<continued>/[^/]+/continue)?")
_TYPES = {"agents": SessionType.AGENT, "teams": SessionType.TEAM, "workflows": SessionType.WORKFLOW}


def runs_on_stored_state(scope: Scope) -> bool:
    """Whether the request is one of those above; ``scope``'s state holds the caller's ``session_state``."""
    found = _RUN.fullmatch(route_path(scope)) if scope["method"] == "POST" else None
    if found is None or found["continued"] is not None:
        return found is not None
    is_queued = getattr(scope["app"].state, "queue_worker", None) is not None
    return is_queued and any(isinstance(value, dict) for value in scope["state"]["session_state"].values())


async def renew(agent_os: AgentOS, scope: Scope, receive: Receive) -> None:
    """Write the caller's ``session_state`` into the session that the request names, if it is there and the caller's.

    ``receive`` yields the request's body. Raises `MalformedRequestError` for one that is no form.
    """
    state, run = scope["state"], _RUN.fullmatch(route_path(scope))
    session_id = state.get("session_id") or await _named_session(scope, receive)
    database = _database_of(agent_os, run["kind"], run["id"]) if run is not None else None
    if run is None or database is None or not session_id:
        return  # agno has an answer of its own, or a new session
    session: Any = await _result(
        database.get_session(session_id=session_id, session_type=_TYPES[run["kind"]], user_id=state["user_id"])
    )
    if session is None:
        return
    session.session_data = session.session_data or {}
    stored = session.session_data.get("session_state") or {}
    renewed = {**stored, **deepcopy(dict(state["session_state"]))}
    if renewed != stored:
        session.session_data["session_state"] = renewed
        await _result(database.upsert_session(session))


async def _named_session(scope: Scope, receive: Receive) -> str | None:
    request = Request(dict(scope), receive)
    try:
        async with request.form() as form:
            named = form.get("session_id")
    except HTTPException:  # of Starlette's parser; out here nothing would make an answer of it
        raise MalformedRequestError("the body is no form") from None
    return named if isinstance(named, str) else None


def _database_of(agent_os: AgentOS, kind: str, component_id: str) -> BaseDb | AsyncBaseDb | None:
    """Where the component's sessions are, by agno's own rule; None for a remote one, whose AgentOS has them."""
    components = getattr(agent_os, kind) or ()
    component = next((one for one in components if getattr(one, "id", None) == component_id), None)
    database = getattr(component, "db", None) or agent_os.db
    return database if isinstance(database, BaseDb | AsyncBaseDb) else None


async def _result(value: Any) -> Any:
    return await value if isawaitable(value) else value
