"""Requests per second over HTTP: uvicorn on loopback with keep-alive, protected against unprotected.

python -m benchmarks.over_http [--quick]

The client is one epoll loop over plain sockets, a tenth of the server's work a request: the server is what is measured.
With two cores or more, server and client are pinned to one each.
"""

from __future__ import annotations

import os
import selectors
import socket
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice

from benchmarks.figures import FULL, QUICK, Bar, Effort, Figure, print_figures
from benchmarks.http_server import HttpServer, Stack

CONNECTIONS = 16
BARS = {"seen": Bar(0.97, at_least=True), "least": None, "new": Bar(0.75, at_least=True), "bare": None}
"""Of the uvicorn that ``pip install uvicorn`` runs. The faster one is shown beside it."""
TITLES = {
    "seen": "token seen before",
    "least": "the same, the least that can be",
    "new": "new token",
    "bare": "the same, the bare wrapper",
}
STACKS: Mapping[Stack, str] = {"plain": "h11, asyncio", "fast": "httptools, uvloop"}


def serving(stack: Stack, effort: Effort) -> list[Figure]:
    """The figures of one uvicorn. Linux alone."""
    with _a_core_for_each() as (server_cpu, _), HttpServer(stack, server_cpu) as server:
        ports, tokens = server.started
        requests = {name: cycle(_requests(tokens[:1] if name in ("seen", "least") else tokens)) for name in ports}
        rates: dict[str, list[float]] = {name: [] for name in ports}
        costs: dict[str, list[float]] = {name: [] for name in ports}
        names = list(ports)
        for number in range(-1, effort.http_rounds):  # one to warm up
            first = number % len(names)
            for name in names[first:] + names[:first]:
                batch = list(islice(requests[name], effort.http_requests))
                before, begin = server.cpu_seconds(), time.perf_counter()
                exchange(ports[name], batch)
                seconds, used = time.perf_counter() - begin, server.cpu_seconds() - before
                if number >= 0:
                    rates[name].append(len(batch) / seconds)
                    costs[name].append(used / len(batch) * 1e6)
        hits = server.cache_hits()
    if hits["new"] or not hits["seen"]:
        raise RuntimeError(f"a new token was one that had been seen, or the other way round: {hits}")
    return [_figure(stack, name, rates, costs) for name in BARS]


def _figure(stack: Stack, name: str, rates: Mapping[str, list[float]], costs: Mapping[str, list[float]]) -> Figure:
    rate, reference = (_upper_quartile(rates[each]) for each in (name, "unprotected"))
    cost, free = (statistics.median(costs[each]) for each in (name, "unprotected"))
    return Figure(
        f"http_{stack}_{name}",
        f"requests a second ÷ unprotected ({STACKS[stack]}), {TITLES[name]}",
        rate / reference,
        BARS[name] if stack == "plain" else None,
        detail=f"{rate:,.0f}/s against {reference:,.0f}/s; CPU {cost:.0f} µs against {free:.0f} µs ({free / cost:.3f})",
    )


def _upper_quartile(values: Sequence[float]) -> float:
    """Noise only ever slows down; see `benchmarks.harness.cpu_costs`."""
    return statistics.quantiles(values, n=4, method="inclusive")[2]


def _requests(tokens: Sequence[str]) -> list[bytes]:
    head = "GET /agents HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nAuthorization: Bearer "
    return [f"{head}{token}\r\n\r\n".encode() for token in tokens]


def exchange(port: int, requests: Sequence[bytes]) -> None:
    """Send ``requests`` over `CONNECTIONS` sockets, one at a time on each, and read the answers.

    Raises `RuntimeError` for any answer but 200.
    """
    pending = iter(requests)
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for request in islice(pending, CONNECTIONS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(request)
            selector.register(connection, selectors.EVENT_READ, bytearray())
        while selector.get_map():
            for key, _ in selector.select():
                _go_on(selector, key, pending)


def _go_on(selector: selectors.BaseSelector, key: selectors.SelectorKey, pending: Iterator[bytes]) -> None:
    """Read what has come; where it is the whole answer, send the next request."""
    connection = key.fileobj
    assert isinstance(connection, socket.socket)
    answer: bytearray = key.data
    received = connection.recv(65_536)
    answer += received
    if not answer.startswith(b"HTTP/1.1 200 "[: len(answer)]) or not received:
        raise RuntimeError(f"the server answered {bytes(answer[:60])!r}")
    head, end_of_head, body = answer.partition(b"\r\n\r\n")
    if not end_of_head or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
        return
    answer.clear()
    following = next(pending, None)
    if following is not None:
        connection.sendall(following)
    else:
        selector.unregister(connection)


@contextmanager
def _a_core_for_each() -> Iterator[tuple[int | None, int | None]]:
    """Pin this process, the client, to a core of its own; yields the server's core and the client's."""
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        yield None, None
        return
    server, client = sorted(before)[:2]
    os.sched_setaffinity(0, {client})
    try:
        yield server, client
    finally:
        os.sched_setaffinity(0, before)


def main() -> None:
    for stack in STACKS:
        print_figures(f"uvicorn, {STACKS[stack]}", serving(stack, QUICK if "--quick" in sys.argv else FULL))


if __name__ == "__main__":
    main()
