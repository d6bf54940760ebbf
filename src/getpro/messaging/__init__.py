"""Notices to customers, marks of seen updates, the message log."""
