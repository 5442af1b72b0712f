"""What ``check`` and ``inspect`` print. Every text of somebody else's is made safe for a terminal first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from oidcbridge.cli.terminal import printable
from oidcbridge.core.strict_json import thaw
from oidcbridge.diagnosis.findings import Finding, KeyFinding, Status
from oidcbridge.diagnosis.report import CheckReport, InspectReport, Outcome, principal_as_dict

_MARKS = {Status.PASSED: "ok", Status.FAILED: "FAIL", Status.WARNING: "warn", Status.NOT_JUDGED: "--"}
_ENDINGS = {
    Outcome.GOOD: "Good.",
    Outcome.FAILED: "Not good: see FAIL and -- above.",
    Outcome.UNREACHABLE: "The provider cannot be asked.",
}


def check_lines(report: CheckReport) -> Iterator[str]:
    """A check's report, line by line."""
    yield "Provider"
    yield from _finding_lines(report.provider.findings)
    if report.provider.endpoints:
        yield "\nEndpoints"
        yield from _table(report.provider.endpoints)
    if report.provider.keys:
        yield "\nKeys"
        yield from map(_key_line, report.provider.keys)
    if report.token is not None:
        yield "\nToken"
        yield from _finding_lines(report.token)
    if report.principal is not None:
        yield "\nPrincipal"
        yield from _principal_lines(principal_as_dict(report.principal))
    yield "\nSettings that fit"
    yield from _table(report.settings)
    yield f"\n{_ENDINGS[report.outcome]}"


def inspect_lines(report: InspectReport) -> Iterator[str]:
    """An inspection's report, line by line."""
    yield "UNVERIFIED: nobody has vouched for this token, and its signature was not looked at."
    yield ""
    yield from _table({"kind": f"{report.kind.name}: {report.kind.why}", "provider": _provider(report)})
    for name, members in (("Header", report.shape.header), ("Claims", report.shape.claims)):
        if members:
            yield f"\n{name}"
            # ASCII: whatever a string holds, the terminal shows its escapes.
            yield json.dumps(thaw(members), indent=2)
    times = {name: report.shape.claims.get(name) for name in ("iat", "nbf", "exp")}
    dates = {name: date for name, value in times.items() if (date := _date(value))}
    if dates:
        yield "\nTimes"
        yield from _table(dates)
    if report.principal is not None:
        yield "\nWould map to"
        yield from _principal_lines(principal_as_dict(report.principal))
    if report.refusals:
        yield "\nA verifier would refuse it"
        yield from _finding_lines(report.refusals)


def _provider(report: InspectReport) -> str:
    return f"{report.provider.name}: {report.provider.why}"


def _finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    for one in findings:
        yield f"  {_MARKS[one.status]:<5}{one.check:<16}{printable(one.said)}"
        if one.advice is not None:
            yield f"       {'':<16}-> {one.advice.text}"


def _key_line(key: KeyFinding) -> str:
    said = f"not used: {key.why_not}" if key.why_not else " ".join(key.algorithms)
    kind = f"{key.type}, " if key.type else ""
    return f"  {'--' if key.why_not else 'ok':<5}{printable(key.kid or '(no kid)')}: {kind}{printable(said)}"


def _principal_lines(principal: Mapping[str, Any] | None) -> Iterator[str]:
    said = {**(principal or {})}
    said["expires_at"] = _date(said.get("expires_at"))
    yield from _table({name: value for name, value in said.items() if value not in (None, [])})


def _table(rows: Mapping[str, Any]) -> Iterator[str]:
    names = {name: printable(name) for name in rows}
    width = max(map(len, names.values()), default=0)
    for name, value in rows.items():
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        yield f"  {names[name]:<{width}}  {printable(text)}"


def _date(value: object) -> str | None:
    """A NumericDate as people write it; nothing for what is none (RFC 7519 section 2)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 253402300800:
        return None
    return datetime.fromtimestamp(value, UTC).isoformat(sep=" ", timespec="seconds")
