"""Groups of duplicates, built from verified pairs, with one member kept in each."""
