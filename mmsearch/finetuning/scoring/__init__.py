"""How a model under training is scored: on the catalog's own items and on a general set."""
