"""Serve one OPT model: `python serve-opt.py --port 12349 --model facebook/opt-125m`; --help lists more."""

import sys

from openaisle_opt.__main__ import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
