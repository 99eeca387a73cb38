"""Duplicates: found tier by tier with evidence, grouped, reported, and acted on reversibly."""
