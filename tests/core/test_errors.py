"""The error tree: stable words for logs and metrics, and nothing told to clients that helps an attacker."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from oidcbridge import errors
from oidcbridge.errors import AccessDeniedError, ClaimError, ExpiredTokenError, KeysUnavailableError, OIDCBridgeError


def tree(root: type[OIDCBridgeError] = OIDCBridgeError) -> Iterator[type[OIDCBridgeError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


def test_every_error_of_the_module_hangs_on_the_one_tree_and_is_drawn_in_it() -> None:
    classes = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)}
    assert classes == set(tree())
    drawing = errors.__doc__ or ""
    assert set(re.findall(r"\w+Error", drawing)) == {error.__name__ for error in classes}


@pytest.mark.parametrize("error", list(tree()))
def test_codes_are_snake_case_words(error: type[OIDCBridgeError]) -> None:
    assert re.fullmatch("[a-z]+(_[a-z]+)*", error.code)
    assert re.fullmatch("[a-z]+(_[a-z]+)*", error.public_code)


def test_every_leaf_has_a_code_of_its_own() -> None:
    codes = [error.code for error in tree() if not error.__subclasses__()]
    assert len(codes) == len(set(codes)) >= 18


def test_a_client_is_told_of_expiry_and_of_no_other_fault_of_a_token() -> None:
    public = {error: error.public_code for error in tree(errors.TokenError)}
    assert public.pop(ExpiredTokenError) == "token_expired"
    assert set(public.values()) == {"invalid_token"}


def test_an_outage_looks_the_same_whatever_failed_and_says_when_to_come_back() -> None:
    assert {error.public_code for error in tree(errors.ProviderError)} == {"provider_unavailable"}
    assert KeysUnavailableError("x").retry_after == 5
    assert KeysUnavailableError("x", retry_after=120).retry_after == 120


def test_an_error_carries_what_its_answer_needs() -> None:
    assert ClaimError("wrong", claim="aud").claim == "aud"
    assert AccessDeniedError("no", scopes=iter(["a", "b"])).scopes == ("a", "b")
    assert AccessDeniedError("no").scopes == ()
    assert str(AccessDeniedError("no", scopes=["a"])) == "no"
