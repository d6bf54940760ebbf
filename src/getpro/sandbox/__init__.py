"""Simulators of everything outside: Telegram, payment providers, the panel; and the sandbox that joins them.

They share no code with the clients they imitate: a misunderstanding would hide on both sides.
"""
