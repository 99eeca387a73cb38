"""The files of the built-in model."""
