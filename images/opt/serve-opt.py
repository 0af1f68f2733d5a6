"""Serve one OPT model: `python serve-opt.py --port 12349 --model facebook/opt-125m`; --help lists more."""

import sys

try:
    from openaisle_opt.__main__ import main
except ModuleNotFoundError as error:
    sys.exit(
        f"serve-opt: this Python lacks the package {error.name}; hack/venv puts all that is "
        "needed into .venv, and .venv/bin/python starts this."
    )

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
