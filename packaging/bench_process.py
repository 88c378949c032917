"""Processes of the benchmark: starts them pinned to a processor, waits for them, stops them. Knows nothing of what they do."""
import os
import socket
import subprocess
import sys
import time

PROCESSORS = sorted(os.sched_getaffinity(0))
# Load and upstream share the first processor, the proxy under test has the last for itself.
LOAD_CPU, PROXY_CPU = PROCESSORS[0], PROCESSORS[-1]
START_SECONDS_MAX = 60


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.children = []

    def start(self, name, cpu, command, env=None):
        """`cpu`: one processor, or several separated by commas."""
        log = open(self.folder / f"{name}.log", "wb")
        child = subprocess.Popen(["taskset", "-c", str(cpu), *map(str, command)], stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}, cwd=self.folder)
        child.name = name
        self.children.append(child)
        return child

    def wait_for(self, child, is_ready, seconds=START_SECONDS_MAX):
        """Returns what `is_ready` returns as soon as that is true; ends the benchmark when the process has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and child.poll() is None:
            found = is_ready()
            if found:
                return found
            time.sleep(0.05)
        sys.exit(f"bench: {child.name} does not start:\n{(self.folder / f'{child.name}.log').read_text()}")

    def stop(self):
        for child in reversed(self.children):
            child.terminate()
        for child in self.children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
