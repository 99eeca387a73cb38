"""Reports of a fine-tuning: results, model card and HTML page."""
