"""The load generators, and the readers of what they print."""

import json
import os
import re
import subprocess

from machine import TOP, DaemonError, Missing, pinned, program

BROWSER = """User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8
Accept-Language: en-US,en;q=0.5
Accept-Encoding: gzip, deflate, br, zstd
Upgrade-Insecure-Requests: 1
Sec-Fetch-Dest: document
Sec-Fetch-Mode: navigate
Sec-Fetch-Site: none
Priority: u=0, i
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark""".splitlines()

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text):
    """A time as wrk prints it, in seconds."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m|h)", text).groups()
    return float(number) * UNITS[unit]


def size(text):
    """An amount as wrk prints it, in bytes."""
    number, unit = re.fullmatch(r"([\d.]+)([KMGT]?)B", text).groups()
    return float(number) * 1024 ** " KMGT".index(unit or " ")


def parse_wrk(text):
    """Every figure that `wrk --latency` prints; None if it is not such an output."""
    rate = re.search(r"^Requests/sec:\s+([\d.]+)", text, re.M)
    total = re.search(r"^\s*(\d+) requests in ([\d.]+\w+), ([\d.]+[KMGT]?B) read", text, re.M)
    latency = re.search(r"^\s*Latency\s+(\S+)\s+(\S+)\s+(\S+)", text, re.M)
    if not rate or not total or not latency:
        return None
    found = {
        "rate": float(rate[1]),
        "bytes": size(re.search(r"^Transfer/sec:\s+(\S+)", text, re.M)[1]),
        "requests": int(total[1]),
        "seconds": seconds(total[2]),
        "mean": seconds(latency[1]),
        "deviation": seconds(latency[2]),
        "max": seconds(latency[3]),
    }
    for percent, value in re.findall(r"^\s*(\d+)%\s+([\d.]+(?:us|ms|s|m))\s*$", text, re.M):
        found["p" + percent] = seconds(value)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    found["errors"] = sum(int(count) for count in errors.groups()) if errors else 0
    found["refused"] = int(refused[1]) if refused else 0
    found["faults"] = found["errors"] + found["refused"]
    return found


def wrk(url, duration, cpu, clients=50, fields=(), script=None):
    """One run of wrk on its core."""
    command = [program("wrk"), "-t1", f"-c{clients}", f"-d{duration}s", "--latency", "--timeout", "10s"]
    for field in fields:
        command += ["-H", field]
    if script:
        command += ["-s", script]
    found = parse_wrk(output(command + [url], cpu))
    if found is None:
        raise DaemonError(f"{' '.join(command)} {url} printed no figures")
    return found


def wrk_version():
    """What `wrk -v` calls itself; it ends with 1 then."""
    done = subprocess.run([program("wrk"), "-v"], capture_output=True, text=True, check=False)
    return done.stdout.split("Copyright")[0].strip()


def load_program():
    found = os.environ.get("BENCH_LOAD") or os.path.join(TOP, "build", "tests", "bench_load")
    if not os.access(found, os.X_OK):
        raise Missing(f"{found} is not there (`make bench-tools` builds it)")
    return found


def load(port, paths, cpu, **options):
    """One run of tests/bench/load.c on its core; options by their letters. For each path its figures."""
    command = [load_program()]
    for letter, value in options.items():
        command += [f"-{letter}", str(value)]
    return json.loads(output(command + [str(port), *paths], cpu))


def output(command, cpu):
    process = pinned(command, cpu, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, errors = process.communicate()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode:
        raise DaemonError(f"{' '.join(command)} ended with {process.returncode}:\n{out}{errors}")
    return out


def parse_strace(text):
    """System calls by name, from `strace -c`."""
    calls = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 5 and re.fullmatch(r"[\d.]+", fields[0]) and fields[-1] != "total":
            calls[fields[-1]] = int(fields[3])
    return calls
