"""``scopes_from``: which role, group, permission or scope of the provider's grants which scopes of AgentOS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oidcbridge.core.principal import Principal
from oidcbridge.errors import ConfigurationError

#: What stands before the first colon of a rule -> the field of `Principal` that holds such names.
_KINDS = {"roles": "roles", "groups": "groups", "permissions": "permissions", "scope": "scopes"}
_EXAMPLE = 'scopes_from={"roles:agent-user": ["agents:read", "agents:run"]}'

ScopesFrom = Mapping[str, Sequence[str]]


class Grants:
    """The scopes a caller has in AgentOS: the token's own, and those that the rules add. Raises `ConfigurationError`.

    Keys are split at the first colon: ``groups:/ops``, ``roles:other-client:reader``.
    """

    def __init__(self, rules: ScopesFrom | None) -> None:
        self._rules: dict[str, dict[str, tuple[str, ...]]] = {}
        if rules is not None and not isinstance(rules, Mapping):
            raise ConfigurationError(f"scopes_from is a dict: {_EXAMPLE}")
        for rule, scopes in (rules or {}).items():
            kind, colon, name = rule.partition(":") if isinstance(rule, str) else ("", "", "")
            if kind not in _KINDS or not colon or not name:
                raise ConfigurationError(
                    f"scopes_from has the key {rule!r}; one is {', '.join(_KINDS)}, then a colon and a name: {_EXAMPLE}"
                )
            if isinstance(scopes, str) or not all(isinstance(scope, str) and scope for scope in scopes):
                raise ConfigurationError(f"scopes_from[{rule!r}] is a list of AgentOS scopes: {_EXAMPLE}")
            self._rules.setdefault(_KINDS[kind], {})[name] = tuple(scopes)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def of(self, principal: Principal) -> list[str]:
        """The scopes of ``principal``, each once, the token's own first."""
        if not self._rules:
            return list(principal.scopes)
        scopes = dict.fromkeys(principal.scopes)
        for field, grants in self._rules.items():
            for name in getattr(principal, field):
                scopes.update(dict.fromkeys(grants.get(name, ())))
        return list(scopes)
