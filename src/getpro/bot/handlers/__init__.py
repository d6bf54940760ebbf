"""Handlers, a file per matter: understand, call one use case, show."""
