"""A tuned model replaces the one that a store was embedded with, and goes back if it is worse."""
