"""Findings from stored vectors: agreements and contradictions between images and texts."""
