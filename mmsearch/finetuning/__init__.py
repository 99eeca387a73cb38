"""Fine-tuning on a catalog: items, splits, batches, methods, the run, and what proves it."""
