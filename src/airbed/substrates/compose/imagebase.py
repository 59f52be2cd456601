"""What a project's requirements are laid on, on the compose substrate: the Python of Airflow's image."""

from __future__ import annotations

import json
from collections.abc import Callable

from airbed.errors import Unavailable
from airbed.settings import Settings
from airbed.substrates.compose.engine import Engine
from airbed.substrates.compose.project import compose_file, image
from airbed.substrates.embedded.overlay import Base, packages_of

_ASK = """
import json, sys
from importlib.metadata import distributions
packages = [(each.metadata["Name"], each.version) for each in distributions()]
print(json.dumps({"python": ".".join(map(str, sys.version_info[:3])), "packages": packages}))
"""


def base_of(engine: Engine, settings: Settings) -> Callable[[], Base]:
    """What answers with the version and the packages of the image's Python; an image is asked once (some seconds).

    Raises Unavailable when the image is not there, or has no such Python.
    """

    def ask() -> Base:
        name = image(settings, "AIRFLOW_IMAGE", compose_file(settings.resources))
        found = engine.inspect("image", name, form='{"id": {{json .Id}}}')
        if not found:
            raise Unavailable(f"there is no image {name} to ask for its packages; run: make images")
        noted = settings.cache / "images" / f"packages-{found[0]['id'].removeprefix('sha256:')[:16]}.json"
        if not noted.is_file():
            words = ("run", "--rm", "--network", "none", "--entrypoint", "python", name, "-c", _ASK)
            said = engine.run(*words, timeout=120)
            noted.parent.mkdir(parents=True, exist_ok=True)
            new = noted.with_suffix(".new")
            new.write_text(said.splitlines()[-1])
            new.rename(noted)
        told = json.loads(noted.read_text())
        return Base(told["python"], packages_of(told["packages"]))

    return ask
