"""Thumbnails: fingerprints of images, and the pairs of copies that they propose."""
