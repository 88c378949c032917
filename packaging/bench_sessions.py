#!/usr/bin/env python3
"""What sessions cost: CPU time per request and memory with one, ten thousand and a hundred thousand of them, the CPU time of a
whole login, and what a storm of logins does to those who are logged in.

Started by `packaging/bench sessions`. Each count has a gateway of its own with as many real logins; the gateways are measured in
turn over several rounds and compared inside each round. The storm is as many logins as the machine makes, by 32 browsers at once,
while others read pages; its figures say how much the gateway lets the one disturb the other, on one processor.
"""
import argparse
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile

import bench
import bench_bearer
from bench_process import LOAD_CPU
from bench_process import Bench
from bench_process import free_ports
from bench_process import is_listening

# Few enough that a request does not wait for the others of the same load.
STORM_CONNECTIONS = 4


def logins(origin, count, file=None):
    """The command of the driver."""
    command = ["taskset", "-c", LOAD_CPU, "node", bench.ROOT / "packaging/bench-logins.mjs", origin, bench.PATH, count]
    return list(map(str, command + ([file] if file else [])))


def start(run, count, issuer, to):
    """A gateway with `count` sessions."""
    port, admin_port = free_ports(2)
    origin = f"http://127.0.0.1:{port}"
    login = {"auth": "login", "allow": [{"any_user": True}]}
    name = f"sessions-{count}"
    child = bench.gateway(run, name, port, admin_port, issuer, bench.routes(10, origin, to, login))
    before, used = bench.resident_bytes(child.pid), bench.cpu_seconds(child.pid)
    file = run.folder / f"{name}.cookies"
    print(f"{count} logins", flush=True)
    answer = json.loads(subprocess.run(logins(origin, count, file), check=True, stdout=subprocess.PIPE).stdout)
    if len(set(file.read_text().splitlines())) != count:
        sys.exit(f"bench: {name}: expected {count} different sessions")
    return {"name": name, "port": port, "child": child, "header": "Cookie", "values": file, "count": count, "origin": origin,
            "login_us": (bench.cpu_seconds(child.pid) - used) / count * 1e6, "logins_per_second": count / answer["seconds"],
            "session_bytes": (bench.resident_bytes(child.pid) - before) / count}


def p99(target, seconds):
    result = bench.load(target["port"], seconds, target["header"], target["values"], connections=STORM_CONNECTIONS)
    if result["bad"] or not result["requests"]:
        sys.exit(f"bench: {result['bad']} of {result['requests']} requests of logged-in users failed")
    return result["p99"]


def storm(target, seconds, rounds):
    """The p99 of logged-in users, quiet and while others log in."""
    quiet, stormy, made = [], [], 0
    for _ in range(rounds):
        quiet.append(p99(target, seconds))
        with subprocess.Popen(logins(target["origin"], 0), stdout=subprocess.PIPE) as driver:
            stormy.append(p99(target, seconds))
            driver.send_signal(signal.SIGTERM)
            answer = json.loads(driver.communicate()[0])
        made += answer["logins"] / answer["seconds"]
    return statistics.median(quiet), statistics.median(stormy), made / rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--counts", default="1,10000,100000", help="how many sessions each gateway holds")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.counts.split(",")]

    with tempfile.TemporaryDirectory(prefix="vestibule-bench-") as folder:
        run = Bench(pathlib.Path(folder))
        try:
            upstream_port, = free_ports(1)
            upstream = bench.nginx(run, "upstream", LOAD_CPU, f"server {{ listen 127.0.0.1:{upstream_port} backlog=4096; "
                                   f"default_type text/plain; location / {{ return 200 \"{'x' * 1024}\"; }} }}")
            run.wait_for(upstream, lambda: is_listening(upstream_port))
            issuer = bench_bearer.start_issuer(run, [], 1, 0, bench.SECRET)["issuer"]
            targets = [start(run, count, issuer, f"http://127.0.0.1:{upstream_port}") for count in counts]
            rows = {target["name"]: [] for target in targets}
            for target in targets:
                bench.measure(target, 1, 0)
            for number in range(arguments.rounds):
                first = number % len(targets)
                for target in targets[first:] + targets[:first]:
                    rows[target["name"]].append(bench.measure(target, arguments.seconds, number + 1))
            base = rows[targets[0]["name"]]
            print(f"\n{'sessions':>10}{'CPU µs':>8}{'x first':>9}{'req/s':>9}{'p99 µs':>9}{'bytes each':>12}{'login µs':>10}{'logins/s':>10}")
            for target in targets:
                row = rows[target["name"]]
                middle = {key: statistics.median(each[key] for each in row) for key in row[0]}
                ratio = statistics.median(mine["cpu_us"] / theirs["cpu_us"] for mine, theirs in zip(row, base))
                print(f"{target['count']:>10}{middle['cpu_us']:>8.1f}{ratio:>9.2f}{middle['rps']:>9.0f}{middle['p99_us']:>9.0f}"
                      f"{target['session_bytes']:>12.0f}{target['login_us']:>10.0f}{target['logins_per_second']:>10.0f}")
            quiet, stormy, made = storm(targets[min(1, len(targets) - 1)], arguments.seconds, arguments.rounds)
            print(f"\np99 of logged-in users: {quiet:.0f} µs quiet, {stormy:.0f} µs while {made:.0f} logins a second are made: "
                  f"{stormy / quiet:.2f} times")
        finally:
            run.stop()


if __name__ == "__main__":
    main()
