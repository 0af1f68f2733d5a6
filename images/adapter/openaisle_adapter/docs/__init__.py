"""The API's own description: the OpenAPI document, and the page that shows it.

`openapi.json` is written by hand and tested against real answers. The page is Swagger UI from the
package flask-swagger-ui, which carries its files as they are published; nothing of the package runs.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from .. import __version__

HERE = Path(__file__).resolve().parent
OWN_FILES = ("index.html", "docs.css", "start.js", "theme.js")
SWAGGER_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")


def openapi_document() -> bytes:
    """The OpenAPI document as JSON, with the version of this package."""
    document = json.loads((HERE / "openapi.json").read_text(encoding="utf-8"))
    document["info"]["version"] = __version__
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def documentation_files() -> dict[str, bytes]:
    """The documentation page's files by their names below /docs/.

    Raises:
        FileNotFoundError: the package with Swagger UI's files is not installed.
    """
    swagger = _swagger_folder()
    files = {name: (HERE / name).read_bytes() for name in OWN_FILES}
    files.update({name: (swagger / name).read_bytes() for name in SWAGGER_FILES})
    return files


def _swagger_folder() -> Path:
    # Finding a package does not import it, so Flask stays out of the process.
    spec = importlib.util.find_spec("flask_swagger_ui")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("Swagger UI's files are missing: install the package flask-swagger-ui.")
    return Path(spec.origin).parent / "dist"
