"""mmsearch evaluate."""
