"""The handlers, one file for each group of routes. Each offers `setup_…(app)`."""
