"""Which of the copies in a folder is taken where none is named. Others may be able to write there."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pyrage import x25519

from getpro.backups.errors import Damaged, NotThere
from getpro.backups.folder import names
from getpro.backups.manifest import Manifest
from getpro.backups.proof import Proof, proof_of
from getpro.backups.signature import SEALS, Seal

AHEAD: Final = timedelta(days=1)
"""So far a clock may have been ahead; what is dated later is the newest of nothing."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is taken."""

    manifest: Manifest
    seal: Seal
    proof: Proof | None
    passed_over: tuple[str, ...] = ()
    """Those that seem to be newer, and why each was not taken."""


def manifests_in(folder: Path) -> list[Manifest]:
    """Of dumps and base backups, newest first: no catalogue is asked, and no key is needed."""
    found = [manifest for name in names(folder) if (manifest := Manifest.beside(folder, name)) is not None]
    return sorted(found, key=lambda manifest: (manifest.moment, manifest.name), reverse=True)


def dumps_in(folder: Path) -> list[Manifest]:
    return [one for one in manifests_in(folder) if one.physical is None]


def bases_in(folder: Path, identity: x25519.Identity) -> list[Manifest]:
    """Base backups, newest first, but those whose description was changed."""
    return [
        one
        for one in manifests_in(folder)
        if one.physical is not None and one.seal(identity) is not Seal.BROKEN
    ]


def choose(folder: Path, name: str | None, identity: x25519.Identity, *, now: datetime) -> Choice:
    """The dump called so, or the newest of those that are surely ours, and of others where there is none.

    Where the trial of the newest has failed, the newest whose trial went well; where there is none, the
    newest that was not tried. Raises NotThere, and Damaged for one whose description was changed.
    """
    there = dumps_in(folder)
    if name is not None:
        named = next((one for one in there if one.name == name), None)
        if named is None:
            raise NotThere(f"{folder}: копии {name} нет")
        if (seal := named.seal(identity)) is Seal.BROKEN:
            raise Damaged(f"{name}: {SEALS[seal]}")
        return Choice(named, seal, proof_of(folder, named, identity))
    for seals in ({Seal.OURS}, {Seal.OTHER, Seal.NONE}):
        fit = [one for one in there if one.seal(identity) in seals]
        if fit:
            taken = _best(folder, [one for one in fit if one.moment <= now + AHEAD] or fit, identity)
            passed_over = tuple(_passed_over(folder, there, taken, identity, now))
            return Choice(taken, taken.seal(identity), proof_of(folder, taken, identity), passed_over)
    raise NotThere(f"{folder}: копий нет" + "".join(f"; {one.name}: {SEALS[Seal.BROKEN]}" for one in there))


def _best(folder: Path, there: list[Manifest], identity: x25519.Identity) -> Manifest:
    proofs = [(one, proof_of(folder, one, identity)) for one in there]
    newest, last = proofs[0]
    if last is None or last.is_good:
        return newest
    good = (one for one, proof in proofs if proof is not None and proof.is_good)
    untried = (one for one, proof in proofs if proof is None)
    return next(good, None) or next(untried, newest)


def _passed_over(
    folder: Path, there: list[Manifest], taken: Manifest, identity: x25519.Identity, now: datetime
) -> Iterator[str]:
    for one in there:
        if one.moment <= taken.moment:
            continue
        seal = one.seal(identity)
        proof = proof_of(folder, one, identity)
        why = "её время ещё не наступило" if one.moment > now + AHEAD else SEALS.get(seal)
        if why is None and proof is not None and not proof.is_good:
            why = f"её проба {proof.moment:%d.%m.%Y} не прошла: {proof.trouble}"
        yield f"{one.name}: {why or 'её ещё не пробовали, а проба новейшей не прошла'}"
