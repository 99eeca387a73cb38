"""mmsearch dedup, its subcommands, and mmsearch same."""
