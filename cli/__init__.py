"""The command line: `mmsearch COMMAND`."""
