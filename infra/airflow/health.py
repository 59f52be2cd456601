"""Whether a service works: `python -SE health.py [HOST:]PORT PATH [PATH or component ...]`; exit code 0 or 1.

Every path has to answer 200. A component is one that the first path's JSON has to call healthy. The execution API is
left alone where a scenario wants it cold. Standard library only and little of it: it runs often.
"""

import http.client
import os
import sys


def main() -> int:
    """Ask, and say on one line what is wrong."""
    host, _, port = sys.argv[1].rpartition(":")
    paths = [each for each in sys.argv[2:] if each.startswith("/")]
    if os.environ.get("AIRBED_EXECUTION_API") == "all":
        paths = [each for each in paths if not each.startswith("/execution/")]
    components = [each for each in sys.argv[2:] if not each.startswith("/")]
    try:
        for path in reversed(paths):
            connection = http.client.HTTPConnection(host or "127.0.0.1", int(port), timeout=55)
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                return say(f"{path} answers {answer.status}")
            connection.close()
    except OSError as error:
        return say(f"{sys.argv[1]}: {error}")
    if components:
        import json

        states = json.loads(body)
        for each in components:
            if states[each]["status"] != "healthy":
                return say(f"{each} is {states[each]['status']}")
    return 0


def say(line: str) -> int:
    """Print what is wrong; 1."""
    sys.stdout.write(line + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
