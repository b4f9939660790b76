"""`python -m simulator`: the simulated world as a process of its own."""

import argparse
import contextlib
import os
import signal
import sys

from simulator.server import bind, watch_time
from simulator.settings import Settings
from simulator.world import World


def main() -> None:
    told = Settings.from_env(os.environ)
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--host", default=told.host)
    parser.add_argument("--port", type=int, default=told.port)
    asked = parser.parse_args()
    world = World(told.told({"host": asked.host, "port": asked.port}))
    server = bind(world)
    watch_time(world)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.stdout.write(f"simulated world on http://{asked.host}:{server.server_port}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
