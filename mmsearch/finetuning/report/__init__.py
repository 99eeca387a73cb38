"""What a fine-tuning leaves to read: the outcome, the model card and the HTML page."""
