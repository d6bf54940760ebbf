"""Simulated payment providers, a folder each."""
