"""Incidents: from the first signal to the last word, with an escalation that nobody can forget."""
