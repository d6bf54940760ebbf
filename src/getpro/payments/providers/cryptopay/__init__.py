"""Crypto Pay: cryptocurrency in Telegram, priced in roubles."""
