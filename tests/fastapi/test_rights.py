"""Scopes and roles: all of them or one of them, 401 for nobody, 403 for somebody without."""

from __future__ import annotations

import logging
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Security

from oidcbridge import ConfigurationError, Principal
from oidcbridge.fastapi import (
    CurrentPrincipal,
    current_principal,
    current_user_id,
    require_any_role,
    require_permissions,
    require_roles,
    require_scopes,
)
from oidcbridge.testing import FakeIssuer
from tests.fastapi.kit import get, protected

RIGHTS: list[tuple[Any, dict[str, Any], bool]] = [
    (require_scopes("a"), {"scope": "a"}, True),
    (require_scopes("a"), {"scope": "b a"}, True),
    (require_scopes("a"), {"scope": "A"}, False),
    (require_scopes("a"), {"scope": "ab"}, False),
    (require_scopes("a"), {"scope": ""}, False),
    (require_scopes("a", "b"), {"scope": "b a c"}, True),
    (require_scopes("a", "b"), {"scope": "a"}, False),
    (require_roles("r"), {"claims": {"roles": ["r"]}}, True),
    (require_roles("r", "s"), {"claims": {"roles": ["s", "r"]}}, True),
    (require_roles("r", "s"), {"claims": {"roles": ["r"]}}, False),
    (require_roles("r"), {"claims": {"roles": ["R", "rr"]}}, False),
    (require_roles("r"), {"scope": "r"}, False),
    (require_any_role("r", "s"), {"claims": {"roles": ["s"]}}, True),
    (require_any_role("r", "s"), {"claims": {"roles": ["r", "s"]}}, True),
    (require_any_role("r", "s"), {"claims": {"roles": ["t"]}}, False),
    (require_any_role("r"), {}, False),
    (require_permissions("p"), {"claims": {"permissions": ["q", "p"]}}, True),
    (require_permissions("p", "q"), {"claims": {"permissions": ["p"]}}, False),
    (require_permissions("p"), {"scope": "p", "claims": {"roles": ["p"]}}, False),
    (require_scopes("p"), {"claims": {"permissions": ["p"]}}, False),
    (Security(current_principal, scopes=["a", "b"]), {"scope": "a b"}, True),
    (Security(current_principal, scopes=["a", "b"]), {"scope": "b"}, False),
    (Security(current_user_id, scopes=["a"]), {"scope": "a"}, True),
    (Security(current_user_id, scopes=["a"]), {"scope": "b"}, False),
    (Security(current_principal), {}, True),
]


async def run() -> str:
    return "ran"


@pytest.mark.parametrize("middleware", [True, False])
def test_a_right_opens_its_route_and_a_missing_one_is_a_403_with_a_challenge(
    issuer: FakeIssuer, middleware: bool
) -> None:
    for number, (right, token, passes) in enumerate(RIGHTS):
        app = protected(issuer, middleware=middleware)
        app.get("/run", dependencies=[right])(run)
        answer = get(app, "/run", issuer.mint("ada", **token))
        assert answer.status_code == (200 if passes else 403), (number, token)
        if passes:
            assert answer.json() == "ran"
        else:
            assert answer.json()["error"] == answer.json()["code"] == "insufficient_scope"
            assert answer.headers["www-authenticate"].startswith('Bearer error="insufficient_scope"')
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["vary"] == "Authorization"


@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize(
    "right", [require_scopes("a"), require_roles("r"), require_any_role("r", "s"), require_permissions("p")]
)
def test_nobody_gets_a_401_and_never_a_403(issuer: FakeIssuer, right: Any, optional: bool) -> None:
    for middleware in (True, False):
        app = protected(issuer, middleware=middleware, require_authentication=not optional)

        @app.get("/run", dependencies=[right])
        async def run() -> None:
            raise AssertionError("nobody gets here")

        answer = get(app, "/run")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.json()["error"] == "missing_credential"


def test_the_challenge_names_all_scopes_of_the_operation_and_no_roles(issuer: FakeIssuer) -> None:
    app = protected(issuer)
    router = APIRouter(dependencies=[require_scopes("agents:read")])

    @router.get("/both", dependencies=[require_scopes("agents:run", "agents:stop")])
    async def both() -> str:
        return "ran"

    @router.get("/role", dependencies=[require_roles("admin")])
    async def role() -> str:
        return "ran"

    app.include_router(router)

    def challenge(path: str, scope: str) -> str:
        header: str = get(app, path, issuer.mint("ada", scope=scope)).headers["www-authenticate"]
        return header

    assert challenge("/both", "agents:read") == 'Bearer error="insufficient_scope", scope="agents:run agents:stop"'
    assert challenge("/both", "agents:run") == 'Bearer error="insufficient_scope", scope="agents:read"'
    assert challenge("/role", "agents:read") == 'Bearer error="insufficient_scope"'
    token = issuer.mint("ada", scope="agents:read agents:run agents:stop", claims={"roles": ["admin"]})
    assert [get(app, path, token).json() for path in ("/both", "/role")] == ["ran", "ran"]


def test_the_body_of_a_403_does_not_tell_what_the_token_has(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = protected(issuer)

    @app.get("/run", dependencies=[require_roles("admin\r\nx")])
    async def run() -> None:
        raise AssertionError("nobody gets here")

    answer = get(app, "/run", issuer.mint("ada", claims={"roles": ["secret-role", "\x1b[2J\u2028é"]}))
    assert answer.status_code == 403
    assert "secret-role" not in answer.text + str(answer.headers)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "oidcbridge.asgi"]
    assert "insufficient_scope" in line
    assert "secret-role" in line
    assert line.isprintable()


async def reader(principal: Annotated[Principal, Security(current_principal, scopes=["read"])]) -> str:
    return principal.user_id


def test_scopes_of_nested_dependencies_add_up(issuer: FakeIssuer) -> None:
    app = protected(issuer)

    @app.get("/write")
    async def write(who: Annotated[str, Security(reader, scopes=["write"])]) -> str:
        return who

    assert get(app, "/write", issuer.mint("ada", scope="read write")).json() == "ada"
    for scope in ("read", "write", ""):
        assert get(app, "/write", issuer.mint("ada", scope=scope)).status_code == 403, scope


def test_a_check_of_one_route_does_not_spill_over_to_another(issuer: FakeIssuer) -> None:
    app = protected(issuer)

    @app.get("/narrow", dependencies=[require_scopes("a")])
    async def narrow(principal: CurrentPrincipal) -> str:
        return principal.user_id

    @app.get("/wide")
    async def wide(principal: CurrentPrincipal) -> str:
        return principal.user_id

    token = issuer.mint("ada")
    assert [get(app, path, token).status_code for path in ("/wide", "/narrow", "/wide")] == [200, 403, 200]


@pytest.mark.parametrize("require", [require_scopes, require_roles, require_any_role])
def test_requiring_nothing_is_a_configuration_error(require: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"{require.__name__}\(\) names nothing.*CurrentPrincipal"):
        require()


def test_a_missing_right_without_our_gate_is_a_403_all_the_same(issuer: FakeIssuer) -> None:
    app = FastAPI()
    app.state.oidcbridge = issuer.verifier()

    @app.get("/run", dependencies=[require_scopes("a")])
    async def run() -> str:
        return "ran"

    assert get(app, "/run", issuer.mint("ada", scope="a")).json() == "ran"
    assert get(app, "/run", issuer.mint("ada")).status_code == 403


def test_an_override_of_the_principal_passes_scopes_and_is_held_to_roles(issuer: FakeIssuer) -> None:
    app = protected(issuer, middleware=False)
    app.dependency_overrides[current_principal] = lambda: Principal(user_id="t", roles=("r",))

    @app.get("/scoped", dependencies=[require_scopes("a")])
    async def scoped() -> str:
        return "ran"

    @app.get("/role", dependencies=[require_roles("r")])
    async def role() -> str:
        return "ran"

    @app.get("/other", dependencies=[require_roles("s")])
    async def other() -> str:
        return "ran"

    assert [get(app, path).status_code for path in ("/scoped", "/role", "/other")] == [200, 200, 403]


@pytest.mark.parametrize("wrong", [("agents:run agents:read",), (["agents:run", "agents:read"],), ("",)])
def test_scopes_written_as_one_are_refused_where_they_are_written(wrong: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigurationError, match="by itself"):
        require_scopes(*wrong)
    with pytest.raises(ConfigurationError, match="by itself"):
        require_roles(["admin"])  # type: ignore[arg-type]
    assert require_roles("a role with blanks").dependency is not None
