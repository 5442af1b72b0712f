"""Flight: many wait for one piece of work, from anywhere, and nobody owns it."""

from __future__ import annotations

from oidcbridge.errors import KeysUnavailableError
from oidcbridge.remote.flight import Flight
from tests.remote.loops import LOOPS, Runner


def test_a_flight_ends_once_and_keeps_its_first_error() -> None:
    flight, first = Flight(), KeysUnavailableError("first")
    assert not flight.wait_blocking(0)
    flight.land(first)
    flight.land(None)
    assert flight.error is first
    assert flight.wait_blocking(0)


@LOOPS
def test_who_comes_after_the_end_does_not_wait(run: Runner) -> None:
    flight = Flight()

    async def main() -> None:
        assert not await flight.wait(0.01)
        flight.land(None)
        assert await flight.wait(60)
        assert await flight.wait(0)

    run(main)


@LOOPS
def test_a_loop_that_has_gone_is_no_trouble_when_it_ends(run: Runner) -> None:
    flight = Flight()

    async def main() -> None:
        assert not await flight.wait(0.01)

    run(main)
    run(main)
    flight.land(None)
    assert flight.done
