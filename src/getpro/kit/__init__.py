"""Money, time, crash points: knows no capability and no framework."""
