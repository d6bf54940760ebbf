"""Doors for notices from outside."""
