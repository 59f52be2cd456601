"""The Docker engine: where it is, whether it will do, and its command line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airbed.errors import AirbedError, Unavailable
from airbed.settings import Settings
from airbed.spec import BedSpec

LEAST_COMPOSE = (2, 24)
USUAL_SOCKETS = (Path("/var/run/docker.sock"), Path.home() / ".docker/run/docker.sock")
START_IT = "start Docker, or bring an engine up with: make engine"
# What the engine says, and what to do about it. The first that fits.
_REMEDIES = (
    (r"permission denied.*(docker|sock)", "join the group docker (usermod -aG docker YOU) and log in again"),
    (r"cannot connect to the docker daemon|is the docker daemon running|connection refused|no such file.*\.sock|EOF$",
     START_IT),
    (r"port is already allocated|address already in use|ports are not available",
     "another program has that port: end it, or make the bed anew: airbed down, then airbed up"),
    (r"no space left on device", "make room on the engine's disk: docker system df tells what lies there"),
    (r"pull access denied|manifest unknown|failed to (resolve|do request)|no such image|repository does not exist"
     r"|lookup .* no such host|unable to find image",
     "that image is not here and cannot be pulled: build it with: make images"),
    (r"(pool|address).*overlaps", "another network of the engine has these addresses: airbed down, then airbed up"),
)  # fmt: skip


class EngineError(Unavailable):
    """The engine, or its command line, refused. `said` is its own words."""

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


@dataclass(frozen=True)
class Engine:
    """One engine as `find` found it: the program and the environment that leads it there."""

    program: str
    socket: str
    environment: Mapping[str, str] = field(repr=False)

    def run(self, *arguments: str, timeout: float = 60, stdin: str | None = None) -> str:
        """Run `docker ...` and return what it prints; EngineError with one line and the remedy when it fails."""
        done = self.attempt(*arguments, timeout=timeout, stdin=stdin)
        if done.returncode:
            raise self.error(arguments, done.stderr or done.stdout)
        return done.stdout

    def attempt(
        self, *arguments: str, timeout: float = 60, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The same, whatever comes out; Unavailable when the engine does not answer in time."""
        try:
            return subprocess.run(
                [self.program, *arguments],
                env=dict(self.environment),
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            what = " ".join(arguments[:2])
            raise Unavailable(
                f"the Docker engine at {self.socket} did not answer 'docker {what}' within {timeout:g} s; restart it"
            ) from None

    def error(self, arguments: tuple[str, ...], output: str) -> EngineError:
        """One line with a remedy for what the engine said."""
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        # Compose tells of each step before it tells what went wrong.
        last = lines[-1] if lines else "no message"
        for pattern, remedy in _REMEDIES:
            found = next((line for line in lines if re.search(pattern, line, re.IGNORECASE)), None)
            if found is not None:
                return EngineError(f"Docker at {self.socket}: {_short(found)}; {remedy}", output)
        verb = next((each for each in arguments if not each.startswith("-")), "")
        return EngineError(f"docker {verb} failed at {self.socket}: {_short(last)}", output)

    def inspect(self, kind: str, *names: str, form: str = "{{json .}}") -> list[dict[str, Any]]:
        """The documents of those objects that exist."""
        if not names:
            return []
        done = self.attempt(kind, "inspect", "--format", form, *names)
        if done.returncode and not re.search(r"no such|not found", done.stderr, re.IGNORECASE):
            raise self.error((kind, "inspect"), done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]

    def identity(self) -> dict[str, str]:
        """Which engine this is, as a bed notes it: where it answers, and the id that it gave itself."""
        return {"socket": self.socket, "id": self.run("info", "--format", "{{.ID}}", timeout=15).strip()}

    def ids(self, kind: str, *filters: str) -> list[str]:
        """The ids of containers, networks or volumes that meet all filters, stopped ones too."""
        every = ["--all"] if kind == "container" else []
        wanted = [part for each in filters for part in ("--filter", each)]
        return self.run(kind, "ls", *every, "--quiet", *wanted).split()


def find(settings: Settings) -> Engine:
    """The engine that DOCKER_HOST names, else the one at the usual socket, else the one that `make engine` made.

    Raises Unavailable, with where it was looked, when there is none.
    """
    own = settings.cache / "engine"
    own_socket = own / "docker.sock"
    host = os.environ.get("DOCKER_HOST")
    environment = dict(os.environ)
    if host is None or host == f"unix://{own_socket}":
        usual = [] if host else [each for each in USUAL_SOCKETS if each.exists()]
        if usual:
            host = f"unix://{usual[0]}"
        elif own_socket.exists():
            host = f"unix://{own_socket}"
            environment |= {
                "DOCKER_CONFIG": str(own / "config"),
                "PATH": os.pathsep.join([str(own / "bin"), os.environ.get("PATH", "/usr/bin:/bin")]),
            }
        else:
            looked = ", ".join(map(str, (*USUAL_SOCKETS, own_socket)))
            raise Unavailable(f"no Docker engine runs here: DOCKER_HOST is not set, and none of {looked} is there;"
                              f" {START_IT}")  # fmt: skip
    program = shutil.which("docker", path=environment.get("PATH"))
    if program is None:
        raise Unavailable(f"there is an engine at {host}, but no program 'docker'; install Docker's command line")
    # A bed's own marks would make a sweep take what the engine starts.
    kept = {key: value for key, value in environment.items() if not key.startswith(("AIRBED_", "COMPOSE_"))}
    return Engine(program, host, {**kept, "DOCKER_HOST": host, "DOCKER_CLI_HINTS": "false"})


def ensure_has(engine: Engine, bed: BedSpec) -> None:
    """Raise Unavailable when a bed is on another engine than this, which may still be there."""
    noted = bed.engine
    if not noted or noted["socket"] == engine.socket or noted["id"] == engine.identity()["id"]:
        return
    path = noted["socket"].removeprefix("unix://")
    if path == noted["socket"] or Path(path).exists():
        raise Unavailable(
            f"bed '{bed.name}' is on the Docker engine at {noted['socket']}, and this is the one at {engine.socket};"
            f" for that one: export DOCKER_HOST={noted['socket']}"
        )


def find_quietly(settings: Settings) -> Engine | None:
    """The same; None when there is none that answers, for questions that every machine is asked."""
    try:
        engine = find(settings)
        engine.run("version", "--format", "{{.Server.Version}}", timeout=10)
    except AirbedError:
        return None
    return engine


def ensure_usable(engine: Engine) -> None:
    """Raise Unavailable when the engine does not answer, or its Compose is missing or too old."""
    engine.run("version", "--format", "{{.Server.Version}}", timeout=15)
    least = ".".join(map(str, LEAST_COMPOSE))
    done = engine.attempt("compose", "version", "--short")
    if done.returncode:
        raise Unavailable(f"{engine.program} has no Compose; install Docker's compose plugin {least} or newer")
    found = done.stdout.strip().removeprefix("v")
    numbers = tuple(int(each) for each in re.findall(r"\d+", found)[:2])
    if numbers < LEAST_COMPOSE:
        raise Unavailable(f"Docker's Compose is {found} and {least} is the least that will do; install a newer plugin")


def _short(text: str, most: int = 300) -> str:
    text = re.sub(r"^(Error response from daemon|error|ERROR):\s*", "", text)
    return text if len(text) <= most else text[:most] + " ..."
