"""What the endpoint finds on ``request.state``: every name always set, so nothing a client sends can fill it.

===================  ============================  ==============  =======================================
name                 verified                      anonymous       ``validate=False``, with a token
===================  ============================  ==============  =======================================
principal            `Principal`                   None            None
user_id              str                           None            the unverified claim
session_id           str or None                   None            the unverified claim
dependencies         a fresh dict                  {}              of unverified claims
session_state        a fresh dict                  {}              of unverified claims
scopes               a fresh list                  []              []
claims               read-only mapping             {}              unverified
token                the token                     None            the token
authenticated        True                          False           False
===================  ============================  ==============  =======================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

from starlette.authentication import AuthCredentials, BaseUser, UnauthenticatedUser

from oidcbridge.core.mapping import ClaimMapping, insecure_unverified_fields
from oidcbridge.core.principal import Principal
from oidcbridge.core.strict_json import freeze, thaw
from oidcbridge.core.token import UnverifiedToken

#: Set beside the names above once a request's caller has been decided, whoever decided it.
DECIDED = "oidcbridge_decided"
_SCALARS = frozenset({str, int, float, bool, type(None)})
_NOBODY: Mapping[str, Any] = {
    "principal": None,
    "user_id": None,
    "session_id": None,
    "claims": MappingProxyType({}),
    "token": None,
    "authenticated": False,
    DECIDED: True,
}


class OIDCUser(BaseUser):
    """``request.user``: Starlette's face of a `Principal`."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal

    @property
    def is_authenticated(self) -> bool:
        """Always: nobody else gets one."""
        return True

    @property
    def display_name(self) -> str:
        """What the person is called, or the user id."""
        return self.principal.name or self.principal.user_id

    @property
    def identity(self) -> str:
        """The user id."""
        return self.principal.user_id


class RequestClaims(Mapping[str, Any]):
    """``request.state.claims``: those of the principal, made read-only when the first of them is asked for.

    Few endpoints ask, and a new token's claims are not read-only before that.
    """

    __slots__ = ("_principal",)

    def __init__(self, principal: Principal) -> None:
        self._principal = principal

    def __getitem__(self, name: str) -> Any:
        return self._principal.claims[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._principal.claims)

    def __len__(self) -> int:
        return len(self._principal.claims)

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**self, **other}

    def __repr__(self) -> str:
        return repr(self._principal.claims)

    def copy(self) -> dict[str, Any]:
        """A plain dict of them, as a dict or a `types.MappingProxyType` would give; the values stay read-only."""
        return dict(self)


def set_anonymous(scope: MutableMapping[str, Any]) -> None:
    """Nobody is known."""
    _state(scope).update(_NOBODY, dependencies={}, session_state={}, scopes=[])
    scope["user"], scope["auth"] = UnauthenticatedUser(), AuthCredentials()


def set_undecided(scope: MutableMapping[str, Any]) -> None:
    """Nobody yet: a route that asks for the caller decides. What others have set further out stays."""
    state = _state(scope)
    for name, value in {**_NOBODY, "dependencies": {}, "session_state": {}, "scopes": []}.items():
        state.setdefault(name, value)
    del state[DECIDED]  # of another gate, whose rules are not ours
    scope.setdefault("user", UnauthenticatedUser())
    scope.setdefault("auth", AuthCredentials())


def set_principal(scope: MutableMapping[str, Any], principal: Principal, token: str) -> None:
    """A verified caller. What agents write into is a copy of this request's own."""
    known = principal.read_for_request()  # sooner than from attributes, for which a class with `__getattr__` is asked
    dependencies, session_state, scopes = known["dependencies"], known["session_state"], known["scopes"]
    values = {
        "principal": principal,
        "user_id": known["user_id"],
        "session_id": known["session_id"],
        "dependencies": own_copy(dependencies) if dependencies else {},
        "session_state": own_copy(session_state) if session_state else {},
        "scopes": [*scopes],
        "claims": RequestClaims(principal),
        "token": token,
        "authenticated": True,
        DECIDED: True,
    }
    scope.setdefault("state", {}).update(values)
    scope["user"], scope["auth"] = OIDCUser(principal), AuthCredentials(scopes)


def insecure_set_unverified(
    scope: MutableMapping[str, Any], unverified: UnverifiedToken, mapping: ClaimMapping, token: str
) -> None:
    """``validate=False``: unverified values on the state, and nobody authenticated."""
    set_anonymous(scope)
    user_id, session_id, dependencies, session_state = insecure_unverified_fields(unverified.claims, mapping)
    _state(scope).update(
        user_id=user_id,
        session_id=session_id,
        dependencies=thaw(dependencies),
        session_state=thaw(session_state),
        claims=freeze(unverified.claims),
        token=token,
    )


def _state(scope: MutableMapping[str, Any]) -> dict[str, Any]:
    # In place: others keep a reference to this dict (a server's lifespan state, AgentOS's run authorization).
    state: dict[str, Any] = scope.setdefault("state", {})
    return state


def own_copy(values: Mapping[str, Any]) -> dict[str, Any]:
    """A plain copy that may be written into, all the way down."""
    return {name: value if type(value) in _SCALARS else thaw(value) for name, value in values.items()}
