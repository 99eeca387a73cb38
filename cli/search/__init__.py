"""mmsearch search."""
