"""What is done to a response while it passes, as pure transducers: one implementation for every protocol."""
