"""What faultware costs, measured against doing nothing. Run by `make bench`; no test, since machines differ."""
