"""PostgreSQL: the embedded server that needs no setting, and the tools for any server.

Imports nothing heavier than the standard library, so that ``2getpro psql`` answers at once.
"""

from getpro.platform.postgres.cluster import Cluster, default_directory
from getpro.platform.postgres.tools import (
    Tools,
    embedded_major,
    embedded_tools,
    external_tools,
    tools_for,
    tools_for_our_own,
)

__all__ = [
    "Cluster",
    "Tools",
    "default_directory",
    "embedded_major",
    "embedded_tools",
    "external_tools",
    "tools_for",
    "tools_for_our_own",
]
