"""A short training run that is recorded from before its first epoch to its last: for the page How it learns."""
