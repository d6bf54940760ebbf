"""Where a request really came from, seen through proxies that we trust and no others."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.requests import Request

from getpro.platform.settings import Network

Address = IPv4Address | IPv6Address


def client_address(
    peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]
) -> Address | None:
    """The first untrusted address from the right of ``X-Forwarded-For`` and the peer.

    ``forwarded_for`` holds the header's values in order, one or several. What stands left of an
    untrusted address was written by that address and proves nothing. None where an address that
    counts cannot be read, e.g. on a unix socket.
    """
    chain = [part.strip() for value in forwarded_for for part in value.split(",")]
    for text in [*([peer] if peer else []), *reversed(chain)]:
        address = _parsed(text)
        if address is None or not any(address in network for network in trusted):
            return address
    return None


def of_request(request: Request, trusted: Sequence[Network]) -> Address | None:
    """:func:`client_address` of a request."""
    peer = request.client.host if request.client else None
    return client_address(peer, request.headers.getlist("x-forwarded-for"), trusted)


def _parsed(text: str) -> Address | None:
    """An address with or without a port; an IPv4 one inside IPv6 counts as IPv4."""
    bare = text.strip().strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
