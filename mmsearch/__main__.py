"""Runs the command line as `python -m mmsearch`."""

from mmsearch.cli.app import main

main()
