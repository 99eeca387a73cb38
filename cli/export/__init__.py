"""mmsearch export: what a store holds, in files that other programs read."""
