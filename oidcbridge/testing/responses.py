"""What the fake issuer answers, before any wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class FakeResponse:
    """One HTTP answer: status code, headers, body. Both ways of serving send it as it is."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)  # it may hold a freshly issued token


def json_response(
    content: Mapping[str, object], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> FakeResponse:
    """An answer with a JSON object as its body."""
    return FakeResponse(
        status, {"content-type": "application/json", **(headers or {})}, json.dumps(content).encode("utf-8")
    )
