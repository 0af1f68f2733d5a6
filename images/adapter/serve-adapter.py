"""Run the gateway: `python images/adapter/serve-adapter.py --backend http://127.0.0.1:12349 --port 12350`."""

import sys

try:
    from openaisle_adapter.__main__ import main
except ModuleNotFoundError as error:
    sys.exit(
        f"serve-adapter: this Python lacks the package {error.name}; hack/venv puts all that is "
        "needed into .venv, and .venv/bin/python starts this."
    )

if __name__ == "__main__":
    sys.exit(main())
