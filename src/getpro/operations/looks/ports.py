"""What of this machine can be reached from outside, against what was declared; and its firewall."""

import asyncio
import shutil
import socket
import struct
from collections.abc import AsyncIterator, Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from getpro.checks.check import CALL_SECONDS, Finding, Level, Line
from getpro.kit.trouble import system_words
from getpro.operations import container
from getpro.operations.firewalls import FIREWALLS, Firewall
from getpro.platform.programs import Ended, run_program

PORTS: Final = Line("security.ports", "Открытые порты")
FIREWALL: Final = Line("security.firewall", "Файрвол")
PROC: Final = Path("/proc")
_LISTENS: Final = "0A"
"""As /proc/net/tcp has it. Source: include/net/tcp_states.h of Linux."""
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL": "C"}
_ASK: Final = "Спросите от root: ufw status verbose. Смотрит кто-то другой: OPERATIONS_FIREWALL=outside."
_TURN_ON: Final = "Разрешите 22, 80 и 443 и включите его: ufw allow 22,80,443/tcp; ufw enable."
_ELSEWHERE: Final = "Смотрит кто-то другой: OPERATIONS_FIREWALL=outside."
_WATCHED: Final = "смотрит кто-то другой: OPERATIONS_FIREWALL=outside"


async def look_at_ports(
    declared: Collection[int], proc: Path = PROC, *, marks: Collection[Path] = container.MARKS
) -> AsyncIterator[Finding]:
    """Whatever listens on an address that others can reach must be declared.

    From inside a container the server's own ports are not to be seen: a person is asked to look.
    """
    if container.is_around(marks):
        wanted = ", ".join(map(str, sorted(declared)))
        yield PORTS.unknown(
            "из контейнера не видны", f"На сервере: ss -tlnp; должны быть только {wanted}. {_ELSEWHERE}"
        )
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


async def look_at_firewall(*, marks: Collection[Path] = container.MARKS) -> AsyncIterator[Finding]:
    """Whether any of ufw, nftables and iptables that is there keeps out what nobody has let in."""
    if container.is_around(marks):
        yield FIREWALL.unknown("из контейнера не виден", f"На сервере: ufw status verbose. {_ELSEWHERE}")
        return
    found = []
    for firewall in FIREWALLS:
        name, *arguments = firewall.command
        if (program := shutil.which(name, path=_ENVIRONMENT["PATH"])) is None:
            continue
        try:
            async with asyncio.timeout(CALL_SECONDS):
                ended = await run_program(program, *arguments, env=_ENVIRONMENT)
        except (OSError, TimeoutError) as error:
            found.append(FIREWALL.unknown(f"{name}: {type(error).__name__}", _ASK))
        else:
            found.append(judged(firewall, ended))
    yield together(found)


def judged(firewall: Firewall, ended: Ended) -> Finding:
    said = ended.said.decode(errors="replace")
    if ended.code != 0:
        line = (f"{said}{ended.complained}".strip().splitlines() or ["без объяснений"])[0]
        return FIREWALL.unknown(f"{firewall.name}: {line}", _ASK)
    if firewall.keeps_out(said):
        return FIREWALL.ok(f"{firewall.name}: включён")
    return FIREWALL.wrong(f"{firewall.name}: впускает всё, что не запрещено", _TURN_ON)


def together(found: Sequence[Finding]) -> Finding:
    """One that keeps out is enough; one that could not be asked may be it."""
    if not found:
        return FIREWALL.wrong("нет ни ufw, ни nftables, ни iptables", f"apt install ufw. {_TURN_ON}")
    for level in (Level.OK, Level.UNKNOWN):
        for one in found:
            if one.level is level:
                return one
    return found[0]


def watched_outside(line: Line, *, is_root: bool, marks: Collection[Path] = container.MARKS) -> str | None:
    """Where the operators watch the machine themselves: why it cannot be seen from here, None if it can."""
    if line in {PORTS, FIREWALL} and container.is_around(marks):
        return f"из контейнера не видно, {_WATCHED}"
    if line == FIREWALL and not is_root:
        return f"виден только root, {_WATCHED}"
    return None
