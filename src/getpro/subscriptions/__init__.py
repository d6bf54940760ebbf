"""Subscriptions: what a customer may use and until when."""
