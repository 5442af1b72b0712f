"""The peers by the same measures, those that make sense for them.

python -m benchmarks.compare [--quick]
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks.figures import FULL, QUICK, Effort
from benchmarks.harness import DAY, ISSUER_URL, Timed, bare_work, cpu_costs, keycloak_token, timed, timed_async
from benchmarks.in_process import BareMiddleware, agent_app, requests
from benchmarks.peers import Keys, Peer, Verify, is_async, keys_of, load
from oidcbridge.testing import FakeIssuer

TOKENS = 200
COLUMNS = {
    "RS256": "token to claims ÷ bare RS256",
    "ES256": "÷ bare ES256",
    "new": "adds to a GET ÷ bare wrapper, new token",
    "seen": "the same, token seen before",
    "expired": "refused (expired) ÷ unprotected GET",
    "stream": "SSE ÷ unprotected",
}


class Row(NamedTuple):
    """One peer's figures by column; a column is missing where the peer does not do that."""

    name: str
    version: str
    figures: Mapping[str, float]
    reason: str = ""
    """Why there are no figures at all."""


class Course(NamedTuple):
    """One peer's subjects, by column."""

    verify: Mapping[str, Timed]
    get: Mapping[str, Timed]
    stream: Mapping[str, Timed]


def peers(issuer: FakeIssuer, effort: Effort) -> list[Row]:
    """A row for each peer, also for those that could not be measured."""
    found = load()
    log_alike()
    with tempfile.TemporaryDirectory() as folder:
        keys = keys_of(issuer, Path(folder))
        courses, failed = _courses(keys, found)
        figures: dict[str, dict[str, float]] = {name: {} for name in courses}
        for alg in ("RS256", "ES256"):
            bare = timed(bare_work(issuer, alg), [keycloak_token(issuer, alg) for _ in range(TOKENS)])
            _verification(courses, alg, bare, figures, effort)
        _requests(issuer, courses, figures, effort)
    return [Row(peer.name, peer.version, figures.get(peer.name, {}), failed.get(peer.name, "")) for peer in found]


def _verification(
    courses: Mapping[str, Course], alg: str, bare: Timed, figures: dict[str, dict[str, float]], effort: Effort
) -> None:
    subjects = {name: course.verify[alg] for name, course in courses.items() if alg in course.verify}
    costs = cpu_costs({"": bare, **subjects}, rounds=effort.rounds // 2, calls=effort.calls)
    for name in subjects:
        figures[name][alg] = costs[name] / costs[""]


def _requests(
    issuer: FakeIssuer, courses: Mapping[str, Course], figures: dict[str, dict[str, float]], effort: Effort
) -> None:
    tokens = [keycloak_token(issuer, "RS256") for _ in range(TOKENS)]
    app = agent_app()
    wrapped = BareMiddleware(app, bare_work(issuer, "RS256"))
    gets = {("", "free"): requests(app, "/agents", tokens), ("", "bare"): requests(wrapped, "/agents", tokens)}
    gets |= {(name, column): each for name, course in courses.items() for column, each in course.get.items()}
    streams = {("", "free"): requests(app, "/stream", tokens)}
    streams |= {(name, column): each for name, course in courses.items() for column, each in course.stream.items()}
    costs = _costs(gets, effort.rounds // 2, effort.calls)
    free, bare = costs["", "free"], costs["", "bare"] - costs["", "free"]
    for name, column in list(gets)[2:]:
        cost = costs[name, column]
        figures[name][column] = cost / free if column == "expired" else (cost - free) / bare
    costs = _costs(streams, effort.rounds // 2, max(effort.calls // 16, 5))
    for name, column in list(streams)[1:]:
        figures[name][column] = costs[name, column] / costs["", "free"]


def _costs(subjects: Mapping[tuple[str, str], Timed], rounds: int, calls: int) -> dict[tuple[str, str], float]:
    costs = cpu_costs({" ".join(key): subject for key, subject in subjects.items()}, rounds=rounds, calls=calls)
    return {key: costs[" ".join(key)] for key in subjects}


def _courses(keys: Keys, found: Sequence[Peer]) -> tuple[dict[str, Course], dict[str, str]]:
    """What can be measured, and why the others cannot. Each peer does everything once first."""
    courses, failed = {}, {}
    with ThreadPoolExecutor(1) as pool:
        for peer in found:
            if peer.module is None:
                failed[peer.name] = peer.reason
                continue
            trial = pool.submit(_tried, keys, peer)
            error = trial.exception()  # whatever it is: it stands in the table
            if error is None:
                courses[peer.name] = trial.result()
            else:
                failed[peer.name] = f"failed: {type(error).__name__}: {str(error).partition(chr(10))[0][:120]}"
    return courses, failed


def _tried(keys: Keys, peer: Peer) -> Course:
    issuer = keys.issuer
    good = {alg: _minted(issuer, peer, alg) for alg in ("RS256", "ES256")}
    verifiers = {alg: peer.verifier(keys, alg) for alg in good}
    verify = {alg: _subject(each, good[alg]) for alg, each in verifiers.items() if each is not None}
    get: dict[str, Timed] = {}
    stream: dict[str, Timed] = {}
    app = peer.protected(keys)
    if app is not None:
        expired = _minted(issuer, peer, "RS256", expires_in=-DAY)
        get = {
            "new": requests(app, "/agents", good["RS256"]),
            "seen": requests(app, "/agents", good["RS256"][:1]),
            "expired": requests(app, "/agents", expired, status=401),
        }
        stream = {"stream": requests(app, "/stream", good["RS256"][:1])}
    for each in (*verify.values(), *get.values(), *stream.values()):
        each(2)
    return Course(verify, get, stream)


def _subject(verify: Verify, tokens: Sequence[str]) -> Timed:
    return timed_async(verify, tokens) if is_async(verify) else timed(verify, tokens)


def _minted(issuer: FakeIssuer, peer: Peer, alg: str, expires_in: int = DAY) -> list[str]:
    return [keycloak_token(issuer, alg, expires_in=expires_in, claims=peer.claims) for _ in range(TOKENS)]


def log_alike() -> None:
    """Warnings are made and written as a server does, only to nowhere. Handlers that a peer installed are taken out:

    fastmcp and agno draw each refusal in colour for a terminal, which would cost them ten times the refusal.
    """
    if not logging.root.handlers:
        logging.basicConfig(level=logging.WARNING, filename=os.devnull)
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        own = [handler for handler in logger.handlers if not isinstance(handler, logging.NullHandler)]
        if own:
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.NOTSET)


def main() -> None:
    with FakeIssuer(ISSUER_URL).impersonate() as issuer:
        rows = peers(issuer, QUICK if "--quick" in sys.argv else FULL)
    for row in rows:
        told = "  ".join(f"{column} {value:.2f}" for column, value in row.figures.items())
        print(f"  {row.name:<30}{row.version:<10}{told or row.reason}")


if __name__ == "__main__":
    main()
