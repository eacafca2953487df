"""The command line: a module for each command. Works from the base install; a module here imports late what is heavy.

A command asks a place (the control endpoint, a store, a kill file) and shows the answer. What it does to a service, the
service's own parts do: nothing here decides about faults.
"""
