"""Deduplication: tiers of duplicates, evidence, groups, reports, and reversible actions."""
