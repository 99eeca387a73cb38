"""Plans, and what carries them out and takes them back."""
