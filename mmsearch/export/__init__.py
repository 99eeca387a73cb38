"""Writes what a store holds to files that other programs read."""

from mmsearch.export.vectors import VectorExport, export_vectors

__all__ = ["VectorExport", "export_vectors"]
