"""Searches a store: queries become vectors, vectors and words become candidates, these hits."""

from mmsearch.engine.search import Engine, Page

__all__ = ["Engine", "Page"]
