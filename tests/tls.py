"""TLS servers with certificates made by openssl."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path


def made(folder: Path, *, days: int, name: str = "localhost") -> tuple[Path, Path]:
    """A certificate that is its own authority, and its key."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-days", str(days), "-subj", f"/CN={name}",
         "-addext", f"subjectAltName=DNS:{name}"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key


@contextlib.asynccontextmanager
async def server(certificate: Path, key: Path) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    here = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context)
    async with here:
        yield f"https://localhost:{here.sockets[0].getsockname()[1]}"
