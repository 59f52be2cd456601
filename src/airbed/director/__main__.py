"""Start the director: `python -m airbed.director --port P --statsd-port U --token-file F --state-dir D`.

With `--s3-port Q --s3-upstream URL` it stands before the S3 service at that URL too.
"""

from __future__ import annotations

import gc
import os
import sys


def main() -> int:
    """Import the server in the cheapest way and run it; returns the exit code."""
    # Importing aiohttp is nearly all of the start: without the collector, and without reading the machine's
    # certificates (the director speaks plain HTTP on the loopback only), it takes two thirds of the time.
    gc.disable()
    os.environ.setdefault("SSL_CERT_FILE", os.devnull)
    from airbed.director.server import run

    gc.freeze()
    gc.enable()
    return run()


if __name__ == "__main__":
    sys.exit(main())
