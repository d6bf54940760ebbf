"""What a firewall says of itself, read: does it keep out whatever no rule of its own lets in?

Only the default counts, a chain's policy or a rule for everything at its end: one that drops a single
address, or what is malformed, leaves the machine open. IPv4; IPv6 is not looked at.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

_UFW_CLOSED: Final = re.compile(r"Status: active\n(.*\n)*?Default: (deny|reject) \(incoming\)")
_VERDICTS: Final = frozenset({"ACCEPT", "DROP", "REJECT", "RETURN"})
_RULE_FOR_ALL: Final = re.compile(
    r'(-m comment --comment ("[^"]*"|\S+) )?-[jg] (?P<target>\S+)( --reject-with \S+)?$'
)
_NFT_TABLE: Final = re.compile(r"^table (ip|inet) \S+ \{(?: #[^\n]*)?$(.*?)^\}$", re.MULTILINE | re.DOTALL)
_NFT_CHAIN: Final = re.compile(r"^\s+chain (\S+) \{(?: #[^\n]*)?$(.*?)^\s+\}$", re.MULTILINE | re.DOTALL)
_NFT_INPUT: Final = re.compile(r"type filter hook input [^;]*;( policy (?P<policy>\w+);)?")
_NFT_RULE_FOR_ALL: Final = re.compile(
    r'((counter( packets \d+ bytes \d+)?|log( (prefix|level|flags|group) ("[^"]*"|\S+))*) )*'
    r"((?P<verdict>accept|drop|return|reject)( with .+?)?|(jump|goto) (?P<chain>\S+))"
    r'( comment "[^"]*")?$'
)


class _Fate(Enum):
    """What becomes of a packet that no rule is made for."""

    LET_IN = "let in"
    KEPT_OUT = "kept out"


@dataclass(slots=True)
class _Chain:
    policy: _Fate | None = None
    """Of a chain that others call, None: they go on."""
    targets: list[str] = field(default_factory=list)
    """Of the rules for everything: a verdict in small letters, or another chain."""


_FATES: Final = {"accept": _Fate.LET_IN, "drop": _Fate.KEPT_OUT, "reject": _Fate.KEPT_OUT}


def _ufw(said: str) -> bool:
    return _UFW_CLOSED.match(said) is not None


def _nftables(said: str) -> bool:
    """Whatever one chain for what comes in keeps out, no other lets in again."""
    for _, rules in _NFT_TABLE.findall(said):
        chains: dict[str, _Chain] = {}
        incoming = []
        for name, body in _NFT_CHAIN.findall(rules):
            chains[name] = chain = _Chain()
            for line in map(str.strip, body.splitlines()):
                if base := _NFT_INPUT.match(line):
                    incoming.append(name)
                    chain.policy = _FATES.get(base["policy"] or "accept")
                elif rule := _NFT_RULE_FOR_ALL.match(line):
                    chain.targets.append(rule["chain"] or rule["verdict"])
        if any(_fate(chains, name) is _Fate.KEPT_OUT for name in incoming):
            return True
    return False


def _iptables(said: str) -> bool:
    """``-P CHAIN POLICY`` and ``-A CHAIN CONDITIONS -j TARGET``."""
    chains: dict[str, _Chain] = {}
    for line in said.splitlines():
        kind, _, rest = line.partition(" ")
        name, _, rule = rest.partition(" ")
        chain = chains.setdefault(name, _Chain())
        if kind == "-P":
            chain.policy = _FATES.get(rule.lower())
        elif kind == "-A" and (for_all := _RULE_FOR_ALL.match(rule)):
            target = for_all["target"]
            chain.targets.append(target.lower() if target in _VERDICTS else target)
    return _fate(chains, "INPUT") is _Fate.KEPT_OUT


def _fate(chains: Mapping[str, _Chain], name: str, above: frozenset[str] = frozenset()) -> _Fate | None:
    """By the first rule for everything that decides, or else the policy."""
    if name in above or (chain := chains.get(name)) is None:
        return None
    for target in chain.targets:
        if target == "return":
            break
        fate = _FATES.get(target) or _fate(chains, target, above | {name})
        if fate is not None:
            return fate
    return chain.policy


@dataclass(frozen=True, slots=True)
class Firewall:
    command: tuple[str, ...]
    keeps_out: Callable[[str], bool]
    """By what the command has said."""

    @property
    def name(self) -> str:
        return self.command[0]


FIREWALLS: Final = (
    Firewall(("ufw", "status", "verbose"), _ufw),
    Firewall(("nft", "list", "ruleset"), _nftables),
    Firewall(("iptables", "-S"), _iptables),
)
