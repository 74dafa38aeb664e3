"""The scorecard of `ssrnet compare`: models under every protocol of a data set, as JSON and as Markdown."""
