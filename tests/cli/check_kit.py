"""Ways to run ``oidcbridge check`` and ``inspect``, and to serve the provider that a sample token comes from."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from typer.testing import CliRunner

from oidcbridge.cli.app import app
from oidcbridge.testing import FakeIssuer, FakeKey
from oidcbridge.testing.tokens import sign
from tests.providers.sample import Sample


@dataclass(frozen=True)
class Ran:
    """What a command said and how it ended; ``report`` is its JSON."""

    exit_code: int
    report: Mapping[str, Any]
    stderr: str

    def finding(self, check: str) -> dict[str, Any]:
        """The one finding of that name."""
        found = [one for part in ("provider", "token") for one in self.report[part] or () if one["check"] == check]
        assert len(found) == 1, [one["check"] for one in found]
        return dict(found[0])

    def failed(self, part: str = "token") -> dict[str, str | None]:
        """Each check that failed -> the name of its advice."""
        findings = self.report[part] or ()
        return {one["check"]: (one["advice"] or {}).get("name") for one in findings if one["status"] == "failed"}


def run(command: str, *arguments: str, token: str | None = None) -> Ran:
    """Run a command with ``--json``, the token on stdin."""
    result = CliRunner().invoke(app, [command, "--json", *arguments], input=token, prog_name="oidcbridge")
    return Ran(result.exit_code, json.loads(result.stdout) if result.stdout else {}, result.stderr)


def check(issuer_url: str, *arguments: str, token: str | None = None) -> Ran:
    """Run ``oidcbridge check`` with ``--json``."""
    return run("check", issuer_url, *arguments, *([] if token is None else ["--token", "-"]), token=token)


@cache
def _key(algorithm: str) -> FakeKey:
    return FakeKey.generate(algorithm)


@contextmanager
def serving(*samples: Sample, issuer_url: str | None = None) -> Iterator[FakeIssuer]:
    """The samples' provider, in process, with a key of each one's name."""
    issuer = FakeIssuer(issuer_url or samples[0].issuer, provider="generic")
    for kid in {sample.header["kid"] for sample in samples}:
        issuer.publish(replace(_key("RS256"), kid=kid))
    with issuer.impersonate():
        yield issuer


def token_of(sample: Sample, **header: object) -> str:
    """The sample as a token of this moment, signed by the key that `serving` publishes."""
    later = int(time.time()) - sample.payload["iat"]
    times = {name: sample.payload[name] + later for name in ("iat", "nbf", "exp") if name in sample.payload}
    head = {**sample.header, **header}
    key = replace(_key(str(head["alg"])), kid=sample.header["kid"])
    return sign(head, {**sample.payload, **times}, key)
