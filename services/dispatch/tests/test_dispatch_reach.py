"""URLs that no caller may send us to are refused by name, before a task exists."""

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Network, ip_address

import pytest

from panoreel.dispatch.parameters import InvalidParam
from panoreel.dispatch.reach import check_reach
from panoreel.reach.addresses import Address
from panoreel.reach.resolution import HostNotFound

NAMES = {"public.test": "8.8.8.8", "private.test": "10.0.0.1", "both.test": "10.0.0.1 8.8.8.8"}


async def resolve(name: str) -> Sequence[Address]:
    if name == "slow.test":
        await asyncio.sleep(60)
    if name not in NAMES:
        raise HostNotFound
    return [ip_address(address) for address in NAMES[name].split()]


@pytest.mark.parametrize(
    "url",
    [
        "https://8.8.8.8/page",
        "https://user:password@public.test:8443/page?token=x",
        "https://both.test/",
        "https://[2606:4700::1111]/",
        "http://missing.test/",  # whoever records it tells
        "http://127.0.0.1:8100/",  # allowed
    ],
)
async def test_accepted(url: str) -> None:
    await check_reach("RecordURL", url, (IPv4Network("127.0.0.0/8"),), resolve)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://user:s3cr3t@127.0.0.1/s3cr3t", "must lead to a public address"),
        ("http://0x7f.1/s3cr3t", "must lead to a public address"),
        ("http://[::ffff:10.0.0.1]:80/s3cr3t", "must lead to a public address"),
        ("http://private.test/s3cr3t", "must lead to a public address"),
        ("http://localhost./s3cr3t", "must lead to a public address"),
        ("http://256.0.0.1/s3cr3t", "must have a valid host"),
        ("http://a%00b/s3cr3t", "must have a valid host"),
    ],
)
async def test_refused(url: str, why: str) -> None:
    with pytest.raises(InvalidParam, match=f"CallbackURL {why}") as refusal:
        await check_reach("CallbackURL", url, (), resolve)
    assert "s3cr3t" not in str(refusal.value)
    assert "10.0.0.1" not in str(refusal.value)


async def test_a_slow_name_server_does_not_hold_up_the_answer() -> None:
    async with asyncio.timeout(20):
        await check_reach("RecordURL", "http://slow.test/", (), resolve)
