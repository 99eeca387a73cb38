"""What a catalog is trained on: items with groups and labels, splits, and batches of items."""
