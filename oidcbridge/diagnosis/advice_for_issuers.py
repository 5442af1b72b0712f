"""Advice about an issuer before there is any token: what came back from its URL."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from oidcbridge.core.urls import is_loopback
from oidcbridge.diagnosis.recognition import recognise_provider
from oidcbridge.diagnosis.words import Advice, shown
from oidcbridge.remote.fetch_error import FetchError
from oidcbridge.settings.spelling import WHERE_ISSUERS_ARE


def advise_client_ids(audience: tuple[str, ...]) -> Advice:
    """For Cognito, whose access tokens name no audience, where no client ids were given."""
    said = shown(audience[0]) if audience else "APP-CLIENT-ID"
    return Advice(
        "cognito_client_ids",
        f'Cognito access tokens name the app client and no audience: write client_ids=["{said}"]'
        " (OIDCBRIDGE_CLIENT_IDS, --client-id) and leave audience out",
    )


def advise_other_name(said: object, issuer_url: str) -> Advice:
    """For a provider that calls itself ``said``, where ``issuer_url`` was written."""
    if not isinstance(said, str):
        return Advice("no_issuer", "the document names no issuer: it is not an OpenID provider's, or not this one's")
    if "{tenantid}" in said:
        return Advice(
            "entra_template",
            "issuer_url is that of all tenants: write your own tenant's, https://login.microsoftonline.com/TENANT-ID/v2.0",
        )
    if said.rstrip("/") == issuer_url.rstrip("/"):
        return Advice(
            "issuer_slash",
            f'the slash at the end counts: write issuer_url="{shown(said)}" (OIDCBRIDGE_ISSUER_URL)',
        )
    return Advice(
        "issuer_host",
        f'if that is your provider, write issuer_url="{shown(said)}" (OIDCBRIDGE_ISSUER_URL), and'
        f' discovery_url="{shown(issuer_url.rstrip("/"))}/.well-known/openid-configuration" (OIDCBRIDGE_DISCOVERY_URL)'
        " where this service reaches it by that name; or give the provider one fixed host name (Keycloak: hostname)",
    )


def advise_issuer(issuer_url: str) -> Advice | None:
    """For an issuer that answers well and whose access tokens cannot be verified by anybody else."""
    if recognise_provider(issuer_url, {}).name == "okta" and not urlsplit(issuer_url).path.strip("/"):
        return Advice(
            "okta_org_server",
            "this is Okta's org authorization server, whose access tokens Okta alone may read: write a custom one,"
            f' issuer_url="{issuer_url.rstrip("/")}/oauth2/default" with audience="api://default" (Security > API >'
            " Authorization Servers)",
        )
    return None


def advise_fetch(error: FetchError, url: str) -> Advice | None:
    """What to change where the provider could not be asked at ``url``."""
    return next((row.advice(url) for row in _FETCH_ROWS if row.applies(error, url)), None)


class _FetchRow(NamedTuple):
    name: str
    applies: Callable[[FetchError, str], bool]
    text: str

    def advice(self, url: str) -> Advice:
        host = shown(urlsplit(url).hostname or "")
        return Advice(self.name, self.text.format(host=host, issuers=WHERE_ISSUERS_ARE))


# What OpenSSL and Python's ssl say; each with a space, which the URL beside it cannot have.
_OUT_OF_ITS_TIME = ("certificate has expired", "certificate is not yet valid")
# As OpenSSL calls them where X509_V_FLAG_X509_STRICT is set.
_PARTS_OF_RFC_5280 = ("authority key identifier", "subject key identifier", "basic constraints", "key usage")
_FETCH_ROWS = (
    _FetchRow(
        "not_found",
        lambda error, url: error.status in (404, 410),
        "nothing is there: check issuer_url to the letter; issuers look like this: {issuers}",
    ),
    _FetchRow(
        "redirected",
        lambda error, url: error.status is not None and 300 <= error.status < 400,
        "redirects are not followed: open the address in a browser and write the issuer that the document names",
    ),
    _FetchRow(
        "certificate_times",
        lambda error, url: error.kind == "tls" and any(said in str(error) for said in _OUT_OF_ITS_TIME),
        "the certificate of {host}, or that of its authority, has ended or not begun: renew it, or set this machine's"
        " clock",
    ),
    _FetchRow(
        "certificate_name",
        lambda error, url: error.kind == "tls" and "certificate is not valid for" in str(error),
        "the certificate of {host} is for another name: write the address with a name that it is for, or have {host}"
        " added to it (subjectAltName)",
    ),
    _FetchRow(
        "certificate_form",
        lambda error, url: error.kind == "tls" and any(part in str(error).lower() for part in _PARTS_OF_RFC_5280),
        "the certificate of {host} or of its authority lacks what RFC 5280 asks for, and Python 3.13 and newer insist"
        " on it: issue it anew with what is named (OpenSSL: authorityKeyIdentifier=keyid, subjectKeyIdentifier=hash;"
        " an authority's keyUsage=critical,keyCertSign and basicConstraints=critical,CA:TRUE)",
    ),
    _FetchRow(
        "certificate",
        lambda error, url: error.kind == "tls",
        "the certificate of {host} is not trusted: give the file of its authority, --ca-file FILE, and"
        " fetch=FetchOptions(ca_file=…) in the code",
    ),
    _FetchRow(
        "loopback",
        lambda error, url: error.kind == "refused" and is_loopback(urlsplit(url).hostname),
        "nothing listens there; inside a container {host} is the container itself: keep issuer_url as browsers see it,"
        " and write discovery_url= (OIDCBRIDGE_DISCOVERY_URL) with the provider's service name",
    ),
    _FetchRow(
        "name",
        lambda error, url: error.kind == "dns",
        "this machine knows no host {host}: check its spelling, or the name servers of this network",
    ),
    _FetchRow(
        "network",
        lambda error, url: error.kind in ("refused", "timeout", "reset", "connection"),
        "{host} is not reached from here: check firewall and proxy (HTTPS_PROXY, NO_PROXY, FetchOptions(proxy=))",
    ),
)
