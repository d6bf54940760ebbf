"""Payments: orders, charges, the providers' notices."""
