"""Pairs become groups, each verified, with one member that stays."""
