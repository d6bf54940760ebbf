"""By what stands beside a copy in clear it is known whether the machine that made the copy said it.

Whoever may write to the folder or the bucket could pass an old copy off as a new one: it is its description
that says its name and moment, and which archive they belong to. docs/decisions/0032-signed-descriptions.md
"""

import hashlib
import hmac
import json
from enum import Enum, auto
from typing import Any, Final

from pyrage import x25519

_PURPOSE: Final = b"2getpro: descriptions of copies"
_KNOWN_BY: Final = 16
"""So many digits tell one key from another."""


class Seal(Enum):
    """What is known of a signature, from best to worst."""

    OURS = auto()
    """It is of the key at hand, and fits."""
    OTHER = auto()
    """It is of another key, or there is no key at hand: nothing is known."""
    NONE = auto()
    """There is none: a program of before has said it, or somebody else."""
    BROKEN = auto()
    """It is of the key at hand, and does not fit: what it says was changed."""


SEALS: Final = {
    Seal.OTHER: "печать другого ключа, её не проверить",
    Seal.NONE: "без печати: описана прежней программой или не этим магазином",
    Seal.BROKEN: "печать не сходится, описание подменили или оно испорчено",
}
"""For an operator; nothing is said of what is well."""


def known_as(identity: x25519.Identity) -> str:
    """A short sign of a key that tells nothing of it."""
    return hashlib.sha256(str(identity.to_public()).encode()).hexdigest()[:_KNOWN_BY]


def sign(said: Any, identity: x25519.Identity) -> str:
    """``said`` is what JSON can hold."""
    key = hmac.digest(str(identity).encode(), _PURPOSE, "sha256")
    text = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    return f"{known_as(identity)}:{hmac.digest(key, text, 'sha256').hex()}"


def seal_of(said: Any, signature: str, identity: x25519.Identity | None) -> Seal:
    if not signature:
        return Seal.NONE
    if identity is None or signature.partition(":")[0] != known_as(identity):
        return Seal.OTHER
    fits = hmac.compare_digest(signature.encode(), sign(said, identity).encode())
    return Seal.OURS if fits else Seal.BROKEN
