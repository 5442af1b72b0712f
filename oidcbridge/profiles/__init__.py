"""One row per provider: how its access tokens are told from the others, and where its claims lie.

A row is data. A user's own provider is one more row: ``provider=Profile(name=…, mapping=ClaimMapping(…))``.
"""

from oidcbridge.profiles.profile import IssuerTemplate, Profile, Unfit
from oidcbridge.profiles.recognition import (
    PROFILES,
    Recognised,
    profile_for,
    recognise,
    recognise_by_endpoints,
    resembling,
)

__all__ = [
    "PROFILES",
    "IssuerTemplate",
    "Profile",
    "Recognised",
    "Unfit",
    "profile_for",
    "recognise",
    "recognise_by_endpoints",
    "resembling",
]
