"""Which addresses are public: by IANA's registries, whatever disguise a private one wears."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from oidcbridge.core.addresses import AddressRule, is_public, parse_networks
from oidcbridge.errors import ConfigurationError

PRIVATE = [
    *("127.0.0.1", "127.255.255.254", "::1"),
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fdff::1"),
    *("0.0.0.0", "0.1.2.3", "::"),
    *("100.64.0.1", "100.100.100.200", "100.127.255.255"),
    *("169.254.169.254", "fe80::1", "fd00:ec2::254", "168.63.129.16", "192.0.0.192"),
    *("224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"),
    *("240.0.0.1", "255.255.255.255"),
    *("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"),
    *("198.18.0.1", "198.19.255.255", "192.88.99.1", "2001:2::1"),
    *("::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:10.0.0.1"),
    *("::10.0.0.1", "::8.8.8.8"),
    *("64:ff9b::a00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1"),
    *("2002:a00:1::1", "2002:808:808::1", "2001::1", "2001:0:a00:1::1", "2001:10::1", "2001:20::1"),
    *("fec0::1", "100::1", "5f00::1", "4000::1"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.255.255.255"),
    *("128.0.0.1", "169.253.255.255", "172.15.255.255", "172.32.0.1", "192.167.255.255", "223.255.255.255"),
    *("2001:200::1", "2001:4860:4860::8888", "2606:4700::1111", "2a00:1450::1", "2003::1", "3ffe::1"),
]


@pytest.mark.parametrize("text", PRIVATE)
def test_an_address_that_is_not_globally_routable_unicast_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))
    assert not AddressRule().allows(text)


@pytest.mark.parametrize("text", PUBLIC)
def test_a_globally_routable_unicast_address_is_public(text: str) -> None:
    assert is_public(ip_address(text))
    assert AddressRule().allows(text)


def test_a_network_that_the_operator_names_is_open_and_its_neighbours_are_not() -> None:
    rule = AddressRule((ip_network("10.20.0.0/16"), ip_network("fd12::/32")))
    assert [rule.allows(text) for text in ("10.20.255.1", "fd12::1", "8.8.8.8")] == [True] * 3
    assert [rule.allows(text) for text in ("10.21.0.1", "fd13::1", "::ffff:10.20.0.1", "127.0.0.1")] == [False] * 4


@pytest.mark.parametrize(
    "text", ["", "id.example.com", "fe80::1%eth0", "2606:4700::1%1", "127.1", "0x7f000001", "8.8.8"]
)
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    assert not AddressRule().allows(text)


def test_networks_are_read_as_an_operator_writes_them() -> None:
    assert parse_networks(["10.0.0.0/8", "::1/128", "192.0.2.7"]) == (
        ip_network("10.0.0.0/8"),
        ip_network("::1/128"),
        ip_network("192.0.2.7/32"),
    )


@pytest.mark.parametrize("text", ["10.0.0.1/8", "id.example.com", "10.0.0.0/33", "*"])
def test_what_is_no_network_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"allowed_networks names .*10\.20\.0\.0/16"):
        parse_networks([text])


@pytest.mark.parametrize("text", ["2606:4700::5efe:a00:1", "2606:4700::200:5efe:808:808"])
def test_an_ipv4_address_in_an_isatap_one_is_not_public(text: str) -> None:
    assert not AddressRule().allows(text)
    assert AddressRule().allows("2606:4700::5eff:a00:1")
