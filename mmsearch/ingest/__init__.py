"""Runs of `index`: read a source, decode, encode, store; incremental and resumable."""
