"""``python -m bench.imports_only``: what any shop on these libraries must load; says "loaded" and waits."""

import sys

import aiogram
import fastapi
import procrastinate
import psycopg
import sqlalchemy.ext.asyncio

LOADED = (aiogram, fastapi, procrastinate, psycopg, sqlalchemy.ext.asyncio)

if __name__ == "__main__":
    sys.stdout.write(f"loaded {len(LOADED)}\n")
    sys.stdout.flush()
    sys.stdin.read()
