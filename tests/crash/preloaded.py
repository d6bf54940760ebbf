"""A process that has imported the product and forks it on request: a start in a second instead of eight.

Reads a JSON list of arguments a line from standard input, answers with the child's pid.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from getpro.incidents.other import is_address
from getpro.sandbox.shop import product
from getpro.sandbox.shop.clock import FILE_VARIABLE


def main() -> None:
    is_address("mailto://127.0.0.1")  # a call by mail loads what sends it: seconds, on a busy machine
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are nobody's business here
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become_product(order)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _become_product(order: dict[str, object]) -> None:
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(str(order["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if order["clock"] is not None:
        os.environ[FILE_VARIABLE] = str(order["clock"])
        if Path(str(order["clock"])).read_text(encoding="ascii").strip() != "+0":
            time.sleep(-time.time() % 1)  # the library looks for the file when a second begins
    arguments = order["arguments"]
    assert isinstance(arguments, list)
    sys.argv = ["product", *arguments]
    product.main()
    os._exit(0)


if __name__ == "__main__":
    main()
