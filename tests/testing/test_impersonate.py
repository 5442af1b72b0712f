"""An app that names its issuer at import is answered in process."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from oidcbridge.core.policy import FetchOptions
from oidcbridge.errors import ConfigurationError, ProviderError
from oidcbridge.remote import http
from oidcbridge.testing import FakeIssuer

ISSUER = "https://idp.test/realms/a"


def fetch_keys(url: str = f"{ISSUER}/jwks") -> object:
    return json.loads(asyncio.run(http.fetch(url, FetchOptions(deadline=2))).body)


def test_the_librarys_requests_to_the_origin_are_answered_in_process_on_every_thread() -> None:
    with FakeIssuer(ISSUER, algorithms=("ES256",)).impersonate() as issuer:
        assert fetch_keys() == issuer.jwks()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(fetch_keys).result() == issuer.jwks()
    assert issuer.fetches["jwks"] == 2


def test_an_outage_is_a_provider_error_and_ends() -> None:
    with FakeIssuer(ISSUER, algorithms=("ES256",)).impersonate() as issuer:
        with issuer.outage(), pytest.raises(ProviderError):
            fetch_keys()
        assert fetch_keys() == issuer.jwks()


def test_two_issuers_at_two_origins_do_not_mix_and_one_origin_has_one_issuer() -> None:
    ours, theirs = FakeIssuer(ISSUER, algorithms=("ES256",)), FakeIssuer("https://other.test", algorithms=("ES256",))
    with ours.impersonate(), theirs.impersonate():
        assert fetch_keys() == ours.jwks()
        assert fetch_keys("https://other.test/jwks") == theirs.jwks()
        with pytest.raises(ConfigurationError, match="already"), FakeIssuer(ISSUER, algorithms=()).impersonate():
            pass
    assert (ours.fetches["jwks"], theirs.fetches["jwks"]) == (1, 1)


def test_an_issuer_without_a_url_cannot_impersonate() -> None:
    with pytest.raises(ConfigurationError, match="give it a url"), FakeIssuer(url=None).impersonate():
        pass
