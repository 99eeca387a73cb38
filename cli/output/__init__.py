"""What every command prints with: console, JSON, CSV, tables and progress."""
