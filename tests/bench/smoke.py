#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""smoke.py BENCH BUILD: the benchmark works: every part gives figures, its JSON parses, bad arguments are said in a line,
and nothing is left of it, also when it is interrupted. How good the figures are is no matter here."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

BENCH, BUILD = sys.argv[1:3]
PARTS = ('reads', 'hook', 'idle', 'memory', 'isolation', 'programs', 'resume')


def own_left(pid):
    """What a run that has this pid left: its cgroups and its directory."""
    left = [f'/sys/fs/cgroup/{name}/sysfsd-bench-{pid}' for name in ('.', 'memory', 'cpu', 'pids')]
    left = [path for path in left if os.path.exists(path)]
    for name in os.listdir(tempfile.gettempdir()):
        if name.startswith(f'sysfsd-bench-{pid}.'):
            left.append(name)
    return left


def check(what, ok):
    if not ok:
        sys.exit(f'smoke: {what}')


def whole_run():
    with tempfile.NamedTemporaryFile() as file:
        with subprocess.Popen([sys.executable, BENCH, '--build', BUILD, '--smoke', '--json', file.name, '--files', '/proc/meminfo,/proc/cpuinfo'],
                              stdout=subprocess.PIPE, text=True) as run:
            output = run.communicate()[0]
        check(f'exit {run.returncode}', run.returncode == 0)
        check(f'left: {own_left(run.pid)}', not own_left(run.pid))
        document = json.load(file)
    check(f'no table in {output}', '/proc/meminfo' in output and 'Goals' in output)
    for part in PARTS:
        check(f'no {part} in the document', document.get(part))
    check('goals that were judged', len(document['goals']) > 10)
    for row in document['reads']:
        for source in ('native', 'sysfsd'):
            check(f'{row["file"]} of {source}', row[source]['p50_nsec'] > 0 and row[source]['reader_cpu_nsec'] > 0 and row[source]['bytes'] > 0)
        check('native has no daemon', row['native']['daemon_cpu_nsec'] == 0)
    check('the hook bound no file', all(entry['files'] > 0 for entry in document['hook']))


def bad_arguments():
    for arguments in (['--pace', '5'], ['--files', '/etc/passwd'], ['--nonsense'], ['more']):
        run = subprocess.run([sys.executable, BENCH, *arguments], capture_output=True, text=True, check=False)
        check(f'{arguments}: exit {run.returncode}', run.returncode == 2)
        check(f'{arguments}: {run.stderr}', run.stderr.count('\n') == 1 and run.stderr.startswith('bench: '))


def interrupted(parts, word, number, to_all, status):
    with subprocess.Popen([sys.executable, BENCH, '--build', BUILD, '--parts', parts, '--containers', '1', '--no-lxcfs', '--samples', '100000'],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True) as run:
        while word not in (line := run.stderr.readline()):
            check('ended by itself', line)
        time.sleep(0.2)
        check('nothing to be left', own_left(run.pid))
        (os.killpg if to_all else os.kill)(run.pid, number)
        run.communicate()
    check(f'interrupted: exit {run.returncode}', run.returncode == status)
    check(f'interrupted: left: {own_left(run.pid)}', not own_left(run.pid))


if os.geteuid() != 0:
    sys.exit(77)
bad_arguments()
whole_run()
# As a terminal does it: everything that runs in its process group gets the signal.
interrupted('reads', 'pause', signal.SIGINT, True, 130)
# In the last part, which has a daemon of its own.
interrupted('memory,resume', 'kills', signal.SIGTERM, False, 143)
