"""Steps on who gets in: nobody, somebody, somebody without the right; and what the endpoint learns."""

from __future__ import annotations

import json

from oidcbridge.cli.demo.exchange import claims_of, header_of
from oidcbridge.cli.demo.provider import ADA, BOB, ES256_CLIENT, RS256_CLIENT, password_form
from oidcbridge.cli.demo.story import Scene, Step
from oidcbridge.testing import FakeClient, FakeUser

RUNS = "/agents/writer/runs"
ME = "/me"


def _no_token(scene: Scene) -> None:
    answer = scene.call("POST", RUNS)
    scene.expect("401 with a bare challenge", (answer.status, answer.challenge) == (401, "Bearer"), answer)


def _rs256_token(scene: Scene) -> None:
    _run_as_ada(scene, RS256_CLIENT, "RS256")


def _es256_token(scene: Scene) -> None:
    _run_as_ada(scene, ES256_CLIENT, "ES256")


def _mapped_fields(scene: Scene) -> None:
    token = _log_in(scene, ADA, RS256_CLIENT)
    told = {name: value for name, value in claims_of(token).items() if name == "sub" or name in ADA.claims}
    scene.say(f"The token's claims: {json.dumps(told)}")
    answer = scene.call("GET", ME, token)
    wanted = {
        "user_id": ADA.username,
        "session_id": ADA.claims["sid"],
        "dependencies": {name: ADA.claims[name] for name in ("name", "email", "roles")},
        "session_state": {name: ADA.claims[name] for name in ("tenant", "locale")},
    }
    scene.expect("user_id, session_id, dependencies and session_state are the token's", answer.json() == wanted, answer)


def _missing_scope(scene: Scene) -> None:
    token = _log_in(scene, BOB, RS256_CLIENT)
    answer = scene.call("POST", RUNS, token)
    challenge = answer.challenge or ""
    scene.expect(
        '403 with error="insufficient_scope" and the scope that is missing',
        answer.status == 403 and 'error="insufficient_scope"' in challenge and 'scope="agents:run"' in challenge,
        answer,
    )
    other = scene.call("GET", ME, token)
    scene.expect("200 where his rights are enough", other.status == 200, other)


def _run_as_ada(scene: Scene, client: FakeClient, algorithm: str) -> None:
    token = _log_in(scene, ADA, client)
    answer = scene.call("POST", RUNS, token)
    ran = (answer.status, answer.json().get("user_id"), header_of(token)["alg"])
    scene.expect(f"200: {algorithm} verified, and it ran for ada", ran == (200, ADA.username, algorithm), answer)


def _log_in(scene: Scene, user: FakeUser, client: FakeClient) -> str:
    token = scene.ask_provider(password_form(user, client)).json()["access_token"]
    assert isinstance(token, str)  # noqa: S101 - our own token endpoint
    return token


STEPS = (
    Step(
        "No token",
        "401, a bare challenge",
        "Who sends no credential learns which kind is wanted, and gets no error code (RFC 6750 section 3.1).",
        _no_token,
    ),
    Step(
        "RS256 token",
        "200",
        "Ada logs in at the provider, and her token opens the agent's endpoint.",
        _rs256_token,
    ),
    Step(
        "ES256 token",
        "200",
        "The same for a client whose tokens are signed with an elliptic curve key. Nothing was configured for it.",
        _es256_token,
    ),
    Step(
        "Mapped fields",
        "the claims, in agents' words",
        "The token's claims reach the endpoint as user_id, session_id, dependencies and session_state.",
        _mapped_fields,
    ),
    Step(
        "Missing scope",
        "403, the scope named",
        "Bob's token is good, but running agents takes agents:run. Logging in again would not help: no 401.",
        _missing_scope,
    ),
)
