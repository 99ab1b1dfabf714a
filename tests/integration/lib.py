# SPDX-License-Identifier: GPL-3.0-or-later
"""What the integration tests stand on: a private gateway, a Redis that can be killed, clients nobody here wrote.

Waiting is always for a condition with a generous limit (wait_until), never for a time that ought to be enough.
"""
import atexit
import contextlib
import ctypes
import fcntl
import glob
import importlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import resp

BINARY = os.environ.get("WEIR_BIN") or os.environ.get("WEIR_BINARY") or "weir"
PATIENCE_S = 60.0
SANITIZER = re.compile(r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:|ThreadSanitizer")


class Skip(Exception):
    """Raised by a test that cannot run here; says why."""


def wait_until(condition, what, limit_s=PATIENCE_S):
    """Returns the first true result of condition()."""
    end = time.monotonic() + limit_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError("still not true after %g s: %s" % (limit_s, what))
        time.sleep(0.02)


def until(status, ask, what):
    """Returns the first answer of ask() with this status; one that a limit of connections or a restart cut off is none."""
    def attempt():
        try:
            answer = ask()
        except Failed:
            return None
        return answer if answer.status == status else None
    return wait_until(attempt, what)


def fastest(measure, limit_s, what, rounds=4):
    """That measure() is done within a time, in one of some rounds: a machine that stood still in the others proves nothing.

    What it measures must take much longer, or for ever, in every round when it is wrong.
    """
    took = []
    while not took or (min(took) >= limit_s and len(took) < rounds):
        begun = time.monotonic()
        took.append(measure() or time.monotonic() - begun)
    assert min(took) < limit_s, "%s: took %s s" % (what, ", ".join("%.1f" % each for each in took))


def equal(actual, expected, what=""):
    if actual != expected:
        raise AssertionError("%s: got %r, expected %r" % (what or "values differ", actual, expected))


def _first_of_the_kernel():
    """The lowest port that a connection of anybody may get."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            return int(file.read().split()[0])
    except OSError:
        return 32768


class Leases:
    """Ports that no other test and no other run of tests on this machine is given while this process lives.

    A port that was found free is bound only later, by a program that the test starts, and again when that program
    is restarted. A lock per port on a file that all runs share lasts as long as the process, however it ends.
    """

    def __init__(self):
        path = os.path.join(tempfile.gettempdir(), "weir-test-ports-%d" % os.getuid())
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.mine = set()

    def take(self, port):
        if port in self.mine:
            return False
        try:
            fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            return False
        self.mine.add(port)
        return True


leases = Leases()


def free_port(kind=socket.SOCK_STREAM, host="127.0.0.1", also=0):
    """A port, and the one `also` above it: below those that the kernel gives to connections, and leased."""
    first, last = 10000, max(_first_of_the_kernel(), 20000) - also
    for _ in range(10000):
        port = random.SystemRandom().randrange(first, last)
        if not all(leases.take(one) for one in {port, port + also}):
            continue
        try:
            for one in {port, port + also}:
                with socket.socket(socket.AF_INET, kind) as sock:
                    sock.bind((host, one))
            return port
        except OSError:
            continue
    raise AssertionError("no port is free between %d and %d" % (first, last))


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def spawn(arguments, **more):
    return subprocess.Popen(arguments, preexec_fn=_die_with_parent, **more)


class Failed(AssertionError):
    """A program that had to end well did not."""


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __repr__(self):
        return "<exit %d\n%s\n%s>" % (self.status, self.out[-2000:], self.err[-2000:])


def run(arguments, timeout=120.0, stdin=None, check=False, text=True):
    done = subprocess.run(arguments, input=stdin, capture_output=True, timeout=timeout, preexec_fn=_die_with_parent)
    decode = (lambda data: data.decode("utf-8", "replace")) if text else (lambda data: data)
    result = Result(done.returncode, decode(done.stdout), done.stderr.decode("utf-8", "replace"))
    if check and result.status != 0:
        raise Failed("%s failed: %r" % (arguments[0], result))
    return result


class Server:
    """A redis-server that belongs to the test: .process, .address and .folder are set by who starts it."""

    def client(self):
        return resp.Redis(self.address)

    def call(self, *arguments):
        with self.client() as redis:
            return redis(*arguments)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.thaw()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class RedisServer(Server):
    """One on a socket in a folder of its own, to be stopped, killed and started again on the same address and data.

    options: further ones of redis-server; they go before those below.
    """

    def __init__(self, *options, environment=None):
        self.options = list(options)
        self.environment = {**os.environ, **(environment or {})}
        self.folder = tempfile.mkdtemp(prefix="weir-redis-")
        self.path = os.path.join(self.folder, "s")
        self.address = "unix:" + self.path
        self.process = None
        self.start()

    def start(self):
        self.process = spawn(["redis-server", "--port", "0", "--unixsocket", self.path, "--dir", self.folder,
                              "--save", "", "--appendonly", "yes", "--appendfsync", "always",
                              "--maxmemory-policy", "noeviction", *self.options],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment)
        wait_until(self._answers, "redis-server answers")

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError("redis-server ended with %d" % self.process.returncode)
        try:
            with resp.Redis(self.address) as redis:
                return redis("PING") == "PONG"
        except (OSError, resp.RedisError):
            return False


_kek = None


def key_encryption_key():
    """A file for all gateways of this run that share a Redis."""
    global _kek
    if _kek is None:
        folder = tempfile.mkdtemp(prefix="weir-kek-")
        atexit.register(shutil.rmtree, folder, True)
        _kek = os.path.join(folder, "kek")
        with open(os.open(_kek, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(os.urandom(32).hex() + "\n")
    return _kek


def _environment():
    """AddressSanitizer keeps freed memory back; little of it, so that tests of memory growth see the gateway's own."""
    environment = dict(os.environ)
    environment["ASAN_OPTIONS"] = ":".join(filter(None, [environment.get("ASAN_OPTIONS"), "quarantine_size_mb=1",
                                                         "thread_local_quarantine_size_kb=16"]))
    return environment


class Secrets(list):
    """What a gateway was told that must not come out again; ALL has those of every gateway of this run."""
    ALL = set()

    def append(self, secret):
        self += [secret]

    def __iadd__(self, more):
        self.extend(more)
        Secrets.ALL.update(secret for secret in more if secret)
        return self


def check_error_body(status, body):
    """What is refused is refused without a secret in the answer."""
    if status >= 400:
        text = body.decode(errors="replace")
        assert not any(secret in text for secret in Secrets.ALL), "a secret is in the body of a refusal"


class Gateway:
    """`weir serve` in a folder of its own on free ports.

    Settings are keyword arguments (coap_port=0 turns a listener off). demo=True makes the demo records, whose secrets
    are then in .psk, .device_token and .operator_token. stop() fails if the gateway did not end cleanly, if a
    sanitizer complained, or if a secret is in the log.
    """

    def __init__(self, demo=True, workers=1, state_dir=None, environment=None, **settings):
        self.folder = state_dir or tempfile.mkdtemp(prefix="weir-test-")
        self.owns_folder = state_dir is None
        self.demo, self.workers = demo, workers
        self.environment = dict(environment or {})
        self.settings = {
            "workers": workers,
            "coap_port": free_port(socket.SOCK_DGRAM),
            "coaps_port": free_port(socket.SOCK_DGRAM),
            "http_port": free_port(),
            "ops_port": free_port(),
            "listen": "127.0.0.1",
            "map_network": "127.0.0.0/8=demo",
            "state_dir": self.folder,
            # Gateways over one Redis have one key, as whoever runs them copies it.
            **({"kek": key_encryption_key()} if "redis" in settings else {}),
            **settings,
        }
        self.coap_port = int(self.settings["coap_port"])
        self.coaps_port = int(self.settings["coaps_port"])
        self.http_port = int(self.settings["http_port"])
        self.ops_port = int(self.settings["ops_port"])
        self.secrets = Secrets()
        self.plain_in_redis = False
        self.log_path = os.path.join(self.folder, "weir.log")
        self.process = None
        self.connection = None
        self.start()

    def start(self):
        self.launch()
        self.wait_ready()

    def wait_ready(self):
        try:
            wait_until(self._is_ready, "weir serve is ready")
        except AssertionError:
            self.kill()
            raise AssertionError("weir serve did not get ready:\n" + self.log()[-4000:])
        self._wait_known()
        if self.demo:
            self._read_demo()

    def _wait_known(self):
        """It gets ready without a Redis that is slow to start; then nobody is known for a while. Not if Redis is away."""
        if "nobody is known until it does" not in self.log():
            return
        try:
            with resp.Redis(self.settings.get("redis") or self.redis_address, timeout=2.0) as redis:
                redis("PING")
        except (OSError, ValueError, resp.RedisError):
            return
        wait_until(lambda: 'msg="registry loaded"' in self.log(), "the registry is loaded")

    def launch(self):
        """Starts without waiting for anything."""
        self.log_from = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        arguments = [BINARY, "serve"] + (["--demo"] if self.demo else [])
        arguments += ["--%s=%s" % item for item in self.settings.items()]
        with open(self.log_path, "ab") as log, open(os.path.join(self.folder, "out"), "wb") as out:
            self.process = spawn(arguments, stdout=out, stderr=log, stdin=subprocess.DEVNULL,
                                 env={**_environment(), **self.environment})

    def _is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError("weir serve ended with %d:\n%s" % (self.process.returncode, self.log()[-4000:]))
        return 'msg="ready"' in self.log() or "msg=ready" in self.log()

    def _read_demo(self):
        with open(os.path.join(self.folder, "demo.env")) as file:
            values = dict(line.strip().split("=", 1) for line in file if "=" in line)
        self.psk_identity = values["WEIR_DEMO_PSK_IDENTITY"]
        self.psk = bytes.fromhex(values["WEIR_DEMO_PSK"])
        self.device_token = values["WEIR_DEMO_DEVICE_TOKEN"]
        self.operator_token = values["WEIR_DEMO_OPERATOR_TOKEN"]
        self.secrets += [values["WEIR_DEMO_PSK"], self.device_token, self.operator_token]

    def log(self):
        with open(self.log_path, errors="replace") as file:
            file.seek(self.log_from)
            return file.read()

    @property
    def redis_address(self):
        with open(os.path.join(self.folder, "redis.address")) as file:
            return file.readline().strip()

    @property
    def redis(self):
        if self.connection is None:
            self.connection = resp.Redis(self.redis_address)
        return self.connection

    def wait_pushed(self, limit_s=PATIENCE_S):
        """Waits until everything that was acknowledged is in Redis."""
        wait_until(lambda: self.metric("weir_spool_unpushed_records") == 0, "the spool is pushed", limit_s)

    def observations(self, device=None, name=None, tenant="demo"):
        if self.process and self.process.poll() is None:
            self.wait_pushed()
        return [entry for entry in self.redis.observations(tenant)
                if device in (None, entry["d"]) and name in (None, entry["n"])]

    def cli(self, *arguments, check=True):
        """`weir ...` on this gateway's records."""
        return run([BINARY, *arguments, "--state-dir", self.folder], check=check)

    def add_device(self, name, psk=None, *more):
        """tenant/id with a key, and waits until the gateway knows it (within a second by contract)."""
        psk = psk or os.urandom(8).hex().encode()
        self.secrets += [psk.hex()] + ([psk.decode()] if len(psk) > 7 and psk.isalnum() else [])
        self.cli("device", "add", name, "--psk", psk.hex(), *more)
        return psk

    def add_token(self, *arguments):
        token = re.search(r"weir_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", self.cli("token", "add", *arguments).out).group(0)
        self.secrets.append(token)
        return token

    def metric(self, name, labels=""):
        text = run(["curl", "-sS", "--max-time", "60", "http://127.0.0.1:%d/metrics" % self.ops_port], check=True).out
        wanted = name + ("{%s}" % labels if labels else "")
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if line.rsplit(" ", 1)[0] == wanted or (not labels and line.startswith(name + "{")))

    def memory_kb(self):
        with open("/proc/%d/status" % self.process.pid) as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))

    def is_alive(self):
        return self.process.poll() is None

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
        self._disconnect()

    def _disconnect(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def terminate(self):
        """SIGTERM and a clean end, or an AssertionError that says what was wrong."""
        self.check_redis()
        self._disconnect()
        self.process.terminate()
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("weir serve did not end on SIGTERM:\n" + self.log()[-4000:])
        self.check_log()
        if status != 0:
            raise AssertionError("weir serve ended with %d:\n%s" % (status, self.log()[-4000:]))

    def check_redis(self):
        """No secret that the gateway was told lies in its private Redis: neither in the name of a key nor in a record.
        plain_in_redis: a test has put some there itself."""
        if "redis" in self.settings or self.plain_in_redis or not self.secrets or not self.is_alive():
            return
        read = {b"hash": "HGETALL", b"set": "SMEMBERS", b"string": "GET"}
        try:
            for key in self.redis("KEYS", "*"):
                kind = self.redis("TYPE", key)
                kind = kind.encode() if isinstance(kind, str) else kind
                value = self.redis(read[kind], key) if kind in read else ""
                where = repr((key, value))
                for secret in self.secrets:
                    assert not secret or secret not in where, "a secret is in Redis: %r" % key
        except OSError:
            return  # the test has taken Redis away

    def check_log(self):
        text = self.log()
        found = SANITIZER.search(text)
        if found:
            raise AssertionError("sanitizer report:\n" + text[max(0, found.start() - 500):][:6000])
        for secret in self.secrets:
            if secret and secret in text:
                raise AssertionError("a secret is in the log")

    def stop(self):
        try:
            self.terminate()
        finally:
            if self.owns_folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.kill()
            sys.stderr.write("# log of the gateway:\n" + re.sub("^", "# ", self.log()[-3000:], flags=re.M) + "\n")
            if self.owns_folder:
                shutil.rmtree(self.folder, ignore_errors=True)


# Clients ----------------------------------------------------------------------------------------------------------

def coap_client(uri, *options, tls="openssl", psk=None, timeout_s=60):
    """Debian's coap-client. tls: notls, openssl or gnutls; psk: (identity, key bytes that are printable).

    Returns a Result; .code is the response code when it was an error ("4.04"), else "".
    """
    program = shutil.which("coap-client-" + tls)
    if not program:
        raise Skip("coap-client-%s is not installed" % tls)
    arguments = [program, "-B", str(timeout_s), *options]
    if psk:
        arguments += ["-u", psk[0], "-k", printable(psk[1])]
    if tls == "openssl":
        arguments = ["env", "OPENSSL_CONF=/dev/null"] + arguments
    result = run(arguments + [uri], timeout=timeout_s + 20)
    found = re.search(r"(?m)^([45]\.\d\d)", result.out + "\n" + result.err)
    result.code = found.group(1) if found else ""
    return result


def printable(key):
    """coap-client takes keys as text only."""
    if not all(33 <= octet < 127 for octet in key):
        raise Skip("the key is not printable, which coap-client needs")
    return key.decode()


class HttpAnswer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "<HTTP %d %s %r>" % (self.status, self.headers, self.body[:500])


def curl(url, *options, token=None, data=None, content_type=None, accept=None, method=None):
    """One request with curl; headers are lower-case."""
    with tempfile.NamedTemporaryFile() as headers:
        arguments = ["curl", "-sS", "--max-time", "60", "-D", headers.name, *options]
        if token:
            arguments += ["-H", "Authorization: Bearer " + token]
        if content_type:
            arguments += ["-H", "Content-Type: " + content_type]
        if accept:
            arguments += ["-H", "Accept: " + accept]
        if method:
            arguments += ["-X", method] if method != "HEAD" else ["-I"]
        stdin = None
        if data is not None:
            stdin = data.encode() if isinstance(data, str) else data
            arguments += ["--data-binary", "@-"]
            if not content_type:
                arguments += ["-H", "Content-Type:"]
        result = run(arguments + [url], stdin=stdin, text=False, check=True)
        lines = open(headers.name, errors="replace").read().replace("\r", "").strip().split("\n\n")[-1].splitlines()
    parsed = dict((part.strip() for part in (line.split(":", 1)[0].lower(), line.split(":", 1)[1]))
                  for line in lines[1:] if ":" in line)
    check_error_body(int(lines[0].split()[1]), result.out)
    return HttpAnswer(int(lines[0].split()[1]), parsed, result.out)


def aiocoap():
    """The aiocoap module. Not in Debian 12: taken from where pip puts it below the build folder, once."""
    folder = os.path.join(os.environ.get("WEIR_BUILD_ROOT", tempfile.gettempdir()), "python")
    if os.path.isdir(folder) and folder not in sys.path:
        sys.path.append(folder)
    with contextlib.suppress(ImportError):
        return importlib.import_module("aiocoap")
    for python in ("python3", sys.executable):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            run([python, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, "aiocoap"], timeout=90)
            if glob.glob(os.path.join(folder, "aiocoap")):
                break
    if os.path.isdir(folder) and folder not in sys.path:
        sys.path.append(folder)
    importlib.invalidate_caches()
    try:
        return importlib.import_module("aiocoap")
    except ImportError:
        raise Skip("aiocoap is not installed and pip cannot fetch it")


# Certificates -----------------------------------------------------------------------------------------------------

class Authority:
    """A certificate authority of one test, by the openssl program: ECDSA P-256."""

    def __init__(self, folder):
        self.folder = folder
        self.certificate, self.key = self.path("ca.pem"), self.path("ca.key")
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", self.key, "-out", self.certificate, "-subj", "/CN=test authority", "-days", "2",
             "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"], check=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, name, common_name, usage="clientAuth", days="2"):
        """Certificate and key files for a subject."""
        key, request, certificate = (self.path(name + suffix) for suffix in (".key", ".csr", ".pem"))
        extensions = self.path(name + ".ext")
        with open(extensions, "w") as file:
            file.write("basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=%s\n"
                       "subjectAltName=DNS:%s\n" % (usage, re.sub("[^A-Za-z0-9.-]", "-", common_name)))
        run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
             "-out", request, "-subj", "/CN=" + common_name.replace("/", "\\/")], check=True)
        run(["openssl", "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
             "-CAcreateserial", "-out", certificate, "-days", days, "-extfile", extensions], check=True)
        return certificate, key
