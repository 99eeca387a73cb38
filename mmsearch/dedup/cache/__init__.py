"""Caches of earlier runs in the store: derived data that can be deleted."""
