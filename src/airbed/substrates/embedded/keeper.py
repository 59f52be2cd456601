"""supervisor keeps the processes of a bed: its configuration, its start, its XML-RPC interface."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from airbed.errors import Unavailable
from airbed.spec import BedFiles, BedSpec, write_private
from airbed.substrates.embedded import processes
from airbed.substrates.embedded.program import Program

GUARD = Path(__file__).with_name("guard.py")


class Keeper:
    """The supervisord of one bed. All calls raise Unavailable when it does not answer."""

    def __init__(self, files: BedFiles, spec: BedSpec, password: str) -> None:
        self._files = files
        self._spec = spec
        self._password = password
        self.log = files.logs / "supervisord.log"

    @property
    def _rpc(self) -> Any:
        port = self._spec.ports["keeper"]
        return xmlrpc.client.ServerProxy(f"http://airbed:{self._password}@127.0.0.1:{port}/RPC2").supervisor

    def call(self, method: str, *arguments: object) -> Any:
        """Call one method of supervisor's XML-RPC interface."""
        try:
            return getattr(self._rpc, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise Unavailable(
                f"the process keeper refused {method}{arguments}: {fault.faultString}; see {self.log}"
            ) from None
        except (OSError, HTTPException, xmlrpc.client.Error) as error:
            raise Unavailable(
                f"the process keeper of bed '{self._files.name}' does not answer on port {self._spec.ports['keeper']}"
                f" ({error}); run: airbed up --name {self._files.name}"
            ) from None

    def answers(self) -> bool:
        """Whether supervisord of this bed is there."""
        try:
            self.call("getState")
        except Unavailable:
            return False
        return True

    def configure(self, programs: Sequence[Program], common: Mapping[str, str]) -> None:
        """Write supervisord.conf (0600: it holds secrets). `common` is in every process' environment."""
        sections = [self._head()]
        sections += [self._section(program, common) for program in programs]
        write_private(self._files.supervisor_conf, "\n".join(sections))

    def _head(self) -> str:
        return (
            "[supervisord]\nnodaemon=true\nsilent=true\n"
            f"logfile={_escape(str(self.log))}\nlogfile_maxbytes=10MB\nlogfile_backups=1\n"
            f"pidfile={_escape(str(self._files.folder / 'supervisord.pid'))}\n"
            f"childlogdir={_escape(str(self._files.logs))}\nminfds=1024\n"
            + ("user=root\n" if os.geteuid() == 0 else "")
            + "[rpcinterface:supervisor]\n"
            + "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[inet_http_server]\nport=127.0.0.1:{self._spec.ports['keeper']}\nusername=airbed\n"
            f"password={_escape(self._password)}\n"
        )

    def _section(self, program: Program, common: Mapping[str, str]) -> str:
        environment = {**common, **program.environment, processes.SERVICE: program.name}
        command = [sys.executable, "-S", str(GUARD), program.user or "-", *program.command]
        lines = [
            f"[program:{program.name}]",
            f"command={_escape(' '.join(map(_quote, command)))}",
            f"directory={_escape(str(program.directory))}",
            f"environment={','.join(f'{key}={_quote(_escape(value))}' for key, value in environment.items())}",
            f"stdout_logfile={_escape(str(self.log_file(program.name)))}",
            "redirect_stderr=true",
            "stdout_logfile_maxbytes=20MB",
            "stdout_logfile_backups=1",
            "autostart=false",
            "autorestart=true",
            "startsecs=1",
            "startretries=30",
            f"stopsignal={program.stop_signal}",
            f"stopwaitsecs={program.stop_seconds}",
            "stopasgroup=false",
            "killasgroup=true",
        ]
        return "\n".join(lines) + "\n"

    def log_file(self, service: str) -> Path:
        """Where a service's output goes."""
        return self._files.logs / f"{service}.log"

    def launch(self, environment: Mapping[str, str], timeout: float = 15) -> None:
        """Start supervisord in a session of its own and wait until it answers, at most `timeout` seconds."""
        process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._files.supervisor_conf)],
            env={**environment, processes.SERVICE: processes.KEEPER},
            cwd=self._files.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self._files.logs / "supervisord.stderr").open("wb"),
            start_new_session=True,
        )
        deadline = time.monotonic() + timeout
        while not self.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                said = (self._files.logs / "supervisord.stderr").read_text().strip().splitlines()
                reason = said[-1] if said else "it did not answer"
                raise Unavailable(f"the process keeper did not start: {reason}; see {self.log}")
            time.sleep(0.02)

    def reload(self) -> list[str]:
        """Take over what `configure` wrote for programs that were not there before; returns their names."""
        added, _, _ = self.call("reloadConfig")[0]
        for name in added:
            self.call("addProcessGroup", name)
        return list(added)

    def replace(self, service: str) -> None:
        """Take over a changed configuration of a stopped service."""
        self.call("reloadConfig")
        self.call("removeProcessGroup", service)
        self.call("addProcessGroup", service)

    def info(self) -> dict[str, dict[str, Any]]:
        """supervisor's process information, by service."""
        return {row["name"]: row for row in self.call("getAllProcessInfo")}

    def start(self, service: str) -> None:
        """Ask for a start; returns at once. A service that runs already is left alone."""
        if self.info()[service]["statename"] in ("RUNNING", "STARTING"):
            return
        with contextlib.suppress(Unavailable):
            self.call("startProcess", service, False)
        if self.info()[service]["statename"] in ("STOPPED", "FATAL"):
            raise Unavailable(f"{service} does not start; {tail(self.log_file(service))}")

    def stop(self, service: str) -> None:
        """Stop a service and wait until its process is gone."""
        while (state := self.info()[service]["statename"]) not in ("STOPPED", "FATAL"):
            if state in ("EXITED", "STOPPING"):
                # On its way to a new start, or to its end: supervisor refuses to stop it just now.
                time.sleep(0.02)
                continue
            with contextlib.suppress(Unavailable):
                self.call("stopProcess", service, True)

    def ask_to_stop(self, services: Sequence[str]) -> None:
        """Let services begin to stop, all at once; `stop` waits for each."""
        for service in services:
            with contextlib.suppress(Unavailable):
                self.call("stopProcess", service, False)

    def crashes(self) -> dict[str, int]:
        """How often each service ended without being told to, from supervisor's own log.

        An end with exit code 0 counts too ("expected", says supervisor): no service has a reason to end by itself.
        """
        counts: dict[str, int] = {}
        with contextlib.suppress(OSError):
            for name in re.findall(r" exited: (\S+) \(", self.log.read_text(errors="replace")):
                counts[name] = counts.get(name, 0) + 1
        return counts


def tail(log: Path, lines: int = 3) -> str:
    """The end of a log as one phrase for an error message."""
    try:
        last = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()][-lines:]
    except OSError:
        last = []
    return f"its log ends: {' | '.join(last)} (whole log: {log})" if last else f"its log is empty: {log}"


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def _quote(text: str) -> str:
    """Quote for supervisor's shlex: it knows no escapes inside quotes, so a text may hold one kind of quote only."""
    if "'" not in text:
        return f"'{text}'"
    if '"' not in text:
        return f'"{text}"'
    raise Unavailable(
        "a setting of the bed holds both kinds of quotes, which supervisor cannot carry; leave one kind out"
    )
