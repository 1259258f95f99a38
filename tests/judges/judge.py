# SPDX-License-Identifier: Apache-2.0
"""Prints what Python and psutil say of the machine, one "key value..." a line, integers only."""

import os
import time

import psutil

MIB = 1 << 20


def say(key, *values):
    print(key, *(round(value) for value in values))


# The three belong together: nothing slow in between.
times = psutil.cpu_times()
with open("/proc/uptime", encoding="ascii") as file:
    uptime = float(file.read().split()[0])
age = time.time() - uptime
memory = psutil.virtual_memory()
disks = psutil.disk_io_counters()

say("cpu_count", os.cpu_count())
say("affinity", len(os.sched_getaffinity(0)))
say("phys_pages", os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / MIB)
say("total", memory.total / MIB)
say("used", memory.used / MIB)
say("free", memory.free / MIB)
say("available", memory.available / MIB)
say("percent", memory.percent)
say("swap", psutil.swap_memory().total / MIB, psutil.swap_memory().used / MIB)
say("psutil.cpu_count", psutil.cpu_count())
say("psutil.cores", psutil.cpu_count(logical=False) or 0)
# All CPUs' time, guest time being part of the rest, over the age: the number of CPUs, in hundredths.
say("cpus_by_time", (sum(times) - times.guest - times.guest_nice) / uptime * 100)
say("boot_time", psutil.boot_time())
say("age", age)
say("ctx_switches", psutil.cpu_stats().ctx_switches)
say("written", disks.write_bytes / MIB if disks else -1)
say("getloadavg", *(load * 100 for load in psutil.getloadavg()))
say("cpu_percent", *psutil.cpu_percent(interval=1, percpu=True))
