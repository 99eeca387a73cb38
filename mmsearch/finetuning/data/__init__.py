"""The training set: reading, grouping, splitting, sampling and image views."""
