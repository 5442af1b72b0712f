"""What a client may write as the target of a request, in bytes, and what a server makes of it.

For the table of paths: each trick is tried on a page that is public, on one that is not, and on a public folder.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote

PAGES = ("/health", "/admin", "/public/a")
#: ``{}`` stands for the page.
TRICKS = (
    "{}", "{}/", "{}//", "{}.", "{}%2e", "{}/.", "{}/..", "{}~", "{}:80", "{}@admin", "{}+", "{}$", "{},admin", "{}|",
    # Segments that are empty or lead up, in the clear and encoded once, twice, three times.
    "/{}", "//{}", "/.{}", "/x/..{}", "/x/%2e%2e{}", "/x/%252e%252e{}", "/%2e{}", "/%2e%2e{}", "/..{}",
    "{}/../admin", "{}/%2e%2e/admin", "{}/%2E%2E/admin", "{}/.%2e/admin", "{}/%252e%252e/admin",
    "{}/%25252e%25252e/admin", "{}/./admin", "{}//admin", "{}/x/../../admin", "{}/..;/admin", "{}/..%00/admin",
    # Separators that are none, or not yet.
    "%2f{}", "{}%2f", "{}%2fadmin", "{}%2Fadmin", "{}%252fadmin", "{}%2f..%2fadmin", "{}/..%2fadmin", "{}/..%252fadmin",
    "\\{}", "{}\\", "{}\\..\\admin", "{}/..\\admin", "{}%5c", "{}%5c..%5cadmin", "{}/..%5cadmin", "{}/..%255cadmin",
    "{}%c0%afadmin", "{}%ef%bc%8fadmin", "{}%e2%88%95admin", "{}%u002fadmin",
    # What ends a line or a string for some readers.
    "{}%0a", "{}%0d", "{}%0d%0a", "{}%00", "{}%00.html", "{}%09", "{}%0b", "{}%1b", "{}%20", "%20{}", "{}%7f", "{}%85",
    "{}%c2%85", "{}%c2%a0", "{}%e2%80%a8", "{}%ef%bb%bf", "{}%ff", "{}%", "{}%zz", "{}%0aX:%20y",
    # Parameters, queries and fragments.
    "{};", "{};x=1", "{};/health", "{};jsessionid=1/admin", "{}%3b", "{}?", "{}?x=1", "{}?/health", "{}?/public/",
    "{}%3f", "{}%3f/health", "{}%3fx=/../health", "{}%23", "{}%23/health", "{}#", "{}#/health", "{}&/health",
    # Other authorities, and other forms of a target (RFC 9112 section 3.2).
    "http://evil.example{}", "https://127.0.0.1{}", "http:{}", "//evil.example{}", "http://evil.example/health?{}",
    "javascript:{}", "/http://evil.example{}", "evil.example:443{}",
)  # fmt: skip
ALONE = (
    "*", "/", "//", "health", "admin", "public/a", "/%68ealth", "/%2568ealth", "/h%65%61lth", "/%61dmin", "/HEALTH",
    "/Health", "/ADMIN", "/Public/a", "/health%41", "/heal%74h%2f", "/public", "/public/", "/public/%61", "/public/*",
    "/public/admin%0a", "/exact", "/exact/", "/exact//", "/exact/.", "/exact%2f", "/exact/%0a", "/h\u00e9alth",
    "/%e2%84%8eealth", "/%ef%bd%88ealth", "/he%c5%bflth", "/sub/health", "/sub/admin", "/sub/public/a",
    "/sub/../health", "/sub//health", "/subhealth", "/api/health", "/apihealth", "1/health", "/1/health", "/v1/health",
    "api/health",
)  # fmt: skip


class Target(NamedTuple):
    """The target of a request line as bytes, and what uvicorn puts of it into the scope."""

    written: bytes

    @property
    def raw_path(self) -> bytes:
        """As it was sent, without the query."""
        return self.written.partition(b"?")[0]

    @property
    def query(self) -> bytes:
        """What stands behind the first question mark."""
        return self.written.partition(b"?")[2]

    @property
    def path(self) -> str:
        """Decoded once."""
        return unquote(self.raw_path.decode("latin-1"))


def _targets() -> tuple[Target, ...]:
    texts = [trick.replace("{}", page) for page in PAGES for trick in TRICKS] + list(ALONE)
    return tuple(Target(text.encode("utf-8")) for text in dict.fromkeys(texts))


TARGETS = _targets()
