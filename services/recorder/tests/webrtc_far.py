"""Run in a network namespace: has the given hosts behind one wire, prints which of them hear anything."""

import socket
import subprocess
import sys
import threading
import time

PORT = 5000
SET_UP = (
    "link set lo up",
    "link set far up",
    "address add 9.9.9.2/24 dev far",
    "-6 address add 2620:fe::2/64 dev far nodad",
    "route add default via 9.9.9.1",
    "-6 route add default via 2620:fe::1",
)


def main(hosts: list[str]) -> None:
    """Begin when there is a wire, end with standard input."""
    print("ready", flush=True)
    while "far" not in (name for _, name in socket.if_nameindex()):
        time.sleep(0.02)
    addresses = [f"address add {host} dev far {'nodad' if ':' in host else ''}" for host in hosts]
    for command in (*SET_UP, *addresses):
        subprocess.run(["ip", *command.split()], check=True)
    heard: set[str] = set()

    def listen(host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as listening:
            listening.bind((host, PORT))
            listening.recv(2000)
            heard.add(host)

    for host in hosts:
        threading.Thread(target=listen, args=[host], daemon=True).start()
    sys.stdin.read()
    print(*sorted(heard))


if __name__ == "__main__":
    main(sys.argv[1:])
