"""The team and its calls."""

from duty import staffed, watch

__all__ = ["staffed", "watch"]
