"""Names looked up and checked before a connection is made: for hosts that a stranger's token had a say in.

The address that was checked is the one that is connected to. A client that looks the name up a second time may be told
another one (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import socket

from oidcbridge.core.addresses import AddressRule

#: How many of a name's addresses are tried, one after the other, within the deadline of the fetch.
MAX_ADDRESSES = 4


class AddressRefusedError(OSError):
    """A name leads where no connection may be made."""


async def checked_addresses(host: str, rule: AddressRule) -> list[str]:
    """The addresses of ``host``, each allowed by ``rule``; at most four, in the system's order.

    Raises `AddressRefusedError` where any one of them is not: a name that has a public address and an internal one is
    an attack, or a mistake. Raises ``socket.gaierror`` where there are none.
    """
    loop = asyncio.get_running_loop()
    answers = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    for address in addresses:
        if not rule.allows(address):
            raise AddressRefusedError(
                f"{host} leads to {address[:64]!a}, which is no public address; where that is meant, name its network"
                " in DynamicIssuers(allowed_networks=)"
            )
    if not addresses:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return addresses[:MAX_ADDRESSES]
