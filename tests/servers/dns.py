"""A name server on loopback whose answers may change from one question to the next (RFC 1035)."""

import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from random import randrange

from tests.servers.needs import unmet

PORT = 53
A, CNAME, AAAA, IN = 1, 5, 28, 1
NO_ERROR, NAME_ERROR = 0x8180, 0x8183
"""A response with recursion, as a resolver of the system's expects it."""

SILENCE = "silence"

ASKING = """
mount --bind "$1/resolv.conf" /etc/resolv.conf
[ ! -e /etc/nsswitch.conf ] || mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf
shift
exec "$@"
"""


class NameServer:
    """`names` has the answers of each name, of which the last one stays. Each is a list of addresses, perhaps
    behind `CNAME other.name`; or `SILENCE`. Other names do not exist.
    """

    def __init__(self, directory: Path, address: str) -> None:
        self.names: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self._turns: dict[str, str] = {}
        (directory / "resolv.conf").write_text(
            f"nameserver {address}\nsearch .\noptions timeout:5 attempts:1\n"
        )
        (directory / "nsswitch.conf").write_text("hosts: dns\n")
        self.within = ["unshare", "--mount", "--", "sh", "-ec", ASKING, "sh", str(directory)]
        """Before a command: it runs as the same process, but asks this server."""

    def answer(self, query: bytes) -> bytes | None:
        """To one question; whoever looks a name up asks for A first, then for AAAA."""
        name, end = _name(query, 12)
        (kind,) = struct.unpack_from("!H", query, end)
        if kind == A:
            self.asked.append(name)
            turns = self.names.get(name, [""])
            self._turns[name] = turns.pop(0) if len(turns) > 1 else turns[0]
        turn = self._turns.get(name, "")
        if turn == SILENCE:
            return None
        records = _records(turn, kind)
        flags = NO_ERROR if turn else NAME_ERROR
        return (
            query[:2]
            + struct.pack("!5H", flags, 1, len(records), 0, 0)
            + query[12 : end + 4]
            + b"".join(records)
        )


@contextmanager
def serve_names(directory: Path) -> Iterator[NameServer]:
    """Only root may take port 53, and show a process another resolv.conf(5): others skip the test."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"]).returncode != 0:
        unmet("only root may let a process ask a name server of the test's")
    address = f"127.77.{randrange(256)}.{randrange(1, 255)}"
    server = NameServer(directory, address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((address, PORT))
        listening.settimeout(0.1)
        ended = threading.Event()
        thread = threading.Thread(target=_listen, args=(listening, server, ended))
        thread.start()
        try:
            yield server
        finally:
            ended.set()
            thread.join()


def _listen(listening: socket.socket, server: NameServer, ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            query, client = listening.recvfrom(512)
        except TimeoutError:
            continue
        if answer := server.answer(query):
            listening.sendto(answer, client)


def _name(message: bytes, at: int) -> tuple[str, int]:
    """The name there, in lower case, and where it ends."""
    labels = []
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode().lower())
        at += 1 + length
    return ".".join(labels), at + 1


def _records(turn: str, kind: int) -> list[bytes]:
    owner, records = b"\xc0\x0c", []  # the question's name
    words = turn.split()
    if words[:1] == ["CNAME"]:
        alias = b"".join(bytes([len(label)]) + label.encode() for label in words[1].split(".")) + b"\0"
        records.append(_record(owner, CNAME, alias))
        owner, words = alias, words[2:]
    for address in map(ip_address, words):
        if kind == (A if address.version == 4 else AAAA):
            records.append(_record(owner, kind, address.packed))
    return records


def _record(owner: bytes, kind: int, data: bytes) -> bytes:
    """It may be kept for no time at all."""
    return owner + struct.pack("!HHIH", kind, IN, 0, len(data)) + data
