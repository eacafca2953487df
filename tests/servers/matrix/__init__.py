"""What every fault looks like from outside, on every server: measured, and written down as a page of the docs."""
