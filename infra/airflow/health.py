"""Whether a service works: `python -SE health.py [HOST:]PORT PATH [PATH or component ...]`; exit code 0 or 1.

Every path has to answer 200. A component is one that the first path's JSON has to call healthy. The execution API is
left alone where a scenario wants it cold. It asks for some seconds before it says no. Standard library only and little
of it: it runs often.
"""

import http.client
import os
import sys
import time

PATIENCE_SECONDS = 5


def main() -> int:
    """Ask until the answer is good, and say on one line what is wrong if it never is."""
    host, _, port = sys.argv[1].rpartition(":")
    paths = [each for each in sys.argv[2:] if each.startswith("/")]
    components = [each for each in sys.argv[2:] if not each.startswith("/")]
    if os.environ.get("AIRBED_EXECUTION_API") == "all":
        paths = [each for each in paths if not each.startswith("/execution/")]
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        wrong = what_is_wrong(host or "127.0.0.1", int(port), paths, components)
        if wrong is None:
            return 0
        if time.monotonic() > end:
            sys.stdout.write(wrong + "\n")
            return 1
        time.sleep(0.25)


def what_is_wrong(host, port, paths, components):
    """One line; None when all is well."""
    try:
        for path in reversed(paths):
            connection = http.client.HTTPConnection(host, port, timeout=50)
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            if answer.status != 200:
                return f"{path} answers {answer.status}"
    except (OSError, http.client.HTTPException) as error:
        return f"{host}:{port}: {error!r}"
    if components:
        import json

        states = json.loads(body)
        for each in components:
            if states[each]["status"] != "healthy":
                return f"{each} is {states[each]['status']}"
    return None


if __name__ == "__main__":
    sys.exit(main())
