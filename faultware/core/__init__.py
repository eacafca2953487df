"""What a rule means, and what is to be done to one request.

Pure: nothing here reads a clock, a random source, a file, a socket or the environment; they arrive as arguments.
"""
