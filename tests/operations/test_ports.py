"""What can be reached from outside, on this machine and as /proc would tell it."""

import socket
from pathlib import Path

import pytest

from getpro.checks.check import Level
from getpro.operations.looks import ports

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def line(local: str, state: str = "0A") -> str:
    return f"   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 1 1\n"


def written(proc: Path, *, tcp: str = "", tcp6: str | None = None) -> Path:
    (proc / "net").mkdir()
    (proc / "net/tcp").write_text(HEAD + tcp)
    if tcp6 is not None:
        (proc / "net/tcp6").write_text(HEAD + tcp6)
    return proc


def test_only_what_listens_beyond_loopback_counts(tmp_path: Path) -> None:
    proc = written(
        tmp_path,
        tcp=line("0100007F:1F90") + line("00000000:0016") + line("0500000A:01BB", state="01"),
        tcp6=line("00000000000000000000000001000000:2378")  # ::1
        + line("00000000000000000000000000000000:0050")  # ::
        + line("0000000000000000FFFF00000100007F:2379"),  # ::ffff:127.0.0.1
    )
    assert ports.listening(proc) == {22, 80}


def test_a_socket_of_this_machine_is_seen_where_others_can_reach_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as inside, socket.create_server(("", 0)) as outside:
        found = ports.listening()
        assert inside.getsockname()[1] not in found
        assert outside.getsockname()[1] in found


async def test_a_port_that_nobody_declared_is_red(tmp_path: Path) -> None:
    proc = written(tmp_path, tcp=line("00000000:0016") + line("00000000:1538"))
    [found] = [one async for one in ports.look_at_ports([22, 443], proc, marks=())]
    assert (found.level, found.seen) == (Level.WRONG, "не объявлены: 5432")
    [fine] = [one async for one in ports.look_at_ports([22, 5432], proc, marks=())]
    assert fine.level is Level.OK


async def test_a_machine_that_does_not_tell_is_red(tmp_path: Path) -> None:
    [found] = [one async for one in ports.look_at_ports([22], tmp_path, marks=())]
    assert found.level is Level.UNKNOWN
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(HEAD + "nonsense\n")
    [found] = [one async for one in ports.look_at_ports([22], tmp_path, marks=())]
    assert found.level is Level.UNKNOWN


@pytest.mark.parametrize(
    ("program", "code", "said", "level"),
    [
        ("ufw", 0, "Status: active\n\nTo   Action  From\n", Level.OK),
        ("ufw", 0, "Status: inactive\n", Level.ATTENTION),
        ("ufw", 1, "ERROR: You need to be root to run this script\n", Level.UNKNOWN),
        (
            "nft",
            0,
            "table inet filter {\n chain input { type filter hook input; policy drop; }\n}\n",
            Level.OK,
        ),
        ("nft", 0, "table ip docker {\n chain f { type filter hook forward; drop }\n}\n", Level.ATTENTION),
        ("nft", 0, "", Level.ATTENTION),
        ("iptables", 0, "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n", Level.ATTENTION),
        ("iptables", 0, "-P INPUT DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT\n", Level.OK),
        ("iptables", 4, "Permission denied (you must be root)\n", Level.UNKNOWN),
    ],
)
def test_a_firewall_is_judged_by_what_it_says(program: str, code: int, said: str, level: Level) -> None:
    assert ports.judged(program, code, said).level is level


async def test_this_machines_firewall_can_be_asked() -> None:
    [found] = [one async for one in ports.look_at_firewall(marks=())]
    assert found.seen


async def test_a_container_does_not_pass_its_own_ports_for_the_servers(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    mark.touch()
    proc = written(tmp_path, tcp=line("00000000:0016"))
    [found] = [one async for one in ports.look_at_ports([22], proc, marks=[mark])]
    assert (found.level, "ss -tlnp" in found.remedy) == (Level.ATTENTION, True)
    [found] = [one async for one in ports.look_at_firewall(marks=[mark])]
    assert (found.level, "ufw status" in found.remedy) == (Level.ATTENTION, True)
