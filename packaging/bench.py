#!/usr/bin/env python3
"""CPU time per request and memory per idle connection of the gateway, beside nginx as a plain reverse proxy and, for access
tokens, beside haproxy and Apache with mod_auth_openidc where they are installed.

Started by packaging/bench. All targets are started once, measured in turn over several rounds (so that a drift of the machine
falls on all of them alike), and compared inside each round; the table shows medians. CPU time is user and system time of all
processes of a target divided by the requests that wrk saw answered: it repeats, where requests per second depend on what
else runs on the machine. Fails when a request was not answered 2xx, and says for each aim whether it is met.
"""
import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile

import bench_bearer
from bench_process import LOAD_CPU
from bench_process import PROXY_CPU
from bench_process import Bench
from bench_process import free_ports
from bench_process import is_listening

ROOT = pathlib.Path(__file__).resolve().parent.parent
VESTIBULE = os.environ["VESTIBULE_BIN"]
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 48
USERS = 50
IDLE_CONNECTIONS = 2000
PATH = "/apps/tenant7/page"
SECRET = "a-secret-of-the-benchmark-and-nothing-else"
MANY_FILES = 8192


def nginx(bench, name, cpu, http):
    """Starts nginx with one worker; `http` stands inside its http block."""
    folder = bench.folder / name
    folder.mkdir()
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log warn;\n"
        "events { worker_connections 8192; }\n"
        f"http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s; {temporary}\n{http}\n}}\n")
    binary = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    return bench.start(name, cpu, [binary, "-p", folder, "-c", folder / "nginx.conf"])


def routes(count, origin, upstream, settings):
    """`count` routes below one origin; the load goes to the one of tenant 7."""
    return [{"from": f"{origin}/apps/tenant{number}", "to": upstream, **settings} for number in range(count)]


def gateway(bench, name, port, admin_port, issuer, routes_):
    """Starts the gateway on PROXY_CPU; JSON is YAML."""
    folder = bench.folder / name
    folder.mkdir()
    file = folder / "gateway.yaml"
    file.write_text(json.dumps({
        "listeners": [{"address": f"127.0.0.1:{port}"}],
        "admin": {"address": f"127.0.0.1:{admin_port}"},
        "threads": 1,
        # nginx beside it writes no access log either.
        "log": {"access": False},
        "store": {"embedded": {"path": str(folder / "vestibule.db")}},
        "identity_providers": [{"id": "bench", "name": "Bench", "issuer": issuer, "client_id": "gateway",
                                "client_secret": {"env": "BENCH_SECRET"}}],
        "routes": routes_,
    }))
    child = bench.start(name, PROXY_CPU, [VESTIBULE, "run", "-c", file], {"BENCH_SECRET": SECRET})

    def is_ready():
        try:
            with socket.create_connection(("127.0.0.1", admin_port), 1) as connection:
                connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                return connection.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False
    bench.wait_for(child, is_ready)
    return child


def log_in(bench, name, origin):
    """Real sessions of USERS users; the file with a Cookie header per line."""
    file = bench.folder / f"{name}.cookies"
    users = [f"user{number}" for number in range(1, USERS + 1)]
    command = ["taskset", "-c", str(LOAD_CPU), "node", ROOT / "tests/e2e/http-client.mjs", origin + PATH, *users]
    file.write_text(subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout)
    cookies = file.read_text().splitlines()
    if len(set(cookies)) != USERS:
        sys.exit(f"bench: {len(set(cookies))} different sessions for {USERS} users")
    return file


def tree(pid):
    """The process and all its descendants."""
    children = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            parent = int(pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(entry))
    found, queue = [], [pid]
    while queue:
        found.append(queue.pop())
        queue += children.get(found[-1], [])
    return found


def cpu_seconds(pid):
    total = 0
    for each in tree(pid):
        fields = pathlib.Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS_PER_SECOND


def resident_bytes(pid):
    return sum(int(re.search(r"^VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{each}/status").read_text(), re.M).group(1)) * 1024
               for each in tree(pid))


def load(port, seconds, header=None, values=None, once=False, connections=CONNECTIONS):
    """Runs wrk; with `once` until each of the values is used, at the longest for `seconds`."""
    environment = {**os.environ, **({"VALUES": str(values), "HEADER": header} if values else {}), **({"ONCE": "1"} if once else {})}
    command = ["taskset", "-c", str(LOAD_CPU), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s",
               str(ROOT / "packaging/bench.lua"), f"http://127.0.0.1:{port}/", "--", PATH]
    output = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as wrk:
        for line in wrk.stdout:
            output += line
            if line == "USED UP\n":
                wrk.send_signal(signal.SIGINT)
    if wrk.returncode:
        sys.exit(f"bench: wrk failed:\n{output}")
    return json.loads(re.search(r"^RESULT (.*)$", output, re.M).group(1))


def measure(target, seconds, round_):
    """One row; `round_` 0 is the warm-up."""
    once = isinstance(target["values"], list)
    before = cpu_seconds(target["child"].pid)
    result = load(target["port"], seconds, target["header"], target["values"][round_] if once else target["values"], once)
    used = cpu_seconds(target["child"].pid) - before
    if result["bad"] or not result["requests"]:
        sys.exit(f"bench: {target['name']}: {result['bad']} of {result['requests']} requests were not answered 2xx")
    return {"cpu_us": used / result["requests"] * 1e6, "rps": result["requests"] / (result["us"] / 1e6), "p99_us": result["p99"]}


def idle_bytes(target):
    """Memory per connection that was used once and is kept open."""
    request = f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{target['port']}\r\n\r\n".encode()
    connections = []
    before = resident_bytes(target["child"].pid)
    try:
        for _ in range(IDLE_CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", target["port"]), 10)
            connections.append(connection)
            connection.sendall(request)
            answer = b""
            # The upstream's body is 1 KiB of x, so its end is known without parsing the length.
            while not answer.endswith(b"x" * 1024):
                chunk = connection.recv(65536)
                if not chunk:
                    sys.exit(f"bench: {target['name']} closed a connection: {answer[:64]!r}")
                answer += chunk
        return (resident_bytes(target["child"].pid) - before) / IDLE_CONNECTIONS
    finally:
        for connection in connections:
            connection.close()


def start_targets(bench, names, rounds, tokens):
    """Starts upstream, identity provider and the targets: a list of {name, port, child, header, values}."""
    upstream_port, nginx_port = free_ports(2)
    upstream = nginx(bench, "upstream", LOAD_CPU, f"server {{ listen 127.0.0.1:{upstream_port} backlog=4096; "
                     f"default_type text/plain; location / {{ return 200 \"{'x' * 1024}\"; }} }}")
    bench.wait_for(upstream, lambda: is_listening(upstream_port))
    to = f"http://127.0.0.1:{upstream_port}"

    ports = {name: free_ports(2) for name in names if name != "nginx"}
    redirects = [part for port, _ in ports.values()
                 for part in ("--redirect-uri", f"http://127.0.0.1:{port}/oauth2/callback/bench")]
    idp = bench.start("idp", LOAD_CPU, ["node", ROOT / "tests/e2e/idp.mjs", "--client-id", "gateway", "--numbered-accounts", USERS, *redirects],
                      {"IDP_CLIENT_SECRET": SECRET})
    issuer = bench.wait_for(idp, lambda: re.search(r'^\{"issuer":"(.*)"\}$', (bench.folder / "idp.log").read_text(), re.M)).group(1)

    with_tokens = [name for name in names if name in bench_bearer.TOKENS]
    token_urls = bench_bearer.start_issuer(bench, with_tokens, rounds, tokens, SECRET) if with_tokens else None

    login = {"auth": "login", "allow": [{"any_user": True}]}
    kinds = {
        "public": (10, {"auth": "public", "identity_headers": {"preset": "none"}}),
        "session": (10, login),
        "session-10k": (10_000, login),
    }
    targets = []
    for name in names:
        if name == "nginx":
            child = nginx(bench, "nginx", PROXY_CPU, f"upstream app {{ server 127.0.0.1:{upstream_port}; keepalive 256; keepalive_requests 1000000000; }}\n"
                          f"server {{ listen 127.0.0.1:{nginx_port} backlog=4096; location / {{ proxy_pass http://app; proxy_http_version 1.1; "
                          "proxy_set_header Connection \"\"; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; } }")
            bench.wait_for(child, lambda: is_listening(nginx_port))
            targets.append({"name": name, "port": nginx_port, "child": child, "header": None, "values": None})
            continue
        port, admin_port = ports[name]
        origin = f"http://127.0.0.1:{port}"
        if name in bench_bearer.TOKENS:
            if name in bench_bearer.GATEWAY:
                child = gateway(bench, name, port, admin_port, token_urls["issuer"], routes(10, origin, to, bench_bearer.settings(name)))
            elif name.startswith("haproxy"):
                child = bench_bearer.start_haproxy(bench, name, port, upstream_port, token_urls)
            else:
                child = bench_bearer.start_apache(bench, name, port, upstream_port, token_urls, SECRET)
            values = bench_bearer.values(bench, name, rounds)
            bench_bearer.require_checking(name, port, PATH, values)
            targets.append({"name": name, "port": port, "child": child, "header": "Authorization", "values": values})
            continue
        count, settings = kinds[name]
        child = gateway(bench, name, port, admin_port, issuer, routes(count, origin, to, settings))
        cookies = log_in(bench, name, origin) if settings is login else None
        targets.append({"name": name, "port": port, "child": child, "header": "Cookie", "values": cookies})
    return targets


def report(rows, idle):
    """Prints the table and, where both sides were measured, the aims."""
    def ratio(name, base):
        return statistics.median(mine["cpu_us"] / theirs["cpu_us"] for mine, theirs in zip(rows[name], rows[base]))

    print(f"\n{'target':<22}{'CPU µs':>8}{'x nginx':>9}{'req/s':>9}{'p99 µs':>9}")
    for name, measured in rows.items():
        middle = {key: statistics.median(row[key] for row in measured) for key in measured[0]}
        beside = f"{ratio(name, 'nginx'):.2f}" if "nginx" in rows else "-"
        print(f"{name:<22}{middle['cpu_us']:>8.1f}{beside:>9}{middle['rps']:>9.0f}{middle['p99_us']:>9.0f}")
    aims = [("pass-through / nginx", "public", "nginx", 2.0), ("session / pass-through", "session", "public", 1.15),
            ("10 000 routes / 10 routes", "session-10k", "session", 1.05), ("bearer / pass-through", "bearer", "public", 1.15),
            ("introspection / pass-through", "introspection", "public", 1.15),
            ("first-seen RS256 / haproxy", "bearer-rs256", "haproxy-rs256", 0.8)]
    print()
    for what, name, base, limit in aims:
        if name in rows and base in rows:
            found = ratio(name, base)
            print(f"{what:<30}{found:>8.2f}   aim ≤ {limit:<6}{'met' if found <= limit else 'MISSED'}")
    if idle is not None:
        print(f"{'idle connection, kB':<30}{idle / 1000:>8.1f}   aim ≤ {20:<6}{'met' if idle <= 20_000 else 'MISSED'}")


def main():
    every = ["nginx", "public", "session", "session-10k", *bench_bearer.TOKENS]
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(every), help="comma-separated: " + ", ".join(every))
    parser.add_argument("--tokens", type=int, default=60_000, help="of each algorithm, each used once")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    if unknown := set(names) - set(every):
        parser.error(f"no target is named {', '.join(sorted(unknown))}")
    if arguments.rounds < 1 or arguments.tokens < arguments.rounds:
        parser.error("expected at least one round, and one token for each")
    for name in list(names):
        if package := bench_bearer.lacking(name):
            print(f"{name} is left out: {package} is not installed")
            names.remove(name)
    if not names:
        sys.exit("bench: nothing is left to measure")
    resource.setrlimit(resource.RLIMIT_NOFILE, (MANY_FILES, max(MANY_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))

    with tempfile.TemporaryDirectory(prefix="vestibule-bench-") as folder:
        bench = Bench(pathlib.Path(folder))
        try:
            targets = start_targets(bench, names, arguments.rounds, arguments.tokens)
            # Before the load: afterwards the process holds memory that new connections would only use again.
            idle = next((idle_bytes(target) for target in targets if target["name"] == "public"), None)
            rows = {target["name"]: [] for target in targets}
            for target in targets:
                measure(target, 1, 0)
            for number in range(arguments.rounds):
                first = number % len(targets)
                for target in targets[first:] + targets[:first]:
                    row = measure(target, arguments.seconds, number + 1)
                    rows[target["name"]].append(row)
                    print(f"round {number + 1}  {target['name']:<22}{row['cpu_us']:>8.1f} µs{row['rps']:>9.0f} req/s", flush=True)
            report(rows, idle)
            if arguments.json:
                arguments.json.write_text(json.dumps({"rows": rows, "idle_bytes": idle}, indent=1))
        finally:
            bench.stop()


if __name__ == "__main__":
    main()
