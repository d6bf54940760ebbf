"""The whole shop in a sandbox: PostgreSQL, the simulators, and the real product as a process of its own."""
