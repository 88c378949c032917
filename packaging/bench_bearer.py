"""Access tokens for the benchmark, and the proxies beside which they are measured: haproxy and Apache with mod_auth_openidc.

All check the same tokens of one issuer (bench-issuer.mjs): signature, expiry, audience, and tell the upstream who the user is.
A target whose `values` are a list gets one file per round (the first is for the warm-up) with tokens that it has never seen.
"""
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

from bench_process import LOAD_CPU
from bench_process import PROCESSORS
from bench_process import PROXY_CPU
from bench_process import is_listening

AUDIENCE = "https://api.bench.example"
# Seen before: as many callers as a busy API has at a time.
TOKENS_AGAIN = 200
TOKENS_WARM_UP = 2000
# 60 000 RSA signatures take two processors about half a minute.
MINT_SECONDS_MAX = 600
APACHE_MODULES = pathlib.Path("/usr/lib/apache2/modules")
APACHE_THREADS = 128

# The file of tokens that a row uses; with a number appended where each token is used once.
TOKENS = {"bearer": "rs256.again", "bearer-rs256": "rs256", "bearer-es256": "es256", "introspection": "opaque.again",
          "haproxy-rs256": "rs256", "apache-rs256": "rs256", "apache-introspection": "opaque.again"}
# Of these, the rows of the gateway itself: how a route checks the tokens.
GATEWAY = {"bearer": "signature", "bearer-rs256": "signature", "bearer-es256": "signature", "introspection": "introspection"}


def program(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")


def lacking(name):
    """What has to be installed for a row; None when it is all there."""
    if name.startswith("haproxy") and not program("haproxy"):
        return "haproxy"
    if name.startswith("apache"):
        if not program("apache2"):
            return "apache2-bin"
        if not (APACHE_MODULES / "mod_auth_openidc.so").exists():
            return "libapache2-mod-auth-openidc"
        if not program("openssl"):
            return "openssl"
    return None


def settings(name):
    """The part of a gateway's route."""
    return {"auth": "bearer", "allow": [{"any_user": True}],
            "bearer": {"issuers": ["bench"], "audience": AUDIENCE, "validation": GATEWAY[name]}}


def start_issuer(bench, names, rounds, tokens, secret):
    """Starts the issuer after it has written the tokens of all rows: {issuer, tls}, its URL and the one over TLS."""
    if "apache-introspection" in names:
        # The module asks over https only. Its questions are few: it remembers the answers.
        subprocess.run([program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                        "/CN=127.0.0.1", "-days", "2", "-keyout", bench.folder / "tls.key", "-out", bench.folder / "tls.crt"],
                       check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    signed = {}
    for name in names:
        algorithm, again = TOKENS[name].split(".")[0], TOKENS[name].endswith(".again")
        if algorithm == "opaque":
            continue
        wish = signed.setdefault(algorithm, {"once": [], "again": TOKENS_AGAIN})
        if not again:
            wish["once"] = [TOKENS_WARM_UP] + [tokens // rounds] * rounds
    wishes = json.dumps({"signed": signed, "opaque": TOKENS_AGAIN})
    print(f"signing {sum(sum(wish['once']) for wish in signed.values())} tokens", flush=True)
    # Signing is the longest part of the preparation and may use all processors; afterwards the issuer has nothing to do with
    # the proxies' processor.
    issuer = bench.start("issuer", ",".join(map(str, PROCESSORS)),
                         ["node", pathlib.Path(__file__).with_name("bench-issuer.mjs"), bench.folder, wishes],
                         {"IDP_CLIENT_SECRET": secret})
    log = bench.folder / "issuer.log"
    found = bench.wait_for(issuer, lambda: re.search(r'^\{"issuer":.*\}$', log.read_text(), re.M), MINT_SECONDS_MAX)
    for thread in os.listdir(f"/proc/{issuer.pid}/task"):
        os.sched_setaffinity(int(thread), {LOAD_CPU})
    return json.loads(found.group(0))


def values(bench, name, rounds):
    """One file for all rounds, or a list with one for the warm-up and one for each round."""
    file = bench.folder / TOKENS[name]
    return file if file.suffix else [bench.folder / f"{file.name}.{part}" for part in range(rounds + 1)]


def require_checking(name, port, path, values_):
    """Ends the benchmark when a target answers 2xx to a good token's neighbour: its figures would be those of no check."""
    with open(values_[0] if isinstance(values_, list) else values_) as file:
        good = file.readline().strip()
    # The middle of the last part: in its last character not all bits count.
    at = len(good) - 20
    forged = good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1:]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for what, headers in (("no token", {}), ("a forged token", {"Authorization": forged})):
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        response.read()
        if response.status != 401:
            sys.exit(f"bench: {name} answers {response.status} to {what}, expected 401")
    connection.close()


def start_haproxy(bench, name, port, upstream_port, urls):
    """Checks algorithm, issuer, audience, expiry and signature of each token, and sends the subject on."""
    file = bench.folder / f"{name}.cfg"
    file.write_text(f"""
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  http-reuse always
frontend api
  bind 127.0.0.1:{port}
  option forwardfor
  http-request set-var(txn.token) http_auth_bearer
  http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
  http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.iss') -m str {urls['issuer']} }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.aud[0]') -m str {AUDIENCE} }}
  http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_verify(txn.alg,"{bench.folder}/rs256.pub.pem") 1 }}
  http-request set-header X-Forwarded-User %[var(txn.token),jwt_payload_query('$.sub')]
  http-request set-header X-Forwarded-Email %[var(txn.token),jwt_payload_query('$.email')]
  default_backend app
backend app
  server one 127.0.0.1:{upstream_port} pool-max-conn 256
""")
    child = bench.start(name, PROXY_CPU, [program("haproxy"), "-db", "-q", "-f", file])
    bench.wait_for(child, lambda: is_listening(port))
    return child


def start_apache(bench, name, port, upstream_port, urls, secret):
    """One process with threads; mod_auth_openidc as resource server, with its cache in shared memory."""
    folder = bench.folder / name
    folder.mkdir()
    if name == "apache-introspection":
        check = (f"OIDCOAuthIntrospectionEndpoint {urls['tls']}/introspect\nOIDCOAuthSSLValidateServer Off\nOIDCOAuthClientID gateway\n"
                 f"OIDCOAuthClientSecret {secret}\nOIDCOAuthTokenIntrospectionInterval 3600")
    else:
        # The key itself, as haproxy has it: the module would fetch key sets over https only.
        check = f"OIDCOAuthVerifyCertFiles rs256#{bench.folder}/rs256.pub.pem"
    modules = "\n".join(f"LoadModule {module}_module {APACHE_MODULES}/mod_{module}.so" for module in
                        ("mpm_event", "authz_core", "authn_core", "authz_user", "proxy", "proxy_http", "auth_openidc"))
    (folder / "apache.conf").write_text(f"""
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/pid
Mutex file:{folder}
ErrorLog {folder}/error.log
ServerName localhost
Listen 127.0.0.1:{port}
{modules}
StartServers 1
ServerLimit 1
ThreadLimit {APACHE_THREADS}
ThreadsPerChild {APACHE_THREADS}
MaxRequestWorkers {APACHE_THREADS}
MinSpareThreads 1
MaxSpareThreads {APACHE_THREADS}
MaxKeepAliveRequests 0
KeepAliveTimeout 3600
{check}
OIDCOAuthRemoteUserClaim sub
OIDCCryptoPassphrase {secret}
OIDCCacheType shm
ProxyPass / http://127.0.0.1:{upstream_port}/ enablereuse=on max=256 ttl=3600
<Location />
AuthType oauth20
Require claim aud:{AUDIENCE}
</Location>
""")
    child = bench.start(name, PROXY_CPU, [program("apache2"), "-DFOREGROUND", "-f", folder / "apache.conf"])
    bench.wait_for(child, lambda: is_listening(port))
    return child
