"""docs/asyncapi.yaml: read, and its last part, the schemas that are the OpenAPI document's, written anew:

python -m tests.asyncapi
"""

import json
import re
from pathlib import Path
from typing import Any, Final

import yaml

PATH: Final = Path(__file__).resolve().parents[1] / "docs" / "asyncapi.yaml"
HEADING: Final = "    # --- The same as in the OpenAPI document: python -m tests.asyncapi ---\n"
#: What the frames refer to; what that refers to comes along.
SHARED: Final = ("DriverOrder", "Message", "Offer", "Problem")
REFERENCE: Final = re.compile(r"#/components/schemas/(\w+)")


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(PATH.read_text())
    return loaded


def shared() -> dict[str, Any]:
    """The schemas as the OpenAPI document has them. An order on the board is the staff's, without its contact and with how
    its offers stand."""
    from config.api_docs import openapi_document

    schemas = openapi_document()["components"]["schemas"]
    found: dict[str, Any] = {}
    wanted = [*SHARED]
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = schemas[name]
            wanted += REFERENCE.findall(json.dumps(schemas[name]))
    order = schemas["Order"]
    members = {name: shown for name, shown in order["properties"].items() if name != "contact"}
    members["offers"] = {"$ref": "#/components/schemas/OfferCounts"}
    about = "An order as dispatchers see it, without the customer; a waiting one with how its offers stand."
    found["BoardOrder"] = {**order, "description": about, "properties": members}
    return dict(sorted(found.items()))


def rewrite() -> None:
    written = PATH.read_text().partition(HEADING)[0]
    fresh = yaml.safe_dump(_plain(shared()), sort_keys=False, allow_unicode=True, width=116)
    PATH.write_text(written + HEADING + "".join(f"    {line}\n" for line in fresh.splitlines()))


def _plain(value: Any) -> Any:
    """Without the enums and other subclasses that Python's own types have here."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, str) else value


if __name__ == "__main__":
    import django

    django.setup()
    rewrite()
