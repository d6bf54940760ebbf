"""Crypto Pay: its API, a page to pay on, its signed notices."""

from getpro.sandbox.providers.cryptopay.app import CryptoPaySimulator, run

__all__ = ["CryptoPaySimulator", "run"]
