"""Claims stand over what a session has stored: at the moment agno loads it, so that nothing can be written in between.

==================  ==============================================================================================
a run begins        agno merges its session state with the stored one; `ClaimedState` holds to the claims
a run is continued  agno takes no session state from the request: tools would find what an older token has left in
                    the session, and nothing where the client has patched a claim's name away. The caller's claims
                    stand, in a context variable, over each session of the caller's that the request loads
a job is queued     its claims go with it as JSON, and stand where a worker executes it: merged deeply, what a token no
                    longer says of an object would stay
==================  ==============================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from functools import cache, wraps
from types import ModuleType
from typing import Any, NamedTuple

import agno.agent._storage
import agno.os.routers.agents.router
import agno.os.routers.teams.router
import agno.os.routers.workflows.router
import agno.team._storage
from agno.os.job_queue import QueueWorker
from agno.session import WorkflowSession
from agno.workflow import Workflow
from starlette.types import Scope

from oidcbridge.asgi.paths import route_path

_CONTINUED = re.compile(r"/(?:agents|teams|workflows)/[^/]+/runs/[^/]+/continue")
_IN_A_TICKET = "oidcbridge.standing"
_ROUTERS: tuple[ModuleType, ...] = (
    agno.os.routers.agents.router,
    agno.os.routers.teams.router,
    agno.os.routers.workflows.router,
)
_Load = Callable[..., dict[str, Any]]
_Waits = Callable[..., Awaitable[Any]]


class _Standing(NamedTuple):
    """Claims that stand over the sessions of a user."""

    user_id: str | None
    """None where nobody is known: then no claim is left to anybody, whoever the client says it is."""
    claims: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"_Standing(user_id={self.user_id!r})"


_standing: ContextVar[_Standing | None] = ContextVar("oidcbridge_standing_claims", default=None)
#: The names of claims that any AgentOS of this process puts into session state.
_claimed: set[str] = set()


def claim_in_stored_state(names: Iterable[str]) -> None:
    """From now on claims of these ``names`` stand over what a session has stored under them."""
    _claimed.update(names)
    _stand_where_agno_loads()


@contextmanager
def claims_standing(scope: Scope) -> Iterator[None]:
    """While a request is served: its ``session_state`` stands over what is stored, if it continues a run."""
    standing = None
    if scope["method"] == "POST" and _CONTINUED.fullmatch(route_path(scope)):
        state = scope["state"]
        user_id = None if state.get("is_internal_service") else state["user_id"]  # the scheduler acts for others
        standing = _Standing(user_id, dict(state["session_state"] or {}))
    with _are_standing(standing):
        yield


@contextmanager
def _are_standing(standing: _Standing | None) -> Iterator[None]:
    token = _standing.set(standing)  # also where there is none: a request may be made while another is served
    try:
        yield
    finally:
        _standing.reset(token)


@cache  # once a process
def _stand_where_agno_loads() -> None:
    # agno imports the first two where it calls them, so that ours is found there.
    agno.agent._storage.load_session_state = _with_claims(agno.agent._storage.load_session_state)
    agno.team._storage._load_session_state = _with_claims(agno.team._storage._load_session_state)
    Workflow._load_session_state = _with_claims(Workflow._load_session_state)  # type: ignore[method-assign]
    WorkflowSession.from_dict = _reading_with_claims()  # type: ignore[method-assign]
    QueueWorker._execute_claimed = _executing_with_claims(QueueWorker._execute_claimed)  # type: ignore[method-assign]
    for router in _ROUTERS:
        router.acontinue_via_queue = _queueing_claims(router.acontinue_via_queue)  # type: ignore[attr-defined]


def _with_claims(load: _Load) -> _Load:
    @wraps(load)
    def load_with_claims(component: object, session: Any, session_state: dict[str, Any]) -> dict[str, Any]:
        loaded = load(component, session=session, session_state=session_state)
        loaded.update(_claims_over(session))
        return loaded

    return load_with_claims


def _reading_with_claims() -> Any:
    """A continued workflow takes the state of the session that was read as it is."""
    read: Callable[..., WorkflowSession | None] = WorkflowSession.from_dict.__func__  # type: ignore[attr-defined]

    def from_dict(cls: type[WorkflowSession], data: Mapping[str, Any]) -> WorkflowSession | None:
        session = read(cls, data)
        claims = _claims_over(session)
        if session is not None and claims:
            stored = (session.session_data or {}).get("session_state") or {}
            session.session_data = {**(session.session_data or {}), "session_state": {**stored, **claims}}
        return session

    return classmethod(wraps(read)(from_dict))


def _claims_over(session: Any) -> dict[str, Any]:
    """What stands over ``session``, for it to keep."""
    standing = _standing.get()
    if standing is None or session is None or standing.user_id not in (None, session.user_id):
        return {}
    return deepcopy(dict(standing.claims))


def _queueing_claims(go_on: _Waits) -> _Waits:
    """A run that is continued by a worker goes on with the claims of who continues it."""

    @wraps(go_on)
    async def go_on_with_claims(
        worker: Any, run_id: str, continue_payload: dict[str, Any], *rest: Any, **more: Any
    ) -> Any:
        standing = _standing.get()
        if standing is not None:
            continue_payload = {**continue_payload, _IN_A_TICKET: [standing.user_id, dict(standing.claims)]}
        return await go_on(worker, run_id, continue_payload, *rest, **more)

    return go_on_with_claims


def _executing_with_claims(execute: _Waits) -> Any:
    @wraps(execute)
    async def execute_with_claims(worker: QueueWorker, job: dict[str, Any]) -> None:
        with _are_standing(_standing_in(job)):
            await execute(worker, job)

    return execute_with_claims


def _standing_in(job: Mapping[str, Any]) -> _Standing | None:
    payload = job.get("payload") or {}
    continued = payload.get("continue")
    if continued:
        return _Standing(*continued[_IN_A_TICKET]) if _IN_A_TICKET in continued else None
    state = (payload.get("kwargs") or {}).get("session_state")
    if not isinstance(state, dict):
        return None
    return _Standing(job.get("user_id"), {name: state[name] for name in _claimed & state.keys()})
