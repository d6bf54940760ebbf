"""Checkout, settle, deliver: the one room that joins capabilities in a transaction."""
