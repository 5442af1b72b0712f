"""One input, tried: built into a token or a request, sent by every way in, and each answer judged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from oidcbridge import Principal, Verifier
from oidcbridge.errors import OIDCBridgeError
from tests.attacks.forge import encode
from tests.fuzz.arena import Arena, Place, open_arena, run_now
from tests.fuzz.cases import Case, Kind, as_text, edited, parse_case
from tests.fuzz.odd_requests import try_request
from tests.fuzz.oracle import must_be_log_line, must_be_refusal, must_be_right, must_tell_nothing
from tests.fuzz.watch import Watch, watching
from tests.fuzz.wrong import must

MAX_CPU_SECONDS = 0.5  # instrumented, and for four verifications; else it is a tenth of that
CAME_IN = "principal"


class Target:
    """What the fuzzer calls."""

    def __init__(self, arena: Arena, watch: Watch) -> None:
        self.arena = arena
        self._watch = watch

    def try_input(self, data: bytes) -> str:
        """What became of an input: ``principal``, ``anonymous`` or an error's code.

        Raises `WrongError` where something does not hold, and whatever else the library lets through.
        """
        case, started = parse_case(data), time.thread_time()
        outcome = self._try(case)
        if time.thread_time() - started > MAX_CPU_SECONDS:  # once more: the garbage collector may have come by
            started = time.thread_time()
            self._try(case)
            must(time.thread_time() - started <= MAX_CPU_SECONDS, "it takes too long")
        return outcome

    def _try(self, case: Case) -> str:
        self._watch.start()
        if case.kind is Kind.REQUEST:
            token, outcome = self.arena.good, try_request(self.arena, case)
        else:
            place = self.arena.places[case.place % len(self.arena.places)]
            token, signed = build_token(case, place, self.arena)
            outcome = self._try_token(place, token, signed)
        for line in self._watch.lines:
            must_tell_nothing(line, token, "the log")
            must_be_log_line(line)
        must(not self._watch.outside, f"the world outside was asked: {self._watch.outside}")
        must(self.arena.world.fetches() == self.arena.fetches, "the provider was asked again")
        return outcome

    def _try_token(self, place: Place, token: str, signed: str | None) -> str:
        ways = [(place.fixed, True), (place.remote, False), (place.remote, True), (place.several, False)]
        found = [self._ask(one, token, sync=sync) for one, sync in ways if one is not None]
        for one in found:
            if isinstance(one, Principal):
                must(token == signed or (signed is None and place.has_signed(token)), "in with a token nobody signed")
                must_be_right(one, place.name, place.site, token)
        must(found[0] == found[1] == found[2], f"the ways in disagree: {found}")
        # Where there are several issuers, the token may name another than its signer's, and fall short of that one.
        must(len({isinstance(one, Principal) for one in found}) == 1, f"with several issuers it is not so: {found}")
        return CAME_IN if isinstance(found[0], Principal) else found[0]

    def _ask(self, verifier: Verifier, token: str, *, sync: bool) -> Principal | str:
        """The principal, or the code of the error."""
        try:
            return verifier.verify_now(token) if sync else run_now(verifier.verify(token))
        except OIDCBridgeError as error:
            must_be_refusal(error, token)
            return error.code


def build_token(case: Case, place: Place, arena: Arena) -> tuple[str, str | None]:
    """The token to try, and the one that the issuer's key has signed on the way, if any."""
    if case.kind is Kind.TEXT:
        return as_text(case.field(0)), None
    key, header, payload = place.key(case.choice), case.field(0), case.field(1)
    encoded = (encode(header), encode(payload)) if case.kind is Kind.JSON else (as_text(header), as_text(payload))
    signed = place.site.text(*encoded, key=key or arena.world.forger)
    return edited(signed, case.fields[2:]), signed if key else None


@contextmanager
def open_target() -> Iterator[Target]:
    """The target, with all its verifiers open and everything watched."""
    with watching() as watch, open_arena() as arena:
        yield Target(arena, watch)
