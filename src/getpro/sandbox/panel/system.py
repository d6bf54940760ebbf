"""The panel's word about itself, in its shapes."""

from typing import Any

_COMMIT = "0" * 40


def metadata(version: str) -> dict[str, Any]:
    git = {"commitSha": _COMMIT, "branch": "dev", "commitUrl": f"https://git.example/commit/{_COMMIT}"}
    front = {"commitSha": _COMMIT, "commitUrl": f"https://git.example/commit/{_COMMIT}"}
    return {
        "version": version,
        "build": {"time": "2026-01-01T00:00:00Z", "number": "0"},
        "git": {"backend": git, "frontend": front},
    }


def squad_object(uuid: str, name: str, members: int) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "viewPosition": 1,
        "name": name,
        "info": {"membersCount": members, "inboundsCount": 0},
        "inbounds": [],
        "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z",
    }
