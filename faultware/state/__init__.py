"""Where the switch and the run-time rules live. Never consulted by a request: a request reads one number in memory."""
