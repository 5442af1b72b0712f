"""Arguments and ``OIDCBRIDGE_*`` -> Settings: what a user wrote, checked before anything runs.

``issuer`` resolves what is said of one issuer, ``several`` what ``issuers=`` says, ``resolve`` the whole.
"""

from oidcbridge.settings.issuer import IssuerSettings, misfits, resolve_issuer
from oidcbridge.settings.resolve import Settings, names_a_source, resolve, resolve_for_diagnosis, unverified_mapping
from oidcbridge.settings.several import DynamicSettings, IssuerRule

__all__ = [
    "DynamicSettings",
    "IssuerRule",
    "IssuerSettings",
    "Settings",
    "misfits",
    "names_a_source",
    "resolve",
    "resolve_for_diagnosis",
    "resolve_issuer",
    "unverified_mapping",
]
