"""Starts a command as a service manager does that passes sockets: activate.py FD=NAME... -- COMMAND

Each descriptor gets the next number from 3 on, and its name goes into LISTEN_FDNAMES (sd_listen_fds(3)).
"""

import fcntl
import os
import sys

FIRST = 3


def main() -> None:
    split = sys.argv.index("--")
    passed = [argument.split("=", 1) for argument in sys.argv[1:split]]
    # Out of the way of the numbers that they are to have.
    originals = {int(fd) for fd, _ in passed}
    copies = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, FIRST + 2 * len(passed) + 20) for fd, _ in passed]
    for number, copy in enumerate(copies, FIRST):
        os.dup2(copy, number, inheritable=True)
        os.close(copy)
    for original in originals - set(range(FIRST, FIRST + len(passed))):
        os.close(original)
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.environ["LISTEN_FDS"] = str(len(passed))
    os.environ["LISTEN_FDNAMES"] = ":".join(name for _, name in passed)
    os.execv(sys.argv[split + 1], sys.argv[split + 1 :])


main()
