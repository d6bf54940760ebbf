"""What can be reached from outside, on this machine and as /proc would tell it."""

import socket
from pathlib import Path
from typing import Any

import pytest

from getpro.bootstrap.backups import Preparing
from getpro.bootstrap.operations import operations_deps
from getpro.checks.check import Finding, Level, run
from getpro.kit.clock import utc_now
from getpro.operations import container
from getpro.operations.firewalls import FIREWALLS
from getpro.operations.looks import ports
from getpro.operations.looks.dependencies import VULNERABLE
from getpro.operations.routines import ROUTINES, _or_absent
from getpro.platform.bot_api import BotApi
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.programs import Ended
from getpro.sandbox.shop.product import SandboxSettings

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


UFW = """Status: active
Logging: on (low)
Default: {} (incoming), allow (outgoing), disabled (routed)
New profiles: skip

To                         Action      From
--                         ------      ----
22,80,443/tcp              ALLOW IN    Anywhere
"""
NFT = """table inet filter {{
	chain input {{
		type filter hook input priority filter; policy {};
		ct state invalid drop
		ct state vmap {{ established : accept, related : accept }}
		iifname "lo" accept
		tcp dport {{ 22, 80, 443 }} accept
		{}
	}}

	chain forward {{
		type filter hook forward priority filter; policy drop;
	}}

	chain others {{
		ip saddr 10.0.0.0/8 accept
		counter packets 3 bytes 180 drop
	}}
}}
"""
FIREWALLD = """table inet firewalld { # progname firewalld
	flags owner,persist

	chain filter_INPUT {
		type filter hook input priority filter + 10; policy accept;
		ct state { established, related } accept
		iifname "lo" accept
		jump filter_INPUT_ZONES
		ct state invalid drop
		reject with icmpx admin-prohibited
	}

	chain filter_INPUT_ZONES {
		goto filter_IN_public
	}

	chain filter_IN_public {
		tcp dport 22 accept
	}
}
"""
IPTABLES = """-P INPUT {}
-P FORWARD DROP
-N OTHERS
-A INPUT -i lo -j ACCEPT
-A INPUT -s 203.0.113.7/32 -j DROP
-A INPUT -p tcp -m multiport --dports 22,80,443 -j ACCEPT
{}
-A OTHERS -s 10.0.0.0/8 -j ACCEPT
-A OTHERS -m comment --comment "the rest" -j REJECT --reject-with icmp-port-unreachable
"""


def heard(name: str, said: str, *, code: int = 0, complained: str = "") -> Finding:
    [firewall] = [one for one in FIREWALLS if one.name == name]
    return ports.judged(firewall, Ended(code, said.encode(), complained))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ufw", UFW.format("deny")),
        ("ufw", UFW.format("reject")),
        ("nft", NFT.format("drop", "")),
        ("nft", NFT.format("accept", "drop")),
        ("nft", NFT.format("accept", 'log prefix "out: " counter packets 0 bytes 0 reject comment "rest"')),
        ("nft", NFT.format("accept", "jump others")),
        ("nft", FIREWALLD),
        ("nft", "table ip nat {\n}\n" + NFT.format("accept", "") + NFT.format("drop", "")),
        ("iptables", IPTABLES.format("DROP", "")),
        ("iptables", IPTABLES.format("ACCEPT", "-A INPUT -j REJECT --reject-with icmp-host-prohibited")),
        ("iptables", IPTABLES.format("ACCEPT", "-A INPUT -j OTHERS")),
        ("iptables", IPTABLES.format("DROP", "-A INPUT -j RETURN\n-A INPUT -j ACCEPT")),
    ],
)
def test_a_firewall_that_lets_in_only_what_was_allowed_is_fine(name: str, said: str) -> None:
    found = heard(name, said)
    assert (found.level, found.seen) == (Level.OK, f"{name}: включён")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ufw", "Status: inactive\n"),
        ("ufw", UFW.format("allow")),
        ("nft", ""),
        ("nft", NFT.format("accept", "")),
        ("nft", NFT.format("accept", "ip saddr 203.0.113.7 drop")),
        ("nft", NFT.format("drop", "accept")),
        ("nft", NFT.format("drop", "").replace("inet", "ip6")),
        ("nft", NFT.format("drop", "").replace("hook input", "hook output")),
        ("nft", NFT.format("accept", "jump nowhere")),
        ("iptables", IPTABLES.format("ACCEPT", "")),
        ("iptables", IPTABLES.format("ACCEPT", "-A INPUT -p icmp -j DROP")),
        ("iptables", IPTABLES.format("DROP", "-A INPUT -j ACCEPT")),
        ("iptables", "-P INPUT ACCEPT\n-A INPUT -j LOOP\n-A LOOP -j LOOP\n"),
    ],
)
def test_a_firewall_that_lets_in_whatever_was_not_forbidden_is_red(name: str, said: str) -> None:
    found = heard(name, said)
    assert (found.level, "ufw enable" in found.remedy) == (Level.WRONG, True)


@pytest.mark.parametrize("name", ["ufw", "nft", "iptables"])
def test_a_firewall_that_does_not_answer_is_unknown_by_its_own_words(name: str) -> None:
    found = heard(name, "", code=4, complained="Permission denied (you must be root)\n")
    assert found.level is Level.UNKNOWN
    assert found.seen == f"{name}: Permission denied (you must be root)"


def test_one_firewall_that_keeps_out_is_enough_and_one_that_is_silent_may_be_it() -> None:
    off = heard("ufw", "Status: inactive\n")
    silent = heard("nft", "", code=1)
    on = heard("iptables", IPTABLES.format("DROP", ""))
    assert ports.together([off, silent, on]) == on
    assert ports.together([off, silent]) == silent
    assert ports.together([off]) == off
    assert ports.together([]).level is Level.WRONG


async def test_this_machines_firewall_can_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By programs that say what the real ones do, found and run as those are."""
    monkeypatch.setitem(ports._ENVIRONMENT, "PATH", f"{tmp_path}:/usr/bin:/bin")

    def install(name: str, arguments: str, said: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\n[ \"$*\" = '{arguments}' ] && cat <<'END'\n{said}\nEND\n")
        (tmp_path / name).chmod(0o755)

    async def judged() -> tuple[Level, str]:
        [found] = [one async for one in ports.look_at_firewall(marks=())]
        return found.level, found.seen

    assert await judged() == (Level.WRONG, "нет ни ufw, ни nftables, ни iptables")
    install("ufw", "status verbose", "Status: inactive")
    assert await judged() == (Level.WRONG, "ufw: впускает всё, что не запрещено")
    install("iptables", "-S", IPTABLES.format("DROP", ""))
    assert await judged() == (Level.OK, "iptables: включён")
    install("iptables", "-L", "")
    assert await judged() == (Level.UNKNOWN, "iptables: без объяснений")


async def test_a_container_does_not_pass_its_own_ports_for_the_servers(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    mark.touch()
    proc = written(tmp_path, tcp=line("00000000:0016"))
    [found] = [one async for one in ports.look_at_ports([22], proc, marks=[mark])]
    assert (found.level, "ss -tlnp" in found.remedy) == (Level.UNKNOWN, True)
    [wall] = [one async for one in ports.look_at_firewall(marks=[mark])]
    assert (wall.level, "ufw status" in wall.remedy) == (Level.UNKNOWN, True)
    assert all("OPERATIONS_FIREWALL=outside" in one.remedy for one in (found, wall))


def test_operators_who_watch_the_machine_themselves_are_told_only_what_can_be_seen(tmp_path: Path) -> None:
    def hidden(*, is_root: bool, marks: list[Path]) -> list[bool]:
        asked = (ports.PORTS, ports.FIREWALL, VULNERABLE)
        return [ports.watched_outside(one, is_root=is_root, marks=marks) is not None for one in asked]

    assert hidden(is_root=True, marks=[tmp_path]) == [True, True, False]
    assert hidden(is_root=False, marks=[]) == [False, True, False]
    assert hidden(is_root=True, marks=[]) == [False, False, False]


@pytest.mark.parametrize(("firewall", "level"), [("here", Level.UNKNOWN), ("outside", Level.ABSENT)])
async def test_a_shop_in_a_container_says_who_watches_the_machine(
    firewall: str, level: Level, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "is_around", lambda _: True)
    values: dict[str, Any] = {
        "telegram": {"bot_token": "42:TEST"},
        "panel": {"url": "http://127.0.0.1:9", "token": "t"},
        "operations": {"firewall": firewall},
    }
    settings = SandboxSettings(**values)
    made = Jobs("postgresql://nobody@127.0.0.1:9/nothing")
    backups = Preparing(settings, db=db, database_url="")
    deps = operations_deps(settings, db=db, jobs=made, api=BotApi(settings.telegram), backups=backups)
    checks = ROUTINES["wednesday"].checks(deps, utc_now())
    found = await run([_or_absent(one, deps) for one in checks if one.line in {ports.PORTS, ports.FIREWALL}])
    assert [(one.name, one.level) for one in found] == [
        ("security.ports", level),
        ("security.firewall", level),
    ]
