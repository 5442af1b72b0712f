"""Signatures at the edges of their encodings: one text for one signature, and nothing that only looks like one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.attacks.forge import Attack, Twin, World, decode, encode

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P256_FIELD = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def parts(token: str) -> tuple[str, bytes]:
    """What is signed, and the signature's bytes."""
    message, _, signature = token.rpartition(".")
    return message, decode(signature)


def attacks(world: World) -> Iterator[Attack]:
    yield from _ecdsa(world)
    yield from _rsa(world)
    yield from _cube_roots(world)
    yield from _pss(world)
    yield from _ed25519(world)
    yield from _transplants(world)


def _ecdsa(world: World) -> Iterator[Attack]:
    message, raw = parts(world.main.sign())
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    n, p = P256_ORDER, P256_FIELD
    edges = {"0": 0, "1": 1, "n-1": n - 1, "n": n, "n+1": n + 1, "p": p, "2^256-1": 2**256 - 1}
    why = "0 < r, s < n, and both of this message (RFC 7518 3.4; CVE-2022-21449)"
    for r_name, one in {**edges, "r": r}.items():
        for s_name, other in {**edges, "s": s}.items():
            if (r_name, s_name) != ("r", "s"):
                data = one.to_bytes(32) + other.to_bytes(32)
                yield Attack(f"ECDSA r={r_name} s={s_name}", f"{message}.{encode(data)}", why)
    first, second = raw[:32], raw[32:]
    wide_r, wide_s = (r + n).to_bytes(33), (s + n).to_bytes(33)
    shapes = {
        "empty": b"", "one half": first, "a byte short": raw[:-1], "a byte more": raw + b"\0",
        "a byte before": b"\0" + raw,
        "33 bytes each": b"\0" + first + b"\0" + second, "48 bytes each": b"\0" * 16 + first + b"\0" * 16 + second,
        "r + n": wide_r + b"\0" + second, "s + n": b"\0" + first + wide_s, "both + n": wide_r + wide_s,
        "halves changed about": second + first, "r negated": (n - r).to_bytes(32) + second, "little-endian": raw[::-1],
        "DER": encode_dss_signature(r, s), "DER, high s": encode_dss_signature(r, n - s),
        "DER of 0, 0": encode_dss_signature(0, 0),
        "hexadecimal": raw.hex().encode(), "base64 twice": encode(raw).encode(), "twice": raw + raw,
        "64 zeros": b"\0" * 64 + raw,
        "20 kB": raw * 150, "text": b"signature",
        "SHA-256 of the message": hashlib.sha256(message.encode()).digest() * 2,
    }  # fmt: skip
    for name, data in shapes.items():
        yield Attack(f"ECDSA {name}", f"{message}.{encode(data)}", "r and s, 32 bytes each (RFC 7518 3.4)")


def _rsa(world: World) -> Iterator[Attack]:
    message, raw = parts(world.main.sign(alg="RS256"))
    native: Any = world.main.key("RS256").private_key.get_op_key("sign")
    numbers = native.private_numbers()
    n, value = numbers.public_numbers.n, int.from_bytes(raw)
    shapes = {
        "empty": b"", "zero": bytes(256), "one": (1).to_bytes(256), "n-1": (n - 1).to_bytes(256), "n": n.to_bytes(256),
        "a byte short": raw[:-1], "a byte less in front": raw[1:], "a zero before": b"\0" + raw,
        "a zero behind": raw + b"\0",
        "plus n": (value + n).to_bytes(257), "negated": (n - value).to_bytes(256), "backwards": raw[::-1],
        "twice": raw + raw,
        "half": raw[:128], "hexadecimal": raw.hex().encode(), "all ones": b"\xff" * 256,
    }  # fmt: skip
    for name, data in shapes.items():
        yield Attack(
            f"RSA {name}", f"{message}.{encode(data)}", "as long as the modulus, and below it (RFC 8017 8.2.2)"
        )
    for name, block in _padded(hashlib.sha256(message.encode()).digest()).items():
        data = pow(int.from_bytes(block), numbers.d, n).to_bytes(256)
        why = "the one encoding of RFC 8017 section 9.2 (Bleichenbacher 2006)"
        yield Attack(f"RSA padding: {name}", f"{message}.{encode(data)}", why)


def _cube_roots(world: World) -> Iterator[Attack]:
    """Forged without any private key: a cube begins as the block does, and what follows is never looked at."""
    site, key = world.main, world.cubic
    message = site.sign(header={"alg": "RS256", "kid": key.kid}, key=key).rpartition(".")[0]
    info = SHA256_INFO + hashlib.sha256(message.encode()).digest()
    for fill in (0, 1, 8, 24):
        start = b"\0\1" + b"\xff" * fill + b"\0" + info
        root = _cube_root(int.from_bytes(start + b"\xff" * (256 - len(start))))
        assert (root**3).to_bytes(256).startswith(start)
        forged = f"{message}.{encode(root.to_bytes(256))}"
        yield Attack(f"RSA with e = 3, {fill} bytes of fill", forged, "the whole block counts (Bleichenbacher 2006)")


def _cube_root(number: int) -> int:
    """The largest whole number whose cube is not above ``number``."""
    low, high = 0, 1 << (number.bit_length() // 3 + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**3 <= number else (low, middle - 1)
    return low


def _padded(digest: bytes) -> dict[str, bytes]:
    """Blocks of 256 bytes that a lax reader takes for EMSA-PKCS1-v1_5."""

    def block(tail: bytes, start: bytes = b"\0\1", fill: bytes = b"\xff", end: bytes = b"\0") -> bytes:
        return start + fill * (256 - len(start) - len(end) - len(tail)) + end + tail

    info = SHA256_INFO + digest
    short = b"\0\1" + b"\xff" * 8 + b"\0" + info
    return {
        "block type 2": block(info, b"\0\2"), "block type 0": block(info, b"\0\0"),
        "leading byte 1": block(info, b"\1\1"),
        "filled with FE": block(info, fill=b"\xfe"), "filled with zeros": block(info, fill=b"\0"),
        "no separator": block(info, end=b"\xff"),
        "garbage behind": short + b"\xaa" * (256 - len(short)), "zeros behind": short + bytes(256 - len(short)),
        "garbage in the middle": b"\0\1" + b"\xff" * 8 + b"\0" + b"\xaa" * (256 - 11 - len(info)) + info,
        "bare digest": block(digest),
        "no NULL": block(bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + digest),
        "parameters of garbage": block(
            bytes.fromhex("3035301106096086480165030402010404deadbeef0420") + digest
        ),
        "long form of a length": block(bytes.fromhex("308131300d060960864801650304020105000420") + digest),
        "indefinite length": block(b"\x30\x80" + SHA256_INFO[2:] + digest + b"\0\0"),
        "OID of SHA-1": block(bytes.fromhex("3021300906052b0e03021a05000414") + digest[:20]),
        "OID of SHA-512": block(bytes.fromhex("3051300d060960864801650304020305000440") + digest * 2),
        "OID of MD5": block(bytes.fromhex("3020300c06082a864886f70d020505000410") + digest[:16]),
        "a digest too short": block(SHA256_INFO + digest[:31]),
        "a digest too long": block(SHA256_INFO + digest + b"\0"),
        "a byte changed in the fill": block(info)[:100] + b"\0" + block(info)[101:],
    }  # fmt: skip


def _pss(world: World) -> Iterator[Attack]:
    message, _ = parts(world.main.sign(alg="PS256"))
    native: Any = world.main.key("PS256").private_key.get_op_key("sign")
    sha256, sha1, sha512 = hashes.SHA256(), hashes.SHA1(), hashes.SHA512()
    mgf = padding.MGF1(sha256)
    variants: dict[str, tuple[Any, Any]] = {
        "no salt": (padding.PSS(mgf, 0), sha256),
        "a salt of 20": (padding.PSS(mgf, 20), sha256),
        "a salt of 31": (padding.PSS(mgf, 31), sha256),
        "a salt of 33": (padding.PSS(mgf, 33), sha256),
        "the longest salt": (padding.PSS(mgf, padding.PSS.MAX_LENGTH), sha256),
        "MGF1 with SHA-1": (padding.PSS(padding.MGF1(sha1), 32), sha256),
        "MGF1 with SHA-512": (padding.PSS(padding.MGF1(sha512), 32), sha256),
        "SHA-512": (padding.PSS(padding.MGF1(sha512), 64), sha512),
        "SHA-1": (padding.PSS(padding.MGF1(sha1), 20), sha1),
        "PKCS #1": (padding.PKCS1v15(), sha256),
    }
    for name, (scheme, digest) in variants.items():
        data = native.sign(message.encode(), scheme, digest)
        yield Attack(f"PSS {name}", f"{message}.{encode(data)}", "salt and MGF1 are fixed (RFC 7518 3.5)")


def _ed25519(world: World) -> Iterator[Attack]:
    message, raw = parts(world.main.sign(alg="Ed25519"))
    point, s = raw[:32], int.from_bytes(raw[32:], "little")
    order = ED25519_ORDER
    identity, torsion = (
        b"\1" + bytes(31),
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    )
    high = raw[:63] + bytes([raw[63] | 0x20])
    shapes = {
        "empty": b"", "zeros": bytes(64), "ones": b"\xff" * 64, "a byte short": raw[:-1], "a byte more": raw + b"\0",
        "S + L": point + (s + order).to_bytes(32, "little"), "S + 2L": point + (s + 2 * order).to_bytes(32, "little"),
        "S = L": point + order.to_bytes(32, "little"), "S = 0": point + bytes(32),
        "S negated": point + (order - s).to_bytes(32, "little"),
        "a high bit of S": high, "the top bit of S": raw[:63] + bytes([raw[63] | 0x80]),
        "R of order 1": identity + raw[32:],
        "R of order 1, S = 0": identity + bytes(32), "R of order 8": torsion + raw[32:],
        "R of order 8, S = 0": torsion + bytes(32),
        "R with its sign turned": raw[:31] + bytes([raw[31] ^ 0x80]) + raw[32:],
        "R = p": (2**255 - 19).to_bytes(32, "little") + raw[32:],
        "R = p + 1, S = 0": (2**255 - 18).to_bytes(32, "little") + bytes(32), "halves changed about": raw[32:] + point,
        "big-endian S": point + raw[:31:-1], "hexadecimal": raw.hex().encode(), "twice": raw + raw,
    }  # fmt: skip
    for name, data in shapes.items():
        yield Attack(f"Ed25519 {name}", f"{message}.{encode(data)}", "S below L, R of this message (RFC 8032 5.1.7)")
    native: Any = world.main.key("Ed25519").private_key.get_op_key("sign")
    hashed = native.sign(hashlib.sha512(message.encode()).digest())
    yield Attack("Ed25519 of the message's hash", f"{message}.{encode(hashed)}", "pure Ed25519 (RFC 8037 3.1)")


def _transplants(world: World) -> Iterator[Attack]:
    site = world.main
    good, other = site.sign(), site.sign({"sub": "eve"})
    head, body, signature = good.split(".")
    for alg in ("RS256", "PS256", "Ed25519", "ES512"):
        foreign = site.sign(alg=alg).rpartition(".")[2]
        yield Attack(f"the signature of an {alg} token", f"{head}.{body}.{foreign}", "of another key")
        swapped = site.sign(alg=alg).partition(".")[0]
        yield Attack(f"the header of an {alg} token", f"{swapped}.{body}.{signature}", "the header is signed")
    pieces = other.split(".")
    yield Attack("the signature of another token", f"{head}.{body}.{pieces[2]}", "of another message")
    yield Attack("the payload of another token", f"{head}.{pieces[1]}.{signature}", "the payload is signed")
    without_dot = site.key().sign(f"{head}{body}".encode())
    yield Attack("signed without the dot", f"{head}.{body}.{encode(without_dot)}", "the dot is signed (RFC 7515 5.1)")
    decoded = site.key().sign(decode(head) + b"." + decode(body))
    yield Attack(
        "signed before encoding", f"{head}.{body}.{encode(decoded)}", "what is signed is encoded (RFC 7515 5.1)"
    )
    payload_only = site.key().sign(body.encode())
    yield Attack("only the payload signed", f"{head}.{body}.{encode(payload_only)}", "the header is signed")
    for kid, by in ((site.key().kid, world.forger), (site.key("RS256").kid, world.rsa_forger)):
        forged = site.sign(header={"alg": by.alg, "kid": kid}, key=by)
        yield Attack(f"forged as {by.alg}", forged, "of a key that nobody published")


def twins(world: World) -> Iterator[Twin]:
    for alg in ("ES256", "RS256", "PS256", "Ed25519", "ES512"):
        yield Twin(f"{alg}, once more", world.main.sign({"turn": 1}, alg=alg))
    cubic = {"alg": "RS256", "kid": world.cubic.kid}
    yield Twin("RS256 with e = 3", world.main.sign(header=cubic, key=world.cubic))
    message, raw = parts(world.main.sign())
    s = int.from_bytes(raw[32:])
    # ECDSA is malleable and RFC 7518 3.4 asks for no low s: the same claims, of the same signer, so the same person.
    for name, half in {"low": min(s, P256_ORDER - s), "high": max(s, P256_ORDER - s)}.items():
        yield Twin(f"ES256 with its {name} s", f"{message}.{encode(raw[:32] + half.to_bytes(32))}")
