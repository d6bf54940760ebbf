"""What the app can be paid in, and what it is worth."""

from decimal import Decimal
from typing import Any, Final

ASSETS: Final[dict[str, tuple[str, str, int]]] = {
    "USDT": ("Tether", "1", 6),
    "TON": ("Toncoin", "3", 9),
    "BTC": ("Bitcoin", "100000", 8),
    "ETH": ("Ethereum", "4000", 8),
    "LTC": ("Litecoin", "100", 8),
    "BNB": ("Binance Coin", "900", 8),
    "TRX": ("Tron", "0.3", 6),
    "USDC": ("USD Coin", "1", 6),
}
"""Code: name, US dollars for one, decimals."""
FIATS: Final[dict[str, tuple[str, str]]] = {
    "USD": ("United States dollar", "1"),
    "EUR": ("Euro", "1.1"),
    "RUB": ("Russian ruble", "0.0125"),
    "BYN": ("Belarusian ruble", "0.3"),
    "UAH": ("Ukrainian hryvnia", "0.024"),
    "GBP": ("Pound sterling", "1.3"),
    "CNY": ("Chinese yuan", "0.14"),
    "KZT": ("Kazakhstani tenge", "0.002"),
    "UZS": ("Uzbekistani som", "0.00008"),
    "GEL": ("Georgian lari", "0.37"),
    "TRY": ("Turkish lira", "0.025"),
    "AMD": ("Armenian dram", "0.0025"),
    "THB": ("Thai baht", "0.03"),
    "INR": ("Indian rupee", "0.0125"),
    "BRL": ("Brazilian real", "0.2"),
    "IDR": ("Indonesian rupiah", "0.00008"),
    "AZN": ("Azerbaijani manat", "0.5"),
    "AED": ("United Arab Emirates dirham", "0.25"),
    "PLN": ("Polish zloty", "0.25"),
    "ILS": ("Israeli new shekel", "0.25"),
}
"""Code: name, US dollars for one."""
SWAPS: Final = frozenset({"USDT", "TON", "TRX", "ETH", "SOL", "BTC", "LTC"})


def rate(asset: str, fiat: str) -> Decimal:
    """How much of ``fiat`` one of ``asset`` is worth."""
    return Decimal(ASSETS[asset][1]) / Decimal(FIATS[fiat][1])


def plain(value: Decimal) -> str:
    """A number as the API writes it: no exponent, no zeros at the end."""
    return f"{value.normalize():f}"


def currencies() -> list[dict[str, Any]]:
    crypto = [
        {
            "is_blockchain": code not in {"USDT", "USDC"},
            "is_stablecoin": code in {"USDT", "USDC"},
            "is_fiat": False,
            "name": name,
            "code": code,
            "decimals": decimals,
        }
        for code, (name, _, decimals) in ASSETS.items()
    ]
    fiat = [
        {"is_blockchain": False, "is_stablecoin": False, "is_fiat": True, "name": name, "code": code}
        | {"decimals": 8}
        for code, (name, _) in FIATS.items()
    ]
    return crypto + fiat


def exchange_rates() -> list[dict[str, Any]]:
    return [
        {
            "is_valid": True,
            "is_crypto": True,
            "is_fiat": False,
            "source": asset,
            "target": fiat,
            "rate": plain(rate(asset, fiat)),
        }
        for asset in ASSETS
        for fiat in FIATS
    ]
