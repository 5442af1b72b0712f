"""RSA keys of the broken generator of CVE-2017-15361 (ROCA): anybody can factor them, and so sign for them.

Its primes are ``k * M + (65537^a mod M)`` with M the product of the first primes, so that the modulus is a power of
65537 modulo each of them: which is how such a key is known, by its public half alone (Nemec et al., CCS 2017).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import prod

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicKey,
    RSAPublicNumbers,
    rsa_crt_dmp1,
    rsa_crt_dmq1,
    rsa_crt_iqmp,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import RSAKey

from oidcbridge import Verifier
from oidcbridge.errors import ConfigurationError, KeyNotFoundError
from oidcbridge.testing import FakeIssuer, FakeKey

E = 65537
SMALL_PRIMES = [number for number in range(2, 702) if all(number % divisor for divisor in range(2, number))]
M = prod(SMALL_PRIMES)  # of 126 primes, as for moduli of 2048 bits


def is_prime(number: int, randomness: random.Random) -> bool:
    """Miller and Rabin, eight times."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(8):
        power = pow(randomness.randrange(2, number - 1), odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def weak_prime(randomness: random.Random) -> int:
    """1,024 bits, with the two highest set."""
    lowest, highest = (3 << 1022) // M + 1, (1 << 1024) // M - 1
    while True:
        number = randomness.randrange(lowest, highest) * M + pow(E, randomness.getrandbits(64), M)
        if is_prime(number, randomness):
            return number


def weak_key() -> RSAPrivateKey:
    randomness = random.Random(15361)
    p, q = weak_prime(randomness), weak_prime(randomness)
    d = pow(E, -1, (p - 1) * (q - 1))
    crt = rsa_crt_dmp1(d, p), rsa_crt_dmq1(d, q), rsa_crt_iqmp(p, q)
    return RSAPrivateNumbers(p, q, d, *crt, RSAPublicNumbers(E, p * q)).private_key()


@pytest.fixture(scope="module")
def weak() -> RSAPrivateKey:
    return weak_key()


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer("https://roca.idp.test", algorithms=("RS256",)).impersonate() as issuer:
        yield issuer


def test_a_published_key_of_the_broken_generator_opens_nothing_and_leaves_the_others_in_use(
    issuer: FakeIssuer, weak: RSAPrivateKey
) -> None:
    key = FakeKey("weak", "RS256", RSAKey.import_key(weak))
    issuer.publish(key)
    with issuer.verifier() as verifier:
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        with pytest.raises(KeyNotFoundError):
            verifier.verify_now(issuer.mint("root", key=key))


def test_nor_is_such_a_key_taken_from_the_code(issuer: FakeIssuer, weak: RSAPrivateKey) -> None:
    pem = weak.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(ConfigurationError):
        Verifier(verification_keys=[pem])
    assert Verifier(verification_keys=[issuer.signing_key().public_pem()]).health()[0].usable


def test_the_weak_key_is_one_and_honest_ones_are_not(issuer: FakeIssuer, weak: RSAPrivateKey) -> None:
    def has_fingerprint(n: int) -> bool:
        return all(n % prime in {pow(E, power, prime) for power in range(prime)} for prime in SMALL_PRIMES[1:40])

    assert weak.key_size == 2048
    assert has_fingerprint(weak.public_key().public_numbers().n)
    honest = issuer.signing_key().private_key.get_op_key("verify")
    assert isinstance(honest, RSAPublicKey)
    assert not has_fingerprint(honest.public_numbers().n)
