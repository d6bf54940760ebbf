"""``2getpro`` for tests that type many commands: a process that has imported it forks for each of them.

What is left of a command's second or two is its own work. ``swift.py --serve SOCKET`` says with a line when
it is ready; ``swift.py SOCKET COMMAND …`` hands over what a process has, waits, and ends as the command did.
"""

import json
import os
import socket
import sys
from collections.abc import Callable
from typing import NoReturn

_LONGEST = 2**20


def ask(path: str, arguments: list[str]) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.connect(path)
        folder = os.getcwd()  # noqa: PTH109 -- whoever only asks imports as little as can be
        told = {"arguments": arguments, "folder": folder, "environment": dict(os.environ)}
        socket.send_fds(door, [json.dumps(told).encode()], [0, 1, 2])
        return int(door.recv(16) or b"70")


def serve(path: str) -> NoReturn:
    import importlib  # noqa: PLC0415 -- as above
    import signal  # noqa: PLC0415

    from getpro import cli  # noqa: PLC0415

    for module, _ in cli.COMMANDS.values():
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(path)
        door.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            visitor, _ = door.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _carry_out(visitor, cli.main)
            visitor.close()


def _carry_out(visitor: socket.socket, main: Callable[[], None]) -> NoReturn:
    told, streams, _, _ = socket.recv_fds(visitor, _LONGEST, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    order = json.loads(told)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["2getpro", *order["arguments"]]
    code = 70
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        visitor.send(str(code).encode())
        os._exit(code)


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(sys.argv[2])
    sys.exit(ask(sys.argv[1], sys.argv[2:]))
