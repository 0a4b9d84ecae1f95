"""The servers that are measured: the daemon and its peers, each started in a directory of its own.

A class tells in `find` whether its server is installed and which version, or raises Missing; an instance is one
running server with a pool of `threads`. Which requests a server is asked for stands in its `paths`; a
workload that is not there has no counterpart in that server.
"""

import http.client
import os
import re
import subprocess
import sys
import tempfile
import time

import machine
from machine import TOP, Daemon, DaemonError, Missing, binary, program

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = os.path.join(HERE, "peers")
BUILT = os.path.join(TOP, "build", "bench", "peers")
LENGTHS = {"hello": 12, "file16k": 16 << 10, "answer1m": 1 << 20, "file1m": 1 << 20}  # of the answers
BLOCKING = {name: "/" + name for name in ("noop", "sleep", "spin")}

CONFIG = """
server: {{ log_level = "error"; max_connections = 18000; keepalive_timeout = "10m"; }};
listeners: {{ main: {{ address = "127.0.0.1:0"; }}; }};
pools: {{ default: {{ threads = {threads}; {pool} }}; }};
routes: (
    {{ path = "/hello"; action = "respond"; body = "Hello World!"; }},
    {{ path = "/post";  action = "respond"; body = "Hello World!"; methods = [ "POST" ]; max_body_size = "2m"; }},
    {{ path = "/big";   action = "respond"; body_file = "{files}/file1m"; }},
    {{ path = "/noop";  action = "sleep"; duration = 0; }},
    {{ path = "/sleep"; action = "sleep"; duration = "50ms"; }},
    {{ path = "/spin";  action = "spin"; duration = "1ms"; }},
    {{ path = "/*";     action = "file"; root = "{files}"; }},
    {{ path = "/store/{{name}}"; action = "upload"; directory = "{files}/stored"; name = "${{path.name}}";
       max_body_size = "1g"; overwrite = true; fsync = "none"; }}
);
"""


def version_of(*command):
    """The first thing that looks like a version in what a program prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    found = re.search(r"\d+\.\d+(?:\.\w+)*", done.stdout + done.stderr)
    if done.returncode or not found:
        raise Missing(f"{' '.join(command)} ended with {done.returncode}: {(done.stdout + done.stderr).strip()[-200:]}")
    return found[0]


def build(source, target, *command):
    """Compiles a peer when it is older than its source; the path of the result."""
    source, target = os.path.join(SOURCES, source), os.path.join(BUILT, target)
    if not os.path.exists(target) or os.path.getmtime(target) < os.path.getmtime(source):
        os.makedirs(BUILT, exist_ok=True)
        done = subprocess.run(
            [word.format(source=source, target=target, folder=BUILT) for word in command],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env=dict(os.environ, GO111MODULE="off", GOFLAGS=""),
        )
        if done.returncode:
            raise Missing(f"cannot be compiled: {done.stderr.strip()[-300:]}")
    return target


class Server:
    """One running server; use it in a `with` block."""

    name = label = package = None
    paths = {}
    warm_up = 1  # seconds of load before the first round

    def __init__(self, cpu, files, threads=40):
        self.cpu, self.files, self.threads = cpu, files, threads
        self.port = self.process = self._tmp = self._holder = None

    @classmethod
    def find(cls):
        """The version; Missing when it is not there."""
        raise NotImplementedError

    def command(self, folder):
        raise NotImplementedError

    def __enter__(self):
        self._tmp = tempfile.TemporaryDirectory(prefix=f"handoffd-{self.name}-")
        folder = self._tmp.name
        self._holder = machine.reserved_port()
        self.port = self._holder.getsockname()[1]
        log_path = os.path.join(folder, "log")
        env = dict(os.environ, PORT=str(self.port), THREADS=str(self.threads), FILES=self.files, TMPDIR=folder)
        env.update(PYTHONDONTWRITEBYTECODE="1", UV_THREADPOOL_SIZE=str(self.threads))
        try:
            with open(log_path, "wb") as log:
                self.process = machine.pinned(
                    self.command(folder), self.cpu, cwd=folder, env=env, stdout=log, stderr=log
                )
            machine.await_port(self.port, [self.process])
            self.check("hello")
            return self
        except (DaemonError, OSError) as error:
            with open(log_path, encoding="utf-8", errors="replace") as log:
                told = log.read().strip()[-300:]
            self.__exit__(None, None, None)
            raise DaemonError(f"{error}: {told}") from None
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(self, kind, value, trace):
        if self.process is not None:
            machine.end(self.process)
        self._holder.close()
        self._tmp.cleanup()

    def pids(self):
        return machine.family([self.process.pid])

    def url(self, workload):
        return f"http://127.0.0.1:{self.port}{self.paths[workload]}"

    def check(self, workload, patience=30):
        """The server must answer as the workload wants it; it may need a moment for its first answer."""
        deadline = time.monotonic() + patience
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                method, body = ("POST", b"x" * 1000) if workload == "post" else ("GET", None)
                connection.request(method, self.paths[workload], body)
                answer = connection.getresponse()
                got = len(answer.read())
                connection.close()
                if answer.status == 200 and got == LENGTHS.get(workload, got):
                    return
                problem = f"{self.paths[workload]} is answered with {answer.status} and {got} bytes"
                raise DaemonError(problem)
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise DaemonError(f"{self.paths[workload]} is not answered: {error}") from None
                time.sleep(0.05)


class Handoffd(Server):
    name = label = "handoffd"
    paths = {
        **{"hello": "/hello", "post": "/post", "answer1m": "/big", "store": "/store/body", "stored": "/stored/body"},
        **{name: "/" + name for name in ("file16k", "file1m", "file100m")},
        **BLOCKING,
    }
    pool = ""  # options besides the number of threads

    @classmethod
    def program(cls):
        return binary()

    @classmethod
    def find(cls):
        if not os.access(cls.program(), os.X_OK):
            raise Missing(f"{cls.program()} is not there (`make` builds it)")
        done = subprocess.run([cls.program(), "-V"], capture_output=True, text=True, check=True)
        return done.stdout.strip().split("\n")[0]

    def __enter__(self):
        text = CONFIG.format(threads=self.threads, files=self.files, pool=self.pool)
        self.daemon = Daemon(text, self.cpu, program=self.program())
        self.daemon.__enter__()
        self.process, self.port = self.daemon.process, self.daemon.ports["main"]
        return self

    def __exit__(self, kind, value, trace):
        self.daemon.__exit__(kind, value, trace)


class Newest(Handoffd):
    """The daemon as an operator sets it up for overloads."""

    name, label, pool = "codel-lifo", "handoffd, codel-lifo", 'discipline = "codel-lifo";'


class Nice(Handoffd):
    """The daemon as an operator sets it up for threads that compute."""

    name, label, pool = "nice-19", "handoffd, nice 19", "nice = 19;"


class FourHundred(Handoffd):
    """The daemon with ten times the threads, whatever the workload says."""

    name, label = "pool-of-400", "handoffd, 400 threads"

    def __init__(self, cpu, files, threads=400):
        super().__init__(cpu, files, 400)


class Before(Handoffd):
    """Another build of the daemon, to compare a change with what was before it."""

    name, label, other = "before", "the other build", None

    @classmethod
    def program(cls):
        return cls.other


class Nginx(Server):
    name = label = package = "nginx"
    paths = {
        **{"hello": "/hello", "noop": "/file12", "answer1m": "/file1m", "post": "/post"},
        **{name: "/" + name for name in ("file16k", "file1m", "file100m")},
    }

    @classmethod
    def find(cls):
        path = program("nginx")
        told = subprocess.run([path, "-V"], capture_output=True, text=True, check=True).stderr
        if "--with-threads" not in told:
            raise Missing("is built without --with-threads (the Debian package has it)")
        return re.search(r"nginx version: nginx/(\S+)", told)[1]

    @staticmethod
    def configuration(folder, port, files, threads=40, more=""):
        with open(os.path.join(SOURCES, "nginx.conf"), encoding="ascii") as file:
            text = file.read()
        user = "user root;" if os.geteuid() == 0 else ""
        values = {"DIR": folder, "PORT": port, "FILES": files, "THREADS": threads, "USER": user, "MORE": more}
        return re.sub(r"@([A-Z]+)@", lambda found: str(values[found[1]]), text)

    def command(self, folder):
        conf = os.path.join(folder, "nginx.conf")
        with open(conf, "w", encoding="ascii") as file:
            file.write(self.configuration(folder, self.port, self.files, self.threads))
        return [program("nginx"), "-p", folder, "-c", conf, "-e", os.path.join(folder, "error.log")]


class NginxSendfile(Nginx):
    name, label = "nginx-sendfile", "nginx, sendfile"
    paths = {
        **{"hello": "/hello", "answer1m": "/sendfile/file1m"},
        **{name: "/sendfile/" + name for name in ("file16k", "file1m", "file100m")},
    }


def python_with(*modules):
    """A Python that has them: this one, or the distribution's."""
    for python in (sys.executable, "/usr/bin/python3"):
        done = subprocess.run(
            [python, "-c", "import " + ", ".join(modules)], capture_output=True, check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode == 0:
            return python
    raise Missing(f"no Python has all of {', '.join(modules)}")


class FastAPI(Server):
    name, label = "fastapi", "FastAPI"
    package = "python3-fastapi, uvicorn, python3-uvloop, python3-httptools"
    paths = {"hello": "/hello", "file16k": "/file16k", **BLOCKING}
    modules = ("fastapi", "uvicorn", "uvloop", "httptools")

    @classmethod
    def find(cls):
        python = python_with(*cls.modules)
        code = "from importlib.metadata import version\n"
        code += f"print(', '.join(f'{{m}} {{version(m)}}' for m in {cls.modules}))"
        return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()

    def command(self, folder):
        return [
            *(python_with(*self.modules), "-m", "uvicorn", "--app-dir", SOURCES, "fastapi_app:app"),
            *("--host", "127.0.0.1", "--port", str(self.port), "--loop", "uvloop", "--http", "httptools"),
            *("--no-access-log", "--log-level", "warning", "--backlog", "4096", "--timeout-keep-alive", "600"),
        ]


class Go(Server):
    name, label, package = "go", "Go net/http", "golang-go"
    paths = {"hello": "/hello", "file16k": "/file16k", **BLOCKING}

    @classmethod
    def find(cls):
        version = version_of(program("go", "golang-go"), "version")
        build("gonet.go", "gonet", "go", "build", "-o", "{target}", "{source}")
        return version

    def command(self, folder):
        return [os.path.join(BUILT, "gonet")]


class Mhd(Server):
    name, label, package = "mhd", "libmicrohttpd", "libmicrohttpd-dev"
    paths = {"hello": "/hello", "file16k": "/file16k"}
    mode = "loop"

    @classmethod
    def find(cls):
        version = version_of("pkg-config", "--modversion", "libmicrohttpd")
        build("mhd.c", "mhd", "cc", "-O2", "-Wall", "-o", "{target}", "{source}", "-pthread", "-lmicrohttpd")
        return version

    def command(self, folder):
        return ["env", f"MODE={self.mode}", os.path.join(BUILT, "mhd")]


class MhdPool(Mhd):
    name, label, mode = "mhd-pool", "libmicrohttpd, thread pool", "pool"
    paths = {"hello": "/hello", "file16k": "/file16k", **BLOCKING}


class Node(Server):
    name, label, package = "node", "Node.js", "nodejs"
    paths = {"hello": "/hello", "noop": "/noop", "spin": "/spin", "file16k": "/file16k"}

    @classmethod
    def find(cls):
        return version_of(program("node", "nodejs"), "--version")

    def command(self, folder):
        return [program("node", "nodejs"), os.path.join(SOURCES, "node.js")]


class Tomcat(Server):
    name, label = "tomcat", "Tomcat"
    package = "libtomcat10-embed-java, libjakarta-annotation-api-java, default-jdk-headless"
    paths = {"hello": "/hello", **BLOCKING}
    warm_up = 4  # the compiler of its virtual machine works beside it
    jars = ("/usr/share/java/tomcat10-embed-core.jar", "/usr/share/java/jakarta-annotation-api.jar")

    @classmethod
    def find(cls):
        javac = program("javac", "default-jdk-headless")
        for jar in cls.jars:
            if not os.path.exists(jar):
                raise Missing(f"{jar} is not there")
        build("Peer.java", "Peer.class", javac, "-cp", ":".join(cls.jars), "-d", "{folder}", "{source}")
        found = re.search(r"-(\d[\d.]+)\.jar", os.path.realpath(cls.jars[0]))
        java = version_of(program("java", "default-jdk-headless"), "-version")
        return f"{found[1] if found else '10'} on Java {java}"

    def command(self, folder):
        options = ["-Xms256m", "-Xmx256m", "-XX:-UsePerfData", f"-Djava.io.tmpdir={folder}"]
        return [program("java"), *options, "-cp", ":".join((*self.jars, BUILT)), "Peer"]


class Puma(Server):
    name = package = "puma"
    label = "Puma"
    paths = {"hello": "/hello", **BLOCKING}

    @classmethod
    def find(cls):
        puma = version_of(program("puma"), "--version")
        return f"{puma} on Ruby {version_of(program('ruby'), '--version')}"

    def command(self, folder):
        return [program("puma"), "-C", os.path.join(SOURCES, "puma.rb")]


class Gunicorn(Server):
    name = label = package = "gunicorn"
    paths = {"hello": "/hello", **BLOCKING}

    @classmethod
    def find(cls):
        return version_of(program("gunicorn"), "--version")

    def command(self, folder):
        return [
            *(program("gunicorn"), "--workers", "1", "--threads", str(self.threads), "--keep-alive", "600"),
            *("--backlog", "2048", "--worker-connections", "18000", "--log-level", "warning"),
            *("--chdir", SOURCES, "-b", f"127.0.0.1:{self.port}", "wsgi:application"),
        ]


ALL = {
    each.name: each
    for each in (Handoffd, Nginx, NginxSendfile, FastAPI, Go, Mhd, MhdPool, Node, Tomcat, Puma, Gunicorn)
}
