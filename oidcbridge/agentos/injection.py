"""What a run is given of the token: ``dependencies``, ``session_state`` and ``metadata``, never what a client sent.

========================  ==================================  =====================================================
a claim is named for it   ``dependencies``                    ``session_state``, ``metadata``
========================  ==================================  =====================================================
yes                       exactly the named claims            the same: they replace what the form says
no                        nothing                             the client's own: nobody is told to trust them
========================  ==================================  =====================================================

A named claim that the token lacks is written as None, and so it is for callers without a token of the provider's
(service accounts, the scheduler, public routes): agno would else take it from the form, or from a session that the
client created or changed.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from copy import deepcopy
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from oidcbridge.arguments import ClaimNames, read_claim_names
from oidcbridge.core.claims import read_path
from oidcbridge.core.principal import Principal
from oidcbridge.core.strict_json import thaw
from oidcbridge.verifier import Verifier

_LISTS = frozenset({"scopes", "roles", "groups", "permissions"})


class ClaimedState(dict[str, Any]):
    """A session's state in which claims stand over what the session had stored, also within an object.

    agno merges the two deeply and writes the outcome back by ``update``: what a token no longer says of ``org`` would
    go on standing beside what it says now.
    """

    _claims: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def of(cls, claims: dict[str, Any]) -> ClaimedState:
        """A state that holds ``claims``. Made like a plain dict it holds to none: `dataclasses.asdict` does that."""
        state = cls(deepcopy(claims))
        state._claims = claims
        return state

    def update(self, *merged: Any, **more: Any) -> None:
        """Take what agno merged, but for the claims."""
        super().update(*merged, **more)
        super().update(deepcopy(dict(self._claims)))


@dataclass(frozen=True)
class Injection:
    """The names that are always written, and for metadata the claims they come from."""

    dependencies: frozenset[str] = frozenset()
    session_state: frozenset[str] = frozenset()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def dependencies_of(self, principal: Principal | None) -> dict[str, Any]:
        """The caller's dependencies, for this run to write into."""
        return _named(self.dependencies, principal.dependencies if principal else {})

    def session_state_of(self, principal: Principal | None) -> dict[str, Any]:
        """The same for the session's state."""
        return ClaimedState.of(_named(self.session_state, principal.session_state if principal else {}))

    def metadata_of(self, principal: Principal | None) -> dict[str, Any]:
        """The same for the run's metadata."""
        return {name: _read(principal, path) for name, path in self.metadata.items()}

    def write(self, state: MutableMapping[str, Any], principal: Principal | None) -> None:
        """Set what agno's run routes read from ``request.state`` instead of the form; None there: the form's counts.

        Metadata that stands there already is agno's own: its company's tasks call the run routes in process.
        """
        state["dependencies"] = self.dependencies_of(principal)
        state["session_state"] = self.session_state_of(principal) if self.session_state else None
        metadata = {**(state.get("metadata") or {}), **self.metadata_of(principal)}
        state["metadata"] = metadata or None


def read_injection(verifier: Verifier, metadata_claims: ClaimNames) -> Injection:
    """What the verifier's arguments name. Raises `ConfigurationError` for unfit ``metadata_claims``."""
    mappings = [issuer.mapping for issuer in verifier.issuer_settings]
    dependencies = {name for mapping in mappings for name in mapping.dependencies}
    session_state = {name for mapping in mappings for name in mapping.session_state}
    dynamic = verifier.settings.dynamic
    if dynamic is not None:
        said = dynamic.arguments
        dependencies.update(read_claim_names(said.get("dependencies_claims", ()), "dependencies_claims"))
        session_state.update(read_claim_names(said.get("session_state_claims", ()), "session_state_claims"))
    return Injection(
        frozenset(dependencies),
        frozenset(session_state),
        dict(read_claim_names(metadata_claims, "metadata_claims")),
    )


def _named(names: frozenset[str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: thaw(values.get(name)) for name in names}


def _read(principal: Principal | None, path: str) -> Any:
    if principal is None:
        return None
    value = read_path(principal.claims, path)
    if value is None and path in _LISTS:
        value = getattr(principal, path) or None
    return thaw(value)
