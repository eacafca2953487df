"""The edge where text becomes rules and settings: variables, files, documents and the one-line form.

Nothing here decides about a request. What leaves this package is checked; what cannot be used is refused with an error
that names the place, the value and what would be right.
"""
