"""2GETPRO v2: a VPN subscription shop in Telegram that runs itself."""

__version__ = "2.0.0"
