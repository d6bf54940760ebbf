"""Settings, database, jobs, schedules, logging, HTTP: what every capability stands on."""
