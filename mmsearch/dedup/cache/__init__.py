"""What earlier runs found, kept in the store: derived, and free to be deleted."""
