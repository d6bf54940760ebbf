"""Copies of the database that have been restored: made, kept, proven."""
