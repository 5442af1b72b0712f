"""``app.dependency_overrides``: a caller of one's own choosing, in tests."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI

from oidcbridge import Principal
from oidcbridge.fastapi import (
    Dependencies,
    current_principal,
    current_session_id,
    optional_principal,
)
from oidcbridge.testing import FakeIssuer
from tests.fastapi.kit import add_whoami, get, protected


def someone() -> Principal:
    return Principal(user_id="test-user", session_id="s", dependencies={"a": {"b": 1}}, scopes=("x",))


@pytest.mark.parametrize("overridden", [current_principal, optional_principal])
def test_dependency_overrides_put_a_caller_in_for_tests(issuer: FakeIssuer, overridden: Any) -> None:
    app = add_whoami(protected(issuer, middleware=False))
    app.dependency_overrides[overridden] = someone
    for path in ("/types", "/functions"):
        assert get(app, path).json() == {
            "user_id": "test-user",
            "session_id": "s",
            "dependencies": {"a": {"b": 1}},
            "session_state": {},
            "scopes": ["x"],
        }
    app.dependency_overrides.clear()
    assert get(app, "/types").status_code == 401


def test_an_override_needs_no_verifier_at_all() -> None:
    app = add_whoami(FastAPI())
    app.dependency_overrides[current_principal] = someone
    assert get(app, "/types").json()["user_id"] == "test-user"


def test_what_an_overridden_caller_is_given_cannot_be_changed_for_the_next(issuer: FakeIssuer) -> None:
    caller = someone()
    app = protected(issuer, middleware=False)
    app.dependency_overrides[current_principal] = lambda: caller

    @app.get("/write")
    async def write(dependencies: Dependencies) -> dict[str, Any]:
        before = {name: dict(value) for name, value in dependencies.items()}
        dependencies["a"]["b"] = 2
        return before

    assert [get(app, "/write").json() for _ in range(2)] == [{"a": {"b": 1}}] * 2


def test_under_the_middleware_an_override_stands_in_for_the_caller_but_opens_nothing(issuer: FakeIssuer) -> None:
    app = add_whoami(protected(issuer))
    app.dependency_overrides[current_principal] = someone
    assert get(app, "/types").status_code == 401
    found = get(app, "/types", issuer.mint("ada")).json()
    assert (found["user_id"], found["dependencies"]) == ("test-user", {"a": {"b": 1}})


def test_overriding_one_part_leaves_the_others(issuer: FakeIssuer) -> None:
    app = add_whoami(protected(issuer))
    app.dependency_overrides[current_session_id] = lambda: "fixed"
    found = get(app, "/types", issuer.mint("ada", claims={"sid": "login-1"})).json()
    assert (found["user_id"], found["session_id"]) == ("ada", "fixed")
