"""What of this machine can be reached from outside, against what was declared; and its firewall."""

import asyncio
import re
import shutil
import socket
import struct
from collections.abc import AsyncIterator, Collection
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from getpro.checks.check import CALL_SECONDS, Finding, Line
from getpro.kit.trouble import system_words
from getpro.platform.programs import run_program

PORTS: Final = Line("security.ports", "Открытые порты")
FIREWALL: Final = Line("security.firewall", "Файрвол")
PROC: Final = Path("/proc")
_LISTENS: Final = "0A"
"""As /proc/net/tcp has it. Source: include/net/tcp_states.h of Linux."""
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL": "C"}
_COMMANDS: Final = (("ufw", "status"), ("nft", "list", "ruleset"), ("iptables", "-S"))
_KEEPS_OUT: Final = re.compile(r"hook input[^}]*?\b(drop|reject)\b")
"""Of nftables: a chain for what comes in that does not let everything by; others add chains of their own."""
CONTAINER: Final = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""Files by which Docker and Podman tell a program that it is in a container."""
_TURN_ON: Final = "Разрешите 22, 80 и 443 и включите его: ufw allow 22,80,443/tcp; ufw enable."


async def look_at_ports(
    declared: Collection[int], proc: Path = PROC, *, marks: Collection[Path] = CONTAINER
) -> AsyncIterator[Finding]:
    """Whatever listens on an address that others can reach must be declared.

    From inside a container the server's own ports are not to be seen: a person is asked to look.
    """
    if any(mark.exists() for mark in marks):
        wanted = ", ".join(map(str, sorted(declared)))
        yield PORTS.attention("из контейнера не видны", f"На сервере: ss -tlnp; должны быть только {wanted}.")
        return
    try:
        found = await asyncio.to_thread(listening, proc)
    except (OSError, ValueError, IndexError) as error:
        words = system_words(error) if isinstance(error, OSError) else "не разобрать"
        yield PORTS.unknown(f"{proc}/net/tcp: {words}", "Посмотрите сами: ss -tlnp.")
        return
    if surplus := sorted(found - set(declared)):
        ports = ", ".join(map(str, surplus))
        yield PORTS.wrong(
            f"не объявлены: {ports}",
            "Узнайте, чьи они (ss -tlnp), и закройте или добавьте в OPERATIONS_PORTS.",
        )
    else:
        yield PORTS.ok(", ".join(map(str, sorted(found))) or "наружу не открыт ни один")


def listening(proc: Path = PROC) -> set[int]:
    """The TCP ports that listen on more than loopback. Raises OSError, ValueError, IndexError."""
    found = set()
    for name in ("tcp", "tcp6"):
        path = proc / "net" / name
        if name == "tcp6" and not path.exists():  # a machine without IPv6
            continue
        for line in path.read_text(encoding="ascii").splitlines()[1:]:
            local, _, state = line.split()[1:4]
            address, _, port = local.partition(":")
            if state == _LISTENS and not _address(address).is_loopback:
                found.add(int(port, 16))
    return found


def _address(text: str) -> IPv4Address | IPv6Address:
    """From hexadecimal words in the machine's own order of bytes."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    packed = b"".join(struct.pack("=I", word) for word in words)
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6  # noqa: PLR2004 -- bytes of an address
    address = ip_address(socket.inet_ntop(family, packed))
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


async def look_at_firewall(*, marks: Collection[Path] = CONTAINER) -> AsyncIterator[Finding]:
    """By the first of ufw, nftables and iptables that is there: whether it keeps anything out at all."""
    if any(mark.exists() for mark in marks):
        yield FIREWALL.attention(
            "из контейнера не виден", "На сервере: ufw status; порты Docker он не закрывает."
        )
        return
    for command in _COMMANDS:
        if (program := shutil.which(command[0], path=_ENVIRONMENT["PATH"])) is None:
            continue
        try:
            async with asyncio.timeout(CALL_SECONDS):
                ended = await run_program(program, *command[1:], env=_ENVIRONMENT)
        except (OSError, TimeoutError) as error:
            yield FIREWALL.unknown(f"{command[0]}: {type(error).__name__}", "Посмотрите сами: ufw status.")
            return
        yield judged(command[0], ended.code, ended.said.decode(errors="replace") + ended.complained)
        return
    yield FIREWALL.attention("нет ни ufw, ни nftables, ни iptables", "Установите: apt install ufw.")


def judged(program: str, code: int, said: str) -> Finding:
    if code != 0:
        line = (said.strip().splitlines() or ["без объяснений"])[0]
        return FIREWALL.unknown(f"{program}: {line}", "Запустите от root: ufw status.")
    if program == "ufw":
        is_on = said.startswith("Status: active")
    elif program == "nft":
        is_on = _KEEPS_OUT.search(said) is not None
    else:
        is_on = re.search(r"(?m)^-P INPUT DROP|^-A INPUT .*-j (DROP|REJECT)", said) is not None
    if is_on:
        return FIREWALL.ok(f"{program}: включён")
    return FIREWALL.attention(f"{program}: выключен", _TURN_ON)
