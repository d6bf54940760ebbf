"""Money, time, numbers, crash points: knows no capability and no framework."""
