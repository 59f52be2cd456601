"""The images that pods of the kind cluster can run: they are put into its node, which pulls none."""

from __future__ import annotations

from airbed.errors import Unavailable
from airbed.spec import BedFiles
from airbed.substrates.compose.engine import Engine


class NodeImages:
    """The images of one node; every method raises Unavailable when the engine or the node refuses."""

    def __init__(self, engine: Engine, files: BedFiles, node: str) -> None:
        self._engine = engine
        self._files = files
        self.node = node

    def give(self, name: str) -> None:
        """Let pods run an image: the engine's of that name, else the regions' own under that name."""
        if self._engine.inspect("image", name, form="{{json .Id}}"):
            self._import(name)
            return
        own = self._own_image()
        self._inside("ctr", "--namespace", "k8s.io", "images", "tag", "--force", own, _full_name(name))

    def _own_image(self) -> str:
        """The node's name of the image that the regions run; put there when it is missing."""
        from airbed.substrates.compose.project import read_environment

        image = read_environment(self._files).get("HELLO_IMAGE", "")
        there = self._inside("ctr", "--namespace", "k8s.io", "images", "ls", "-q").split()
        if _full_name(image) in there:
            return _full_name(image)
        if image and self._engine.inspect("image", image, form="{{json .Id}}"):
            self._import(image)
            return _full_name(image)
        # A program that does nothing and stays: what every pod has anyway. It knows no crash loop.
        pause = next((each for each in there if "/pause:" in each), None)
        if pause is None:
            raise Unavailable(f"the node {self.node} has no pause image; build the images anew: make images")
        return pause

    def _import(self, image: str) -> None:
        archive = self._files.kubernetes / "image.tar"
        self._engine.run("save", "--output", str(archive), image)
        self._engine.run("cp", str(archive), f"{self.node}:/image.tar")
        archive.unlink()
        self._inside("ctr", "--namespace", "k8s.io", "images", "import", "--no-unpack", "/image.tar")
        self._inside("rm", "/image.tar")

    def _inside(self, *command: str) -> str:
        return self._engine.run("exec", self.node, *command)


def _full_name(image: str) -> str:
    """As the node's containerd knows it."""
    first = image.split("/", 1)[0]
    if "/" not in image:
        return f"docker.io/library/{image}"
    return image if "." in first or ":" in first or first == "localhost" else f"docker.io/{image}"
