#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""warm.py STATE DIR QEMU ARG... - boot a machine and save its state

Waits until the machine says READY on its virtio port, then writes its state to the file STATE.
The sockets are made in DIR. Used by run.sh.
"""

import json
import socket
import subprocess
import sys
import time

BOOT_SECONDS = 300


def connect(path, process):
    for _ in range(400):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(path)
            return sock
        except OSError:
            sock.close()
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"qemu did not start (status {process.poll()})")


def wait_ready(port):
    port.settimeout(BOOT_SECONDS)
    text = b""
    while b"READY" not in text:
        chunk = port.recv(100)
        if not chunk:
            raise RuntimeError("the machine ended while booting")
        text += chunk


class Monitor:
    """The little of QMP that is needed."""

    def __init__(self, sock):
        self.file = sock.makefile("rw")
        self.file.readline()  # greeting
        self.call("qmp_capabilities")

    def call(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]


def save(monitor, state):
    monitor.call("migrate-set-parameters", **{"max-bandwidth": 1 << 34})
    monitor.call("migrate", uri=f"exec:cat >'{state}'")
    while True:
        info = monitor.call("query-migrate")
        if info.get("status") == "completed":
            return
        if info.get("status") in ("failed", "cancelled"):
            raise RuntimeError(f"saving the state failed: {info}")
        time.sleep(0.1)


def main():
    state, directory, command = sys.argv[1], sys.argv[2], sys.argv[3:]
    process = subprocess.Popen(
        command
        + ["-qmp", f"unix:{directory}/qmp,server=on,wait=off"]
        + ["-chardev", f"socket,id=out,path={directory}/port,server=on,wait=off"],
        stdin=subprocess.DEVNULL,
    )
    try:
        # Kept open until the machine has ended: a closed port would end the wait inside.
        port = connect(f"{directory}/port", process)
        wait_ready(port)
        monitor = Monitor(connect(f"{directory}/qmp", process))
        save(monitor, state)
        monitor.call("quit")
        process.wait()
    except (RuntimeError, OSError) as error:
        sys.exit(f"warm.py: {error}")
    finally:
        if process.poll() is None:
            process.kill()


if __name__ == "__main__":
    main()
