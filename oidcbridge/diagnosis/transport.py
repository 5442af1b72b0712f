"""What an answer says beside its body: how the connection was secured, how long it keeps, and what time it is there."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from oidcbridge.core.freshness import answer_age, soft_lifetime
from oidcbridge.core.policy import FetchOptions
from oidcbridge.diagnosis.findings import Advice, Finding, Status, shown
from oidcbridge.remote.http import Answer

_CLOSE_ENOUGH = 3.0  # seconds: a Date header has whole ones, and the answer took its time


def judge_tls(url: str, options: FetchOptions) -> Finding:
    """How a URL that has answered was reached."""
    host = shown(urlsplit(url).hostname or "")
    if urlsplit(url).scheme == "http":
        return Finding("tls", Status.PASSED, f"plain http to {host}, which is allowed on this machine alone")
    authorities = f"those in {options.ca_file}" if options.ca_file else "the system's authorities"
    return Finding("tls", Status.PASSED, f"the certificate of {host} is trusted by {authorities}")


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
