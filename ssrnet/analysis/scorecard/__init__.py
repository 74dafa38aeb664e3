"""Two models under every protocol that a data set serves: measured, kept as JSON, rendered as Markdown."""
