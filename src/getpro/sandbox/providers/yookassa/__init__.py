"""YooKassa: its API v3, its payment page, its notices."""

from getpro.sandbox.providers.yookassa.app import YooKassaSimulator, run

__all__ = ["YooKassaSimulator", "run"]
