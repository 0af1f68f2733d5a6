"""Run the gateway: `python images/adapter/serve-adapter.py --backend http://127.0.0.1:12349 --port 12350`."""

import sys

from openaisle_adapter.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
