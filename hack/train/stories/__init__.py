"""A story grammar: it tells an endless number of short, simple stories in one small world."""
