"""Images to learn from: readers of the data sets, random views, and their cached features."""
