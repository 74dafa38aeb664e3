"""The commands of ``ssrnet``: one module a command, with its settings."""
