"""Plans of file actions, and how to apply and undo them."""
