"""Which addresses a stranger's URL may lead to, and what a host stands for, however it is spelled."""

import unicodedata
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final
from urllib.parse import unquote

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

NOT_PUBLIC_4: Final = tuple(
    map(
        IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
            *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            "168.63.129.16/32",  # the platform itself, seen from a machine at Azure
        ),
    )
)
"""IANA's registry of IPv4 special-purpose addresses, as far as they are not globally reachable; multicast."""

PUBLIC_6: Final = IPv6Network("2000::/3")
"""All that IANA has given out as global unicast (RFC 4291 §2.4)."""

NOT_PUBLIC_6: Final = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
"""What of it is special: Teredo and other protocols, documentation, 6to4."""

NAT64: Final = IPv6Network("64:ff9b::/96")
"""Stands for the IPv4 address in its last 32 bits (RFC 6052)."""

FORBIDDEN_IN_DOMAIN: Final = frozenset("\x7f #%/:<>?@[\\]^|") | {chr(code) for code in range(0x20)}
MAX_PARTS: Final = 4


def parse_host(host: str) -> Address | str:
    """The address that a browser takes `host` for, else the name that it looks up, in ASCII and lower case.

    The host parser of the WHATWG URL standard (§3.5), for http and https. Names are mapped by NFKC and
    IDNA 2003, which tells digits from letters just as UTS 46 does.

    Raises:
        ValueError: no browser accepts it.
    """
    if host.startswith("["):
        if not host.endswith("]") or "%" in host:
            raise ValueError("the host is no valid IPv6 address")
        return _plain(IPv6Address(host[1:-1]))
    domain = unicodedata.normalize("NFKC", unquote(host, errors="strict")).replace("。", ".")
    domain = "".join(each for each in domain if unicodedata.category(each) != "Cf").lower()
    if domain.isascii() and FORBIDDEN_IN_DOMAIN & set(domain):
        raise ValueError("the host holds characters that no host may hold")
    if not domain.isascii():
        domain = domain.encode("idna").decode()
    if any(label.startswith("xn--") and not _is_punycode(label[4:]) for label in domain.split(".")):
        raise ValueError("the host is no valid internationalised name")
    if not domain.strip("."):
        raise ValueError("the host is empty")
    parts = domain.removesuffix(".").split(".")
    return _ipv4(parts) if _is_number(parts[-1]) else domain


def is_permitted(address: Address, allowed: Networks = ()) -> bool:
    """Whether it is a public address, or in one of the networks that an operator has allowed."""
    address = _plain(address)
    if any(address in network for network in allowed):
        return True
    if isinstance(address, IPv4Address):
        return not _in(address, NOT_PUBLIC_4)
    if address in NAT64:
        return is_permitted(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in PUBLIC_6 and not _in(address, NOT_PUBLIC_6)


def _in(address: Address, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in networks)


def _plain(address: Address) -> Address:
    """An IPv4 address in IPv6 clothes (RFC 4291 §2.5.5.2) is what the kernel connects to: that address."""
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _is_punycode(encoded: str) -> bool:
    return not encoded.encode().decode("punycode").isascii()


def _is_number(part: str) -> bool:
    return part.isdigit() or (part.startswith("0x") and _is_hexadecimal(part[2:]))


def _is_hexadecimal(digits: str) -> bool:
    return all(digit in "0123456789abcdef" for digit in digits)


def _ipv4(parts: list[str]) -> IPv4Address:
    """One to four numbers, decimal, octal or hexadecimal; the last fills what the others leave."""
    if len(parts) > MAX_PARTS:
        raise ValueError("the host is no valid IPv4 address")
    *leading, last = (_number(part) for part in parts)
    if any(number > 255 for number in leading) or last >= 256 ** (MAX_PARTS + 1 - len(parts)):
        raise ValueError("the host is no valid IPv4 address")
    return IPv4Address(last + sum(number << (24 - 8 * place) for place, number in enumerate(leading)))


def _number(part: str) -> int:
    if not _is_number(part):
        raise ValueError("the host is no valid IPv4 address")
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8 if part.startswith("0") else 10)
