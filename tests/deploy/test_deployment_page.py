"""The page that brings a new version and takes it back: its steps fit the stack that they are for."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/deployment/README.md").read_text(encoding="utf-8")
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
ONCE = {"postgres"}
"""What it is given of ``deploy`` is read when the database is made, and never again."""


def commands(section: str) -> list[str]:
    """The lines of the section's first block."""
    block = re.search(rf"(?ms)^## {section}$.*?^```\n(.*?)^```$", PAGE)
    assert block is not None
    return block[1].splitlines()


@pytest.mark.parametrize("section", ["Обновить", "Вернуть прежнюю версию"])
def test_whoever_reads_files_of_the_project_begins_anew_with_another_version(section: str) -> None:
    """``up`` compares docker-compose.yml only: files that changed beneath a mounted folder go unnoticed."""
    reading = {
        name
        for name, service in SERVICES.items()
        if any(volume.startswith("./deploy/") for volume in service.get("volumes", []))
    }
    typed = commands(section)
    [restart] = [line for line in typed if line.startswith("docker-compose restart")]
    assert set(restart.split()[2:]) == reading - ONCE
    assert typed.index("./2getpro monitoring") < typed.index("docker-compose up -d") < typed.index(restart)


def test_a_database_goes_back_although_somebody_is_connected(server: str) -> None:
    """As postgres-exporter always is."""
    [line] = [line for line in PAGE.splitlines() if "DROP DATABASE" in line and line.startswith("docker")]
    name = f"back_{uuid4().hex[:8]}"
    steps = re.findall(r"-c '([^']+)'", line)
    typed = [step.replace("2getpro_v2", name).replace(" OWNER getpro", "") for step in steps]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as postgres:
        postgres.execute(f'CREATE DATABASE "{name}"')
        with psycopg.connect(f"{server}/{name}"):
            for step in typed:
                postgres.execute(step.encode())
        postgres.execute(f'DROP DATABASE "{name}"')
    assert len(typed) == 2
    assert "ON_ERROR_STOP=1" in line
