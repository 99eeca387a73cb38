"""Thumbnail fingerprints of images, and the candidate pairs of copies found with them."""
