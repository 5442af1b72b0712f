"""Which row a provider gets: by name, by its issuer URL, or by the endpoints in its discovery document.

The choice decides who a user is. So it is made once, before the first token is judged, and never changes after that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from oidcbridge.errors import ConfigurationError
from oidcbridge.profiles.profile import Profile
from oidcbridge.profiles.rows import GENERIC, ROWS

PROFILES: Mapping[str, Profile] = {row.name: row for row in ROWS}


class Recognised(NamedTuple):
    """A row, and why it is that one."""

    profile: Profile
    why: str
    is_final: bool = True
    """False: neither the settings nor the issuer URL tell, and the discovery document may."""


def recognise(provider: str | Profile, issuer_url: str | None) -> Recognised:
    """The row for ``provider``; ``"auto"`` goes by the issuer URL. Raises `ConfigurationError`."""
    if isinstance(provider, Profile):
        return Recognised(provider, "as provider= says")
    if provider != "auto":
        if not isinstance(provider, str) or provider not in PROFILES:
            raise ConfigurationError(f"provider={provider!r} is unknown; write one of auto, {', '.join(PROFILES)}")
        return Recognised(PROFILES[provider], "as provider= says")
    for row in ROWS:
        if issuer_url and row.issuer_pattern and re.fullmatch(row.issuer_pattern, issuer_url):
            return Recognised(row, "by its issuer URL")
    return Recognised(GENERIC, "its issuer URL tells nothing", is_final=False)


def recognise_by_endpoints(document: Mapping[str, Any]) -> Recognised:
    """The row for a discovery document; generic where none fits."""
    for row in ROWS:
        if row.endpoints and all(_fits(document.get(name), pattern) for name, pattern in row.endpoints.items()):
            return Recognised(row, f"by the endpoints in its discovery document ({', '.join(row.endpoints)})")
    return Recognised(GENERIC, "neither its issuer URL nor its discovery document tells")


def resembling(issuer_url: str) -> Profile:
    """For messages: the row that an issuer URL has or was meant to have, but for its path or the slash at its end."""
    spellings = (issuer_url, f"{issuer_url}/", issuer_url.removesuffix("/"))
    for row in ROWS:
        if issuer_url in row.issuer_spellings:
            return row
        if row.issuer_pattern and any(re.fullmatch(row.issuer_pattern, spelling) for spelling in spellings):
            return row
        if row.origin_pattern and re.match(rf"(?:{row.origin_pattern})(?![^/?#])", issuer_url):
            return row
    return GENERIC


def _fits(url: object, pattern: str) -> bool:
    return isinstance(url, str) and re.fullmatch(pattern, url) is not None


def profile_for(provider: str | Profile, issuer_url: str | None) -> Profile:
    """The row alone. Raises `ConfigurationError`."""
    return recognise(provider, issuer_url).profile
