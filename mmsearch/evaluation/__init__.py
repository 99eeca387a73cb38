"""Labelled catalogs and queries measure models by exact search, and indexes against it."""
