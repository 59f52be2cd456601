"""Start one service: `python -S guard.py USER COMMAND...` first ends what an earlier start left, then becomes it.

USER is the account to run as, or `-` for the caller's; the change is made here, because that account may have no right
to enter the folders where this file and the interpreter lie.

When a service's main process dies, its children may live on and keep its ports (Airflow's scheduler: workers and the
health server), so that the next start would talk to the old ones.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
from pathlib import Path

# Names a file with further variables (a JSON object): those of a user's own files, which may hold any character.
MORE = "AIRBED_MORE_ENVIRONMENT"


def main() -> None:
    """Sweep the leftovers of this service, then exec the command in the same process."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import processes  # type: ignore[import-not-found]

    mark, service = os.environ[processes.MARK], os.environ[processes.SERVICE]
    processes.sweep(mark, service)
    more = os.environ.pop(MORE, None)
    if more:
        # Of what the bed sets, the user's files have only what they were allowed to have instead.
        os.environ.update(json.loads(Path(more).read_text()))
    user, command = sys.argv[1], sys.argv[2:]
    if user != "-":
        account = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
