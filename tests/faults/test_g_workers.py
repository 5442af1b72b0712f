"""G, across the workers of one host: how often they ask together, and what is left when one of them is killed."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from oidcbridge.testing import FakeResponse
from tests.faults.kit import LOAD, stopwatch
from tests.faults.programs import Program, program
from tests.faults.table import Row, scenario
from tests.remote.hostile import HeldIssuer

WORKERS = 8
ROUNDS = 4

#: A worker with a clock of its own: told a number and a token, it lets so many seconds pass and verifies the token.
WORKER = """
from oidcbridge.testing import Clock
clock = Clock()
store = {}
if sys.argv[4]:
    from oidcbridge.stores import FileKeyStore
    store = {"key_store": FileKeyStore(sys.argv[4], clock=clock)}
verifier = Verifier(
    issuer_url=sys.argv[1], audience="agent-api", clock=clock, leeway=300, token_cache=0,
    fetch=FetchOptions(user_agent=sys.argv[2], max_age=float(sys.argv[3])), **store,
)
say("ready")
for line in sys.stdin:
    seconds, token = line.split()
    clock.advance(float(seconds))
    say(verifier.verify_now(token).user_id)
"""


class ClockedIssuer(HeldIssuer):
    """Knows at which moments, on the monotonic clock, each worker asked for the keys."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: defaultdict[str, list[float]] = defaultdict(list)

    def handle(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> FakeResponse:
        if target.endswith("/jwks"):
            lowered = {name.lower(): value for name, value in (headers or {}).items()}
            self.asked[lowered["user-agent"]].append(time.monotonic())
        return super().handle(method, target, headers, body)


@contextmanager
def workers(issuer: HeldIssuer, *, store: str = "", max_age: float = 300.0) -> Iterator[list[Program]]:
    """Eight workers that are ready to verify."""
    with ExitStack() as running:
        started = [
            running.enter_context(program(WORKER, issuer.issuer_url, f"worker-{number}", str(max_age), store))
            for number in range(WORKERS)
        ]
        assert [worker.hear() for worker in started] == ["ready"] * WORKERS
        yield started


def all_verify(started: list[Program], issuer: HeldIssuer, *, after: float = 0.0) -> None:
    for worker in started:
        worker.tell(f"{after} {issuer.mint('ada', expires_in=7200)}")
    assert [worker.hear() for worker in started] == ["ada"] * WORKERS


@scenario("G68")
def test_g68_workers_that_share_a_store_ask_as_often_as_one_and_others_not_all_at_once(
    tmp_path: Path, row: Row
) -> None:
    """Lifetimes pass on the workers' own clocks; those of the refresh ahead, which runs in real time, are 10 s long."""
    shared, alone = ClockedIssuer(), ClockedIssuer()
    with shared.serve(), workers(shared, store=str(tmp_path / "store")) as started:
        for lifetime in range(1 + ROUNDS):
            all_verify(started, shared, after=310.0 if lifetime else 0.0)
            settle_all(shared, at_least=1 + lifetime)
    assert 1 + ROUNDS <= shared.fetches["jwks"] <= 2 + ROUNDS
    with alone.serve(), workers(alone, max_age=10.0) as started:
        all_verify(started, alone)
        assert alone.fetches["jwks"] == WORKERS
        alone.wait_for_fetches(WORKERS + 1)
        time.sleep(2.0)  # the first refresh ahead of each, after 8 to 9 seconds
    pauses = [asked[1] - asked[0] for asked in alone.asked.values()]
    assert alone.fetches["jwks"] == 2 * WORKERS == 2 * len(pauses)
    assert max(pauses) - min(pauses) > 0.15
    row.saw(
        f"all accepted; {WORKERS} workers with a store over {1 + ROUNDS} lifetimes, and without one, de-phased, over 2",
        f"{shared.fetches['jwks']} jwks, without {alone.fetches['jwks']}",
    )


def settle_all(issuer: HeldIssuer, *, at_least: int) -> None:
    """Wait for the fetch of this lifetime, and for those that find it in the store instead of asking themselves."""
    issuer.wait_for_fetches(at_least)
    time.sleep(0.5)


#: Children take the lead, save entry after entry, each of one letter, and are killed in the middle of that.
KILLED = """
import random, signal
from oidcbridge.stores import FileKeyStore
NAME, SIZE = "https://idp.example", 200_000
store = FileKeyStore(sys.argv[1])
async def lead_and_save():
    assert await store.lead(NAME, seconds=60) is not None
    while True:
        for letter in b"abcdefgh":
            await store.save(NAME, bytes([letter]) * SIZE, seconds=60)
async def take_over():
    lead, entry = await store.lead(NAME, seconds=60), await store.load(NAME)
    if lead is not None:
        await lead.end()
    return lead is not None, entry is None or (len(entry), len(set(entry))) == (SIZE, 1), entry is not None
seen = []
for _ in range(60):
    pid = os.fork()
    if pid == 0:
        asyncio.run(lead_and_save())
    time.sleep(random.uniform(0.005, 0.05))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    seen.append(asyncio.run(take_over()))
say("took over", sum(lead for lead, _, _ in seen))
say("read whole", sum(whole for _, whole, _ in seen))
say("read any", any(some for _, _, some in seen))
"""


@scenario("G69")
def test_g69_a_leader_that_is_killed_frees_the_lead_at_once_and_leaves_no_torn_file(tmp_path: Path, row: Row) -> None:
    issuer, store = ClockedIssuer(), str(tmp_path / "store")
    with issuer.serve():
        arguments = "300", store
        token = issuer.mint("ada")
        with (
            program(WORKER, issuer.issuer_url, "leader", *arguments) as leader,
            program(WORKER, issuer.issuer_url, "heir", *arguments) as heir,
        ):
            assert (leader.hear(), heir.hear()) == ("ready", "ready")
            with issuer.hold():
                leader.tell(f"0 {token}")
                issuer.wait_until_held()
                heir.tell(f"0 {token}")
                time.sleep(0.3)
                assert list(issuer.asked) == ["leader"]  # the heir waits for what the leader brings
                leader.kill()
                with stopwatch() as vacant:
                    issuer.wait_until_held(2)
            assert vacant.seconds < 1.0 + LOAD
            assert heir.hear() == "ada"
    assert {name: len(times) for name, times in issuer.asked.items()} == {"leader": 1, "heir": 1}
    with program(KILLED, str(tmp_path / "killed")) as killed:
        assert [killed.hear() for _ in range(3)] == ["took over 60", "read whole 60", "read any True"]
    row.saw("the next one fetched within 1 s; 60 killed amid saving left whole entries", issuer.fetches)
