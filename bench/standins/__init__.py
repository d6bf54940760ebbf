"""Telegram, the panel and YooKassa with no more work than a measurement needs: a simulator would eat its CPU.

What they answer is enough for the shop's own calls and judged by nobody; the sandbox's simulators are.
"""
