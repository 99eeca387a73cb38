"""Source → decode → encode → store → index: incremental, resumable, one bad file at a time."""
