"""One subject a file. A check is a function from a view of the cluster to findings."""
