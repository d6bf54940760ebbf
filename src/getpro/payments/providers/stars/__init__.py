"""Telegram Stars."""
