"""What copies cost on a database of about a gigabyte, beside the guide's own lines, in one run.

``PYTHONPATH=src:. python -m bench.copies [--messages N] [--write]``; the table stands in docs/development/copies.md.
"""

import argparse
import asyncio
import contextlib
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import psycopg

from bench.data import Amounts, fill
from getpro import migrations
from getpro.backups import dump, service, store, stream
from getpro.backups.deps import Deps
from getpro.backups.folder import LATEST
from getpro.backups.keys import keys
from getpro.backups.recovery import Target, chain_for, recover
from getpro.backups.restore import decrypt, require_whole, restore
from getpro.backups.retention import Keep
from getpro.backups.states import BackupKind
from getpro.backups.store import Backup
from getpro.bootstrap.backups import sell_once
from getpro.kit.clock import utc_now
from getpro.platform.database import Database
from getpro.platform.postgres import Cluster, tools_for

PAGE: Final = Path(__file__).parent.parent / "docs/development/copies.md"
_MIB: Final = 1024**2
_MAJOR: Final = 18
_TURNS: Final = 3
