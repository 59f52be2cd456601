"""What a project's requirements are laid on, on the compose substrate: the Python of Airflow's image."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from airbed.errors import Unavailable
from airbed.settings import Settings
from airbed.substrates.compose.engine import Engine
from airbed.substrates.embedded.overlay import Base

_ASK = """
import json, re, sys
from importlib.metadata import distributions
packages = {}
for each in distributions():
    packages.setdefault(re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower(), each.version)
packages.pop("airbed", None)
print(json.dumps({"python": ".".join(map(str, sys.version_info[:3])), "packages": packages}))
"""


def base_of(engine: Engine, settings: Settings) -> Callable[[], Base]:
    """What answers with the version and the packages of the image's Python; an image is asked once (some seconds).

    Raises Unavailable when the image is not there, or has no such Python.
    """

    def ask() -> Base:
        image = name_of_image(settings)
        (found,) = engine.inspect("image", image, form='{"id":{{json .Id}}}') or [{"id": ""}]
        if not found["id"]:
            raise Unavailable(f"there is no image {image} to ask for its packages; run: make images")
        noted = settings.cache / "images" / f"packages-{found['id'].removeprefix('sha256:')[:16]}.json"
        if not noted.is_file():
            said = engine.run(
                "run", "--rm", "--network", "none", "--entrypoint", "python", image, "-c", _ASK, timeout=120
            )
            noted.parent.mkdir(parents=True, exist_ok=True)
            new = noted.with_suffix(".new")
            new.write_text(said.splitlines()[-1])
            new.rename(noted)
        return Base(**json.loads(noted.read_text()))

    return ask


def name_of_image(settings: Settings) -> str:
    """The image that Airflow's containers are made of: as decided, else the compose file's own."""
    from airbed.substrates.compose.project import compose_file, decided

    if named := decided(settings).get("AIRFLOW_IMAGE"):
        return named
    found = re.search(r"\$\{AIRFLOW_IMAGE:-([^}]+)\}", compose_file(settings.resources).read_text())
    return found[1] if found else "apache/airflow"
