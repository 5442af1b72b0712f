"""Claims stand over what a session has stored: at the moment agno loads it, so that nothing can be written in between.

==================  ==============================================================================================
a run begins        agno merges its session state deeply with the stored one: what a token no longer says of an object
                    would stay. A claim replaces what is stored under its name
a run is continued  agno takes no session state from the request: tools would find what an older token has left in
                    the session, and nothing where the client has patched a claim's name away. The caller's claims
                    stand for the request in a context variable, and over each session of the caller's that it loads
the same, where     the run may go on in a worker, out of the request. So the claims are also written into the session
there is a queue    while it is accepted; whoever writes there until the worker begins writes over them
==================  ==============================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from functools import cache, wraps
from inspect import isawaitable
from typing import Any, NamedTuple

import agno.agent._storage
import agno.team._storage
from agno.db.base import AsyncBaseDb, BaseDb, SessionType
from agno.os import AgentOS
from agno.session import WorkflowSession
from agno.workflow import Workflow
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Receive, Scope

from oidcbridge.asgi.paths import route_path
from oidcbridge.errors import MalformedRequestError

_CONTINUED = re.compile(r"/(?P<kind>agents|teams|workflows)/(?P<id>[^/]+)/runs/[^/]+/continue")
_TYPES = {"agents": SessionType.AGENT, "teams": SessionType.TEAM, "workflows": SessionType.WORKFLOW}
_Load = Callable[..., dict[str, Any]]


class _Standing(NamedTuple):
    """Claims that stand over the sessions of a user."""

    user_id: str | None
    """None where nobody is known: then no claim is left to anybody, whoever the client says it is."""
    claims: Mapping[str, Any]


_standing: ContextVar[_Standing | None] = ContextVar("oidcbridge_standing_claims", default=None)
#: The names of claims that any AgentOS of this process puts into session state.
_claimed: set[str] = set()


def claim_in_stored_state(names: Iterable[str]) -> None:
    """From now on claims of these ``names`` replace what a session has stored under them."""
    _claimed.update(names)
    _stand_where_agno_loads()


@contextmanager
def claims_standing(scope: Scope) -> Iterator[None]:
    """While a request is served that continues a run: its ``session_state`` stands over what is stored."""
    if not continues_a_run(scope):
        yield
        return
    state = scope["state"]
    token = _standing.set(_Standing(state["user_id"], dict(state["session_state"] or {})))
    try:
        yield
    finally:
        _standing.reset(token)


def continues_a_run(scope: Scope) -> bool:
    """Whether the request is for one of agno's routes that do."""
    return scope["method"] == "POST" and _CONTINUED.fullmatch(route_path(scope)) is not None


@cache  # once a process
def _stand_where_agno_loads() -> None:
    # agno imports the first two where it calls them, so that ours is found there.
    agno.agent._storage.load_session_state = _with_claims(agno.agent._storage.load_session_state)
    agno.team._storage._load_session_state = _with_claims(agno.team._storage._load_session_state)
    Workflow._load_session_state = _with_claims(Workflow._load_session_state)  # type: ignore[method-assign]
    read_session = WorkflowSession.from_dict  # whose state a continued workflow takes as it is

    def from_dict(_cls: type[WorkflowSession], data: Mapping[str, Any]) -> WorkflowSession | None:
        session = read_session(data)
        claims = _claims_over(session)
        if session is not None and claims:
            stored = (session.session_data or {}).get("session_state") or {}
            session.session_data = {**(session.session_data or {}), "session_state": {**stored, **claims}}
        return session

    WorkflowSession.from_dict = classmethod(from_dict)  # type: ignore[assignment]


def _with_claims(load: _Load) -> _Load:
    @wraps(load)
    def load_with_claims(component: object, session: Any, session_state: dict[str, Any]) -> dict[str, Any]:
        given = deepcopy({name: session_state[name] for name in _claimed & session_state.keys()})
        loaded = load(component, session=session, session_state=session_state)
        loaded.update({**given, **_claims_over(session)})
        return loaded

    return load_with_claims


def _claims_over(session: Any) -> dict[str, Any]:
    """What stands over ``session``, for it to keep."""
    standing = _standing.get()
    if standing is None or session is None or standing.user_id not in (None, session.user_id):
        return {}
    return deepcopy(dict(standing.claims))


def goes_through_a_queue(scope: Scope) -> bool:
    """Whether the request may continue a run of the caller's in a worker. ``scope``'s state holds who calls."""
    has_queue = getattr(scope["app"].state, "queue_worker", None) is not None
    return has_queue and continues_a_run(scope) and scope["state"]["user_id"] is not None


async def renew(agent_os: AgentOS, scope: Scope, receive: Receive) -> None:
    """Write the caller's ``session_state`` into the session that the request names, if it is there and the caller's.

    ``receive`` yields the request's body. Raises `MalformedRequestError` for one that is no form.
    """
    state, run = scope["state"], _CONTINUED.fullmatch(route_path(scope))
    session_id = state.get("session_id") or await _named_session(scope, receive)
    database = _database_of(agent_os, run["kind"], run["id"]) if run is not None else None
    if run is None or database is None or not session_id:
        return  # agno has an answer of its own
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
    except (HTTPException, ValueError):  # of Starlette's parser; out here nothing would make an answer of it
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
