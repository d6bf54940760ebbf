"""How the last trial of a copy went, written beside it: the catalogue may be lost with the database."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Self

import structlog
from pydantic import TypeAdapter
from pyrage import x25519

from getpro.backups.folder import PROOF, written
from getpro.backups.manifest import Manifest, described
from getpro.backups.signature import Seal, seal_of, sign
from getpro.kit.trouble import system_words

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Proof:
    """Signed as the description is: else a good copy could be passed off as a bad one."""

    sha256: str
    """Of the archive that was tried."""
    tried_at: str
    """ISO 8601, UTC."""
    trouble: str | None
    signature: str = ""

    @property
    def is_good(self) -> bool:
        return self.trouble is None

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.tried_at)

    def signed(self, identity: x25519.Identity) -> Self:
        return replace(self, signature=sign(self._said(), identity))

    def seal(self, identity: x25519.Identity) -> Seal:
        return seal_of(self._said(), self.signature, identity)

    def _said(self) -> list[str | None]:
        return ["proof", self.sha256, self.tried_at, self.trouble]


def note(
    folder: Path, manifest: Manifest, trouble: str | None, identity: x25519.Identity, *, now: datetime
) -> None:
    """Write down, beside the copy, how a trial went."""
    proof = Proof(manifest.sha256, now.isoformat(), trouble).signed(identity)
    try:
        with written(folder / f"{manifest.name}{PROOF}") as beside:
            beside.write(json.dumps(asdict(proof), ensure_ascii=False, indent=2).encode())
    except OSError as error:
        log.warning("backup.proof_not_noted", backup=manifest.name, error=system_words(error))


def proof_of(folder: Path, manifest: Manifest, identity: x25519.Identity | None) -> Proof | None:
    """None where it was never tried, or that is not surely known."""
    try:
        proof = TypeAdapter(Proof).validate_python(described(folder / f"{manifest.name}{PROOF}"))
        proof.moment  # noqa: B018 -- raises ValueError
    except ValueError:
        return None
    if identity is None or proof.seal(identity) is not Seal.OURS or proof.sha256 != manifest.sha256:
        return None
    return proof
