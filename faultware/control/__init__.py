"""The control endpoint without any framework: a request goes in, a response comes out."""
