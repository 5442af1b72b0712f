"""``issuers=`` -> the settings of each, and those of a rule that lets others in.

Every `ConfigurationError` from here says what to write instead.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from oidcbridge.arguments import (
    DynamicIssuers,
    Issuer,
    IssuerArguments,
    VerifierArguments,
    can_go_before_ids,
    read_names,
)
from oidcbridge.core.addresses import AddressRule, parse_networks
from oidcbridge.core.issuer_patterns import IssuerPattern, parse_issuer_pattern
from oidcbridge.core.policy import FetchOptions
from oidcbridge.errors import ConfigurationError
from oidcbridge.profiles import profile_for
from oidcbridge.settings.issuer import IssuerSettings, resolve_issuer

logger = logging.getLogger("oidcbridge.settings")

#: Whether an issuer is let in, and by which name.
IssuerRule = IssuerPattern | Callable[[str], str | bool | None]


@dataclass(frozen=True)
class DynamicSettings:
    """Issuers by a rule: what is said of each, and the way to them."""

    rule: IssuerRule
    arguments: IssuerArguments
    taken: frozenset[str]
    """Names of the issuers beside them: no tenant may have one of these, or it would share their users' ids."""
    max_issuers: int
    fetch: FetchOptions
    _by_profile: dict[str, IssuerSettings] = field(default_factory=dict, repr=False)

    def of(self, issuer_url: str, name: str) -> IssuerSettings:
        """The settings of one such issuer. Raises `ConfigurationError` where what was said does not fit it."""
        profile = profile_for(self.arguments.get("provider", "auto"), issuer_url)
        like = self._by_profile.get(profile.name)
        if like is None:  # resolved, and warned about, once for each profile
            like = resolve_issuer({**self.arguments, "issuer_url": issuer_url}, self.fetch)
            self._by_profile[profile.name] = like
        return replace(  # by its URL or as provider= says, and not by its document: a tenant may leave and come back
            like,
            issuer_url=issuer_url,
            with_profile=None,
            policy=replace(like.policy, issuer=issuer_url),
            mapping=replace(like.mapping, user_id_prefix=f"{name}:"),
        )


def resolve_issuers(
    arguments: VerifierArguments, fetch: FetchOptions
) -> tuple[tuple[IssuerSettings, ...], DynamicSettings | None]:
    """Resolve ``issuers=``: those that are written down, and the rule beside them. Raises `ConfigurationError`."""
    beside = sorted(name for name in arguments if name in IssuerArguments.__annotations__ and name != "leeway")
    if beside:
        raise ConfigurationError(f"issuers= and {beside[0]}= exclude each other; say it in each Issuer(…)")
    said: object = arguments["issuers"]
    listed = [said] if isinstance(said, DynamicIssuers) else said
    if not isinstance(listed, Sequence) or not all(isinstance(one, Issuer | DynamicIssuers) for one in listed):
        raise ConfigurationError(
            "issuers= is a list: issuers=[Issuer(issuer_url=…, audience=…, name=…), …], or DynamicIssuers(allow=…)"
        )
    issuers = [one for one in listed if isinstance(one, Issuer)]
    dynamic = [one for one in listed if isinstance(one, DynamicIssuers)]
    if not listed or len({issuer.issuer_url for issuer in issuers}) < len(issuers):
        raise ConfigurationError("issuers= needs at least one Issuer, and each issuer_url once")
    if len(dynamic) > 1:
        raise ConfigurationError(
            "issuers= takes one DynamicIssuers: two could give one name to two tenants, who would share their users'"
            " ids. Write a function that decides about all: DynamicIssuers(allow=decide)"
        )
    names = [issuer.name for issuer in issuers]
    if len(set(names)) < len(names) or not all(map(can_go_before_ids, names)):
        raise ConfigurationError(
            "each Issuer needs a name of its own, without a colon and not 'client' (which marks machines): it goes"
            " before its users' ids"
        )
    leeway = IssuerArguments(leeway=arguments["leeway"]) if "leeway" in arguments else IssuerArguments()
    unqualified = _unqualified(arguments, dynamic)
    # Also where there is one: a second must not rename the first one's users.
    resolved = tuple(
        resolve_issuer({**one.arguments(), **leeway}, fetch, "" if unqualified else f"{one.name}:") for one in issuers
    )
    _refuse_shared_names(resolved)
    return resolved, _resolve_dynamic(dynamic[0], leeway, fetch, frozenset(names)) if dynamic else None


def _unqualified(arguments: VerifierArguments, dynamic: Sequence[DynamicIssuers]) -> bool:
    unqualified = arguments.get("unqualified_user_ids", False)
    if not isinstance(unqualified, bool) or (unqualified and dynamic):
        raise ConfigurationError(
            "unqualified_user_ids is True or False, and DynamicIssuers has no use for it: whoever runs a tenant would"
            " choose the ids of another one's users"
        )
    if unqualified:
        logger.warning(
            "unqualified_user_ids=True: a user id is the same whichever issuer it comes from, and who may choose ids at"
            " one of them may be anybody's namesake at another"
        )
    return unqualified


def _refuse_shared_names(issuers: Sequence[IssuerSettings]) -> None:
    names = [name for one in issuers for name in one.names]
    if len(set(names)) < len(names):
        raise ConfigurationError(
            "two of issuers= stand for the same issuer: name a tenant in one tenants= list, or give it an Issuer"
        )


def _resolve_dynamic(
    said: DynamicIssuers, leeway: IssuerArguments, fetch: FetchOptions, taken: frozenset[str]
) -> DynamicSettings:
    rule, example = _rule(said.allow, fetch)
    if isinstance(said.max_issuers, bool) or not isinstance(said.max_issuers, int) or said.max_issuers < 1:
        raise ConfigurationError("DynamicIssuers(max_issuers=) is how many tenants' keys are kept: an int, at least 1")
    texts = read_names(said.allowed_networks, "allowed_networks", '["10.20.0.0/16"]', may_be_empty=True)
    fetch = replace(fetch, addresses=AddressRule(parse_networks(texts)))
    settings = DynamicSettings(rule, {**said.arguments(), **leeway}, taken, said.max_issuers, fetch)
    settings.of(example, "example")  # a mistake shows on the user's line
    return settings


def _rule(allow: object, fetch: FetchOptions) -> tuple[IssuerRule, str]:
    """The rule, and an issuer to try the other arguments with."""
    if isinstance(allow, str):
        pattern = parse_issuer_pattern(allow, allow_http=fetch.insecure_allow_http)
        return pattern, pattern.example
    if not callable(allow) or is_async(allow):
        raise ConfigurationError(
            "DynamicIssuers(allow=) is a pattern or a plain function of the issuer, no coroutine function: it is called"
            ' in a thread of its own and may block. allow="https://{tenant}.id.example.com/"'
        )
    return allow, "https://tenant.invalid"


def is_async(function: Callable[..., object]) -> bool:
    """Whether calling it gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
