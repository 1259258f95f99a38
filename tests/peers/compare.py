#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What sysfsd and lxcfs show of one container, read at one instant and compared line by line.

compare.py read PID LXCFS
    Reads each file that the container of PID has a view of: the host's, as the container has it, and below
    lxcfs's mount point; prints the texts. Runs in the container's pid namespace with the host's /proc: lxcfs
    answers by the reader. What is ours and the host's is read before and after lxcfs's, so that a number
    that moves meanwhile lies between two.

compare.py check DOCUMENT WORDS NAME=SNAPSHOT...
    Compares, and holds every difference against the table of DOCUMENT. WORDS, separated by commas, say
    what is true of this host (v1, v2, swap, ...). The snapshots of one NAME are of one container, in the order
    of time; with two of them the growth of counters is compared too. Prints one line of TAP without
    number for each file, and one for the table. Must run with Python's minimal library.
"""
import ast
import os
import re
import sys
from fnmatch import fnmatchcase

FILES = (
    "/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/uptime", "/proc/loadavg", "/proc/swaps",
    "/proc/diskstats", "/sys/devices/system/cpu/online",
)

# What the two readers may differ by although they mean the same: file, key, units of that line. Other
# numbers have to be equal, or between two readings of ours.
TOLERANCE = (
    ("/proc/meminfo", "AnonPages", 512),       # lxcfs adds up lists that new pages are put on 31 a CPU at a time
    ("/proc/uptime", "*", 0.02),               # lxcfs rounds hundredths, the kernel and we cut them off
    ("/proc/stat", "growth of *", 3),          # ticks: cut off on each CPU, at both ends
    ("/proc/cpuinfo", "*/cpu MHz", 1e9),       # a clock that changes; both have to have the line
)

STAT_COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
DISK_COLUMNS = (
    "reads", "reads merged", "sectors read", "ms reading", "writes", "writes merged", "sectors written",
    "ms writing", "in progress", "ms busy", "ms weighted", "discards", "discards merged", "sectors discarded",
    "ms discarding", "flushes", "ms flushing",
)


# ---- reading ----

def read_file(root, path):
    try:
        with open(root + path) as file:
            return file.read()
    except OSError as error:
        return None if isinstance(error, FileNotFoundError) else "unreadable: %s\n" % error


def views_of(pid):
    """Where the container has mounts of views."""
    with open("/proc/%s/mountinfo" % pid) as file:
        return [line.split()[4] for line in file if " - fuse.sysfsd " in line]


def read(pid, lxcfs):
    snapshot = {}
    views = views_of(pid)
    container = "/proc/%s/root" % pid
    for path in FILES:
        if any(path == view or path.startswith(view + "/") for view in views):
            snapshot[path] = [read_file(root, path) for root in ("", container, lxcfs, container, "")]
    print(repr(snapshot))


# ---- lines to keys and values ----

def number(text):
    try:
        return float(text)
    except ValueError:
        return text


def layout(line):
    return re.sub(r"\d+", "N", line)


def split_meminfo(text):
    values = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        values[key] = number(value.split()[0])
        values[key + " (layout)"] = re.sub(r" *\d+", " N", line)
    values["(lines)"] = " ".join(line.partition(":")[0] for line in text.splitlines())
    return values


def split_cpuinfo(text):
    values = {}
    blocks = [block for block in text.split("\n\n") if block]
    for index, block in enumerate(blocks):
        for line in block.splitlines():
            key, _, value = line.partition(":")
            values["%d/%s" % (index, key.strip())] = number(value.strip())
    values["(blocks)"] = len(blocks)
    return values


def split_stat(text):
    """CPUs by their place, cpu#0 the first, so that different numbers are one difference."""
    values = {}
    cpus = []
    for line in text.splitlines():
        name, *numbers = line.split()
        if name.startswith("cpu"):
            cpus.append(name)
            name = "cpu" if len(cpus) == 1 else "cpu#%d" % (len(cpus) - 2)
            for column, value in zip(STAT_COLUMNS, numbers):
                values["%s %s" % (name, column)] = float(value)
        elif len(numbers) > 1:
            values[name + " total"] = float(numbers[0])
            values[name + " each"] = sum(map(float, numbers[1:]))
        else:
            values[name] = float(numbers[0])
        values[name + " (layout)"] = layout(line)
    values["(CPUs)"] = " ".join(cpus)
    return values


def split_uptime(text):
    up, idle = map(float, text.split())
    return {"up": up, "idle": idle, "(layout)": layout(text.rstrip("\n"))}


def split_loadavg(text):
    one, five, fifteen, tasks, last = text.split()
    running, _, total = tasks.partition("/")
    return {"load 1": float(one), "load 5": float(five), "load 15": float(fifteen), "running": float(running),
            "total": float(total), "last pid": float(last), "(layout)": layout(text.rstrip("\n"))}


def split_swaps(text):
    header, *lines = text.splitlines()
    values = {"(header)": header, "(lines)": len(lines)}
    for index, line in enumerate(lines):
        for column, value in zip(("Filename", "Type", "Size", "Used", "Priority"), line.split()):
            values["%d/%s" % (index, column)] = number(value)
        values["%d/(layout)" % index] = layout(line)
    return values


def split_diskstats(text):
    values = {}
    devices = []
    for line in text.splitlines():
        major, minor, name, *numbers = line.split()
        devices.append(name)
        values[name + "/(device)"] = "%s:%s" % (major, minor)
        for column, value in zip(DISK_COLUMNS, numbers):
            values["%s/%s" % (name, column)] = float(value)
        values[name + "/(layout)"] = layout(line)
    values["(devices)"] = " ".join(devices)
    return values


def split_text(text):
    return {"text": text.rstrip("\n"), "(lines)": text.count("\n")}


SPLIT = {
    "/proc/meminfo": split_meminfo, "/proc/cpuinfo": split_cpuinfo, "/proc/stat": split_stat,
    "/proc/uptime": split_uptime, "/proc/loadavg": split_loadavg, "/proc/swaps": split_swaps,
    "/proc/diskstats": split_diskstats,
}


def split(path, text):
    if text is None:
        return {"(file)": "none"}
    if text.startswith("unreadable: "):
        return {"(file)": text.strip()}
    return SPLIT.get(path, split_text)(text)


# ---- comparing ----

def tolerance(path, key):
    for file, pattern, units in TOLERANCE:
        if file == path and fnmatchcase(key, pattern):
            return units
    return 0


def same(value, readings, units):
    """Whether `value` is one of the readings, or lies between them but for `units`."""
    if value in readings:
        return True
    if not all(isinstance(v, float) for v in (value, *readings)):
        return False
    return min(readings) - units - 1e-6 <= value <= max(readings) + units + 1e-6


class Line:
    """One key of one file: what each shows, our readings as a pair."""

    def __init__(self, path, key, host, ours, theirs):
        self.path, self.key, self.host, self.ours, self.theirs = path, key, host, ours, theirs
        self.units = tolerance(path, key)
        self.agrees = same(theirs, ours, self.units)

    def is_hosts(self, value):
        """Whether `value` is the host's number: about that, for a machine at work is not still."""
        units = max((abs(v) for v in self.host if isinstance(v, float)), default=0) / 10 + self.units
        return same(value, self.host, units)

    def __str__(self):
        def show(value):
            return "none" if value is None else "%.12g" % value if isinstance(value, float) else str(value)[:100]
        return "%s, %s: sysfsd '%s', lxcfs '%s', host '%s'" % (
            self.path, self.key, show(self.ours[-1]), show(self.theirs), show(self.host[-1]))


def lines_of(path, texts):
    host1, ours1, theirs, ours2, host2 = (split(path, text) for text in texts)
    for key in dict.fromkeys((*ours1, *ours2, *theirs)):
        # A CPU or a device that only one of them shows is a difference of "(CPUs)" or "(devices)", and no ten more.
        if (path, key[:4]) == ("/proc/stat", "cpu#") or path == "/proc/diskstats" and "/" in key:
            if not (key in theirs and key in ours2):
                continue
        yield Line(path, key, (host1.get(key), host2.get(key)), (ours1.get(key), ours2.get(key)), theirs.get(key))


def growths(path, first, second):
    """Of the counters: what each reader's number grew by."""
    before = {line.key: line for line in first}
    for line in second:
        old = before.get(line.key)
        if old is None or not all(isinstance(v, float) for v in (old.theirs, line.theirs, *old.ours, *line.ours)):
            continue
        ours = (line.ours[0] - old.ours[1], line.ours[1] - old.ours[0])
        host = (None, None)
        if isinstance(line.host[0], float) and isinstance(old.host[0], float):
            host = (line.host[0] - old.host[1], line.host[1] - old.host[0])
        yield Line(path, "growth of " + line.key, host, ours, line.theirs - old.theirs)


def is_counter(path, key):
    return path == "/proc/uptime" or path == "/proc/stat" and key.startswith("cpu")


def compare(containers):
    """All lines of all snapshots, as (file, container, line)."""
    for name, snapshots in containers.items():
        for path in FILES:
            texts = [snapshot[path] for snapshot in snapshots if path in snapshot]
            if len(texts) != len(snapshots):
                sys.exit("%s of the %s container is no view" % (path, name))
            sets = [list(lines_of(path, text)) for text in texts]
            # The last: at the first the container may still be at work.
            for line in sets[-1] if sets else ():
                yield path, name, line
            if len(sets) > 1:
                for line in growths(path, *([s for s in which if is_counter(path, s.key)] for which in sets[:2])):
                    yield path, name, line


# ---- the table ----

class Row:
    """One row of the document's table: | file | line | where | lxcfs shows | sysfsd shows | reason |"""

    def __init__(self, cells, words):
        self.path, self.patterns, where, self.theirs, self.ours, _ = cells
        self.path = self.path.strip("`")
        self.patterns = [pattern.strip().strip("`") for pattern in self.patterns.split("`, `")]
        self.where = where.split()
        self.containers = [word for word in self.where if word in CONTAINERS]
        self.applies = set(self.where) <= {*words, *CONTAINERS, *CHANCE}
        # Whether the two may agree by chance.
        self.chance = "sometimes" in self.where or "throttled" in self.where and "throttled" not in words
        self.used = set()
        self.met = set()

    def pattern(self, path, name, key):
        if not self.applies or path != self.path or self.containers and name not in self.containers:
            return None
        # A pattern for numbers is none for how they are printed.
        patterns = [pattern for pattern in self.patterns if key.endswith("(layout)") <= pattern.endswith("(layout)")]
        return next((pattern for pattern in patterns if fnmatchcase(key, pattern)), None)

    def contradicts(self, line):
        """A cell that says 0, no line or host's is checked; other words are for people."""
        claims = {"0": (0,), "no line": (None,)}
        if self.ours in claims and any(value not in claims[self.ours] for value in line.ours):
            return "the table says that sysfsd shows %s" % self.ours
        if line.agrees:
            return None
        if self.theirs in claims and line.theirs not in claims[self.theirs]:
            return "the table says that lxcfs shows %s" % self.theirs
        if self.theirs == "the host's" and not line.is_hosts(line.theirs):
            return "the table says that lxcfs shows the host's"
        return None

    def meets(self, pattern, line):
        """Notes a line this row is for."""
        # Where the host itself has 0, so may the container, and the host's passed on is no difference.
        hosts = self.theirs.startswith("the host's")
        if self.chance or hosts and line.host[0] == 0:
            return
        self.met.add(pattern)
        # What we show may be another reading of the host's than lxcfs's: no difference either.
        if not line.agrees and not (hosts and line.is_hosts(line.ours[0])):
            self.used.add(pattern)

    def stale(self):
        """Patterns of which no line differed, though one was there that could."""
        return [pattern for pattern in self.patterns if pattern in self.met - self.used]


CONTAINERS = ("plain", "pinned")
CHANCE = ("throttled", "sometimes")
WORDS = {*CONTAINERS, *CHANCE, "v1", "v2", "swap", "hidden"}


def rows_of(document, words):
    with open(document) as file:
        for text in file:
            if not text.startswith("| `"):
                continue
            cells = [cell.strip() for cell in text.strip().strip("|").split("|")]
            if len(cells) != 6 or cells[0].strip("`") not in FILES or set(cells[2].split()) - WORDS:
                sys.exit("not a row of the table: " + text)
            yield Row(cells, words)


def judge(line, name, rows):
    """None, or what is wrong with this line."""
    for row in rows:
        pattern = row.pattern(line.path, name, line.key)
        if pattern is not None:
            row.meets(pattern, line)
            return row.contradicts(line)
    return None if line.agrees else "not in the table"


def report(failures, name):
    print("%s - %s" % ("not ok" if failures else "ok", name))
    for failure in failures:
        print("# " + failure)


def check(document, words, *arguments):
    containers = {}
    for argument in arguments:
        name, _, path = argument.partition("=")
        with open(path) as file:
            containers.setdefault(name, []).append(ast.literal_eval(file.read()))
    rows = list(rows_of(document, words.split(",")))
    failures, counts, seen = {}, {}, set()
    for path, name, line in compare(containers):
        seen.add(path)
        title = "%s of the %s container" % (path, name)
        wrong = judge(line, name, rows)
        counts[title] = counts.get(title, 0) + 1
        if os.environ.get("SYSFSD_TEST_SHOW"):
            print("# %s: %s: %s" % (name, "same" if line.agrees else "differs", line))
        failures.setdefault(title, [])
        if wrong:
            failures[title].append("%s: %s" % (wrong, line))
    for title in failures:
        report(failures[title], "%s: %d values" % (title, counts[title]))
    stale = ["%s, %s (%s)" % (row.path, pattern, " ".join(row.where) or "everywhere")
             for row in rows if row.path in seen for pattern in row.stale()]
    report(["stale, no longer a difference: " + text for text in stale], "rows of the table are differences")
    return any(failures.values()) or bool(stale)


if __name__ == "__main__":
    COMMANDS = {"read": read, "check": check}
    sys.exit(COMMANDS[sys.argv[1]](*sys.argv[2:]) or 0)
