"""Findings that need the stored vectors: where images and texts agree or contradict each other."""
