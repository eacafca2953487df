"""What the outside sees of faultware: events, log lines and metrics. Observes and counts; decides nothing."""
