"""`openaisle doctor`: looks at a release and its cluster, and says what is wrong and what cures it.

It reads and never writes. `cluster` asks the API server once, the files of `checks` judge what came
back (pure functions, one subject each) or try the real thing (DNS, keys, Hub, a completion), and
`report` prints a line for each finding. What the account may not read becomes a line that says so.
"""
