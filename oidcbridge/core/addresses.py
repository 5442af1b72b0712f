"""Which addresses a name may lead to, where a stranger had a say in the name: decided on numbers alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from oidcbridge.errors import ConfigurationError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: All that IANA has given out as global unicast. What carries an IPv4 address in disguise (IPv4-mapped and -compatible,
#: NAT64) lies outside, and so do unique local, link-local, site-local and multicast addresses.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
#: Not public, whatever this Python's `ipaddress` says: its tables differ from release to release (IANA's registries of
#: special-purpose addresses, RFC 6890).
_NOT_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # Azure's own host agent, at an address that looks public
        "2001::/23",  # protocols, among them Teredo, which carries an IPv4 address (RFC 4380)
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries one too (RFC 3056)
        "3fff::/20",
    )
)


@dataclass(frozen=True, slots=True)
class AddressRule:
    """Globally routable unicast addresses, and those in the networks that the operator names."""

    allowed_networks: tuple[Network, ...] = ()

    def allows(self, address: str) -> bool:
        """Whether a connection to ``address`` may be made. What is no plain address (one with a zone) may not."""
        try:
            number = ip_address(address)
        except ValueError:
            return False
        if isinstance(number, IPv6Address) and number.scope_id is not None:
            return False
        return any(number in network for network in self.allowed_networks) or is_public(number)


def is_public(number: Address) -> bool:
    """Whether the address is a globally routable unicast one."""
    if isinstance(number, IPv6Address) and number not in _GLOBAL_UNICAST:
        return False
    if isinstance(number, IPv6Address) and int(number) >> 32 & 0xFDFFFFFF == 0x5EFE:
        return False  # ISATAP carries an IPv4 address in any prefix (RFC 5214 section 6.1)
    return number.is_global and not number.is_multicast and not any(number in network for network in _NOT_PUBLIC)


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks as an operator writes them. Raises `ConfigurationError` for what is none, or has host bits set."""
    networks: list[Network] = []
    for text in texts:
        try:
            networks.append(ip_network(text))
        except ValueError:
            raise ConfigurationError(
                f'allowed_networks names {text!r}, which is no network: allowed_networks=["10.20.0.0/16"]'
            ) from None
    return tuple(networks)
