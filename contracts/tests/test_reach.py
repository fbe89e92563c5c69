"""What a stranger's URL may lead to, however it is spelled."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import pytest

from contracts.tests.forbidden_urls import forbidden_urls
from panoreel.contracts.urls import check_http_url
from panoreel.reach.addresses import Address, is_permitted, parse_host
from panoreel.reach.resolution import LOOK_UPS, HostNotFound, NotAllowed, look_up, reachable

CORPUS = forbidden_urls()

PUBLIC = IPv4Address("8.8.8.8")


async def no_name_is_asked_for(name: str) -> Sequence[Address]:
    raise AssertionError(f"{name} was looked up")


async def everything_is_public(_: str) -> Sequence[Address]:
    return (PUBLIC,)


def test_the_corpus_is_what_it_should_be() -> None:
    assert len(CORPUS) == len(set(CORPUS)) >= 100


@pytest.mark.parametrize("url", CORPUS)
async def test_forbidden(url: str) -> None:
    """Refused as a URL, or as an address; no row is let through as a name that might be public."""
    with pytest.raises((ValueError, NotAllowed)):
        await reachable(urlsplit(check_http_url(url)).hostname or "", (), no_name_is_asked_for)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("0x08080808", "8.8.8.8"),
        ("010.8.010.8", "8.8.8.8"),
        ("8.526344", "8.8.8.8"),
        ("8.8.8.8.", "8.8.8.8"),
        ("\uff18\u30028\uff0e8\uff618", "8.8.8.8"),
        ("%38.8.8.8", "8.8.8.8"),
        ("[2606:4700::1111]", "2606:4700::1111"),
        ("[::ffff:8.8.8.8]", "8.8.8.8"),
        ("[64:ff9b::808:808]", "64:ff9b::808:808"),
        ("100.63.255.255", "100.63.255.255"),
        ("100.128.0.0", "100.128.0.0"),
        ("172.15.255.255", "172.15.255.255"),
        ("172.32.0.0", "172.32.0.0"),
        ("223.255.255.255", "223.255.255.255"),
        ("Example.COM", "example.com"),
        ("example.com.", "example.com."),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("1.2.3.4.example", "1.2.3.4.example"),
        ("0xyz", "0xyz"),
        ("a_b.example", "a_b.example"),
    ],
)
async def test_let_through(host: str, expected: str) -> None:
    parsed = parse_host(host)
    assert str(parsed) == expected
    assert await reachable(host, (), everything_is_public) == [PUBLIC if isinstance(parsed, str) else parsed]


@pytest.mark.parametrize(
    ("answers", "reached"),
    [
        (["8.8.8.8", "127.0.0.1"], ["8.8.8.8"]),
        (["::1", "2606:4700::1111", "10.0.0.1", "8.8.8.8"], ["2606:4700::1111", "8.8.8.8"]),
        (["127.0.0.1"], []),
        (["169.254.169.254", "fe80::1"], []),
        (["::ffff:10.0.0.1"], []),
        (["64:ff9b::a00:1"], []),
    ],
)
async def test_of_a_name_only_the_public_addresses(answers: list[str], reached: list[str]) -> None:
    async def resolve(name: str) -> Sequence[Address]:
        assert name == "tricky.example"
        return [ip_address(answer) for answer in answers]

    if reached:
        assert [str(each) for each in await reachable("Tricky.example", (), resolve)] == reached
    else:
        with pytest.raises(NotAllowed):
            await reachable("tricky.example", (), resolve)


@pytest.mark.parametrize(
    ("address", "permitted"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("::ffff:127.0.0.1", True),
        ("::1", False),
        ("64:ff9b::7f00:1", False),
        ("fd00::7", True),
        ("fd01::7", False),
        ("8.8.8.8", True),
    ],
)
def test_what_an_operator_allows(address: str, permitted: bool) -> None:
    allowed = (IPv4Network("127.0.0.1/32"), IPv6Network("fd00::/64"))
    assert is_permitted(ip_address(address), allowed) == permitted


async def test_the_system_is_asked() -> None:
    assert IPv4Address("127.0.0.1") in await look_up("localhost")
    with pytest.raises(HostNotFound):
        await look_up("a" * 64 + ".invalid")  # longer than a label may be: no server is asked


class SlowNames:
    """A name service that answers nobody until it may go on."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go_on = threading.Event()

    def getaddrinfo(self, name: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        self.asked.append(name)
        assert self.go_on.wait(30)
        return [(0, 0, 0, "", ("8.8.8.8", 0))]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowNames]:
    names = SlowNames()
    monkeypatch.setattr("socket.getaddrinfo", names.getaddrinfo)
    yield names
    names.go_on.set()
    for thread in looking_up():
        thread.join(10)


def looking_up() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "look up"]


async def test_look_ups_that_hang_do_not_pile_up(slow: SlowNames) -> None:
    """Nobody waits for one that was given up; those that could not even begin never do."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await asyncio.gather(*(look_up(f"slow-{number}.example") for number in range(3 * LOOK_UPS)))
    assert len(looking_up()) == LOOK_UPS
    later = asyncio.create_task(look_up("later.example"))
    await asyncio.sleep(0.1)
    assert len(slow.asked) == LOOK_UPS
    slow.go_on.set()
    assert await later == [PUBLIC]
    assert slow.asked[LOOK_UPS:] == ["later.example"]
    for thread in looking_up():
        await asyncio.to_thread(thread.join, 10)
    assert looking_up() == []


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "app.localhost"])
async def test_localhost_is_never_asked_for(name: str) -> None:
    addresses = await reachable(name, (IPv6Network("::1/128"),), no_name_is_asked_for)
    assert addresses == [IPv6Address("::1")]
