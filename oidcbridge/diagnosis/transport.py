"""What an answer says beside its body: how the connection was secured, how long it keeps, and what time it is there."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from cryptography.x509 import (
    Certificate,
    DNSName,
    ExtensionNotFound,
    SubjectAlternativeName,
    load_der_x509_certificate,
)

from oidcbridge.core.freshness import answer_age, soft_lifetime
from oidcbridge.core.policy import FetchOptions
from oidcbridge.diagnosis.findings import Finding, Status, TLSFinding
from oidcbridge.diagnosis.words import Advice, listed, shown
from oidcbridge.remote.http import Answer
from oidcbridge.remote.tls import TLS

_CLOSE_ENOUGH = 3.0  # seconds: a Date header has whole ones, and the answer took its time


def read_certificate(url: str, tls: TLS, options: FetchOptions) -> TLSFinding | None:
    """What the certificate of the host in ``url`` says; None where it is trusted and no parser of ours can read it."""
    try:
        certificate = load_der_x509_certificate(tls.certificate)
        subject, issuer = certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()
        subject = subject or listed(_names(certificate))
    except ValueError:
        return None
    not_after = certificate.not_valid_after_utc.isoformat(sep=" ")
    host, trusted_by = shown(urlsplit(url).hostname or ""), options.ca_file or "system"
    return TLSFinding(host, tls.protocol, shown(subject), shown(issuer), not_after, trusted_by)


def _names(certificate: Certificate) -> list[str]:
    try:
        return certificate.extensions.get_extension_for_class(SubjectAlternativeName).value.get_values_for_type(DNSName)
    except ExtensionNotFound:
        return []


def judge_tls(url: str, options: FetchOptions, tls: TLSFinding | None) -> Finding:
    """How a URL that has answered was reached."""
    parts = urlsplit(url)
    host = shown(parts.hostname or "")
    if parts.scheme == "http":
        return Finding("tls", Status.PASSED, f"none: plain http to {host}, which is allowed on this machine alone")
    authorities = f"the authorities in {options.ca_file}" if options.ca_file else "the system's authorities"
    if tls is None:
        return Finding("tls", Status.PASSED, f"the certificate of {host} is trusted by {authorities}")
    said = f"{host} by {tls.protocol}; its certificate ({tls.subject}) is signed by {tls.issuer}"
    return Finding("tls", Status.PASSED, f"{said}, trusted by {authorities}, and ends at {tls.not_after}")


def judge_cache(answer: Answer, options: FetchOptions) -> Finding:
    """How long the keys are fresh (RFC 9111 section 4.2.1), within the bounds of the options."""
    said = answer.headers.get("cache-control")
    header = f"Cache-Control: {shown(said)}" if said else "no Cache-Control"
    return Finding(
        "cache", Status.PASSED, f"{header}; asked for again after {soft_lifetime(answer.headers, options):.0f} s"
    )


def judge_clock(answer: Answer, now: float, leeway: float) -> Finding:
    """Whether our clock and the provider's agree (``Date``, RFC 9110 section 6.6.1). ``now`` is in epoch seconds."""
    try:
        date = parsedate_to_datetime(answer.headers.get("date", "")).timestamp() + answer_age(answer.headers)
    except (ValueError, OverflowError):
        return Finding("clock", Status.NOT_JUDGED, "the answer has no Date")
    skew = now - date
    if abs(skew) <= _CLOSE_ENOUGH:
        return Finding("clock", Status.PASSED, "as the provider's")
    said = (
        f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the provider's; tokens may be off by {leeway:.0f} s"
    )
    advice = Advice("clock", "set this machine's clock (NTP); leeway= (OIDCBRIDGE_LEEWAY) bridges at most 300 seconds")
    return Finding("clock", Status.WARNING if abs(skew) <= leeway else Status.FAILED, said, advice=advice)
