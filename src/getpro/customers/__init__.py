"""Customers: who they are and how they can be reached."""
