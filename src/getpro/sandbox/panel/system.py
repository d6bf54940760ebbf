"""``/api/system``: the panel's word about itself, in its shapes."""

from collections import Counter
from typing import Any, Final

from aiohttp import web

from getpro.sandbox.panel.http import answer
from getpro.sandbox.panel.state import State

_COMMIT: Final = "0" * 40
_STATUSES: Final = ("ACTIVE", "DISABLED", "LIMITED", "EXPIRED")


class System:
    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/system/metadata", self._metadata),
            web.get("/api/system/configuration", self._configuration),
            web.get("/api/system/health", self._health),
            web.get("/api/system/stats", self._stats),
        ]

    async def _metadata(self, _: web.Request) -> web.Response:
        commit = {"commitSha": _COMMIT, "commitUrl": f"https://git.example/commit/{_COMMIT}"}
        return answer(
            {
                "version": self._state.edition.version,
                "build": {"time": "2026-01-01T00:00:00Z", "number": "0"},
                "git": {"backend": commit | {"branch": "dev"}, "frontend": commit},
            }
        )

    async def _configuration(self, _: web.Request) -> web.Response:
        domain = self._state.sub_domain().partition("://")[2]  # the panel's setting has no scheme
        return answer(
            {
                "notifications": {
                    "webhook": False,
                    "bandwidthUsage": None,
                    "notConnectedAfter": None,
                    "expirationNotifications": None,
                },
                "service": dict.fromkeys(
                    (
                        "cleanUsageHistory",
                        "disableUserUsageRecords",
                        "disableSrhRecords",
                        "exportToRedisStream",
                    ),
                    False,
                ),
                "misc": {"shortUuidLength": 16, "subPublicDomain": domain, "userUsageIgnoreBelowBytes": 0},
            }
        )

    async def _health(self, _: web.Request) -> web.Response:
        """One process of each kind, at rest."""
        numbers = (
            *("rss", "heapUsed", "heapTotal", "external", "arrayBuffers"),
            *("eventLoopDelayMs", "eventLoopP99Ms", "activeHandles", "uptime", "pid"),
        )
        timestamp = self._milliseconds()
        processes: list[dict[str, Any]] = [
            dict.fromkeys(numbers, 1) | {"timestamp": timestamp, "instanceId": "0", "instanceType": kind}
            for kind in ("api", "scheduler", "processor")
        ]
        return answer({"runtimeMetrics": processes})

    async def _stats(self, _: web.Request) -> web.Response:
        users = self._state.users.values()
        counts = Counter(user.status for user in users)
        online = sum(user.traffic["onlineAt"] is not None for user in users)
        return answer(
            {
                "cpu": {"cores": 2},
                "memory": {"total": 4 * 1024**3, "free": 2 * 1024**3, "used": 2 * 1024**3},
                "uptime": 60,
                "timestamp": self._milliseconds(),
                "users": {
                    "statusCounts": {status: counts[status] for status in _STATUSES},
                    "totalUsers": len(users),
                },
                "onlineStats": {
                    "onlineNow": 0,
                    "lastDay": online,
                    "lastWeek": online,
                    "neverOnline": len(users) - online,
                },
                "nodes": {"totalOnline": 0, "totalBytesLifetime": "0"},
            }
        )

    def _milliseconds(self) -> int:
        return int(self._state.clock().timestamp() * 1000)
