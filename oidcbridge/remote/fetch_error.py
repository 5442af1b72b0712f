"""FetchError: what went wrong with one fetch, in words that may be logged."""

from __future__ import annotations

from collections.abc import Iterator

from oidcbridge.errors import ProviderError


class FetchError(ProviderError):
    """One fetch failed. ``kind`` is a stable word, ``status`` the HTTP status if there was one."""

    code = "fetch_failed"

    def __init__(
        self, message: str, *, kind: str, status: int | None = None, retry_after_header: str | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retry_after_header = retry_after_header


def describe(error: BaseException) -> str:
    """What the HTTP client says of it, made harmless: one line of ASCII, at most 300 characters."""
    text = str(error) or type(error).__name__
    return ascii(text)[1:-1][:300]


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
