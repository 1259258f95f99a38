# SPDX-License-Identifier: Apache-2.0
"""The measurements. Each returns what goes into the JSON document."""
import json
import os
import shutil
import time

from bench_host import BenchError, read, wait_for

TIMES = ('p50_nsec', 'p90_nsec', 'p99_nsec', 'largest_nsec', 'mean_nsec')
KEYS = ('reads', 'bytes', *TIMES, 'reader_cpu_nsec', 'daemon_cpu_nsec')
PROGRAMS = (['free'], ['top', '-bn1'], ['nproc'], ['lscpu'], ['java', '-version'])
SECOND_USEC = 1000000



def sources(host, pids):
    """What `sysfsd-bench read` is told; pids: how many containers of each source have readers."""
    def source(name, process, hold):
        return ['--source', f'{name}:{process.pid if process else 0}:{",".join(str(pid) for pid in hold.pids[:pids])}']
    argv = source('native', None, host.native) + source('sysfsd', host.sysfsd, host.views)
    return argv + (source('lxcfs', host.lxcfs, host.lxcs) if host.lxcfs else [])


def read_rows(lines):
    rows = {}
    for phase, source, file, *values in lines:
        row = rows.setdefault((phase, file), {'phase': phase, 'file': file})
        if values != ['absent']:
            row[source] = dict(zip(KEYS, map(int, values)))
    return list(rows.values())


def blocks(samples, readers, pause_usec):
    """Rounds and reads of a block, so that each file has about so many samples."""
    if pause_usec >= SECOND_USEC // 10:
        return max(samples // 25 // readers, 4), 1, ['--warm', 0, '--cycle', pause_usec]
    per_reader = max(samples // readers, 2)
    block = min(25, max(per_reader // 4, 1))
    return -(-per_reader // block), block, ['--warm', 2 if pause_usec == 0 else 1, '--pause', pause_usec]


def reads(host, count, options, progress):
    rows = []
    for readers in options.readers:
        spread = min(readers, count)
        grow(host, count, spread)
        for pause in options.pace:
            rounds, block, more = blocks(options.samples, readers, pause)
            progress(f'{count} containers, {readers} readers, a pause of {pause} us')
            lines = host.bench('read', '--readers', readers, '--rounds', rounds, '--block', block, *more,
                               *sources(host, spread), *host.files)
            rows += [{'containers': count, 'readers': readers, 'pause_usec': pause} | row for row in read_rows(lines)]
    return rows


# Containers whose files are bound: those that readers may be in.
ATTACHED = 64
# Containers made before the next ones are registered.
AT_ONCE = 500


def grow(host, count, spread=1):
    """Makes containers until count have views; returns what each registration took, in nanoseconds."""
    host.native.grow(spread)
    if host.lxcs:
        host.lxcs.grow(spread)
    times = []
    # Where there is not room for so many, that is known before all are made.
    for step in [*range(len(host.views.pids) + AT_ONCE, count, AT_ONCE), count]:
        host.views.grow(step)
        while host.registered < min(step, ATTACHED):
            host.attach(host.registered)
            host.registered += 1
        pids = host.views.pids[host.registered:step]
        times += [int(line[0]) for line in host.bench('register', host.runtime, 'c', host.registered, *pids)] if pids else []
        host.registered = max(host.registered, step)
    return times


def hook(host, count):
    """The whole hook, and registering alone, of one more container; and in turn the same with a daemon that has no other."""
    host.spare.grow(1)
    pid = host.spare.pids[0]
    bundle = f'{host.work}/bundle'
    os.makedirs(bundle, exist_ok=True)
    state = {'ociVersion': '1.0.2', 'id': 'spare', 'pid': pid, 'bundle': bundle}
    for name, content in (('bundle/config.json', {'ociVersion': '1.0.2', 'root': {'path': '/'}}),
                          ('creating', state | {'status': 'creating'})):
        with open(f'{host.work}/{name}', 'w', encoding='ascii') as file:
            json.dump(content, file)
    lines = host.bench('hook', f'{host.build}/tools/sysfs-hook', f'{host.build}/tools/sysfs-ctl', 'spare', pid, f'{host.work}/creating',
                       count, host.runtime, host.empty_runtime())
    result = {'containers': host.registered, 'count': count, 'files': int(lines[0][1]), 'empty': {}}
    for daemon, name, *times in lines[1:]:
        (result if daemon == '0' else result['empty'])[name] = dict(zip(TIMES, map(int, times)))
    return result


def last(times):
    """The median of the last hundred registrations."""
    return {'last_nsec': sorted(times[-100:])[len(times[-100:]) // 2]} if times else {}


def memory(host):
    status = read(f'/proc/{host.sysfsd.pid}/status')
    rss = int(status.split('VmRSS:')[1].split()[0]) * 1024
    return {'containers': host.registered, 'rss_bytes': rss, 'fds': len(os.listdir(f'/proc/{host.sysfsd.pid}/fd'))}


def activity(process):
    """Of each thread: context switches and CPU nanoseconds."""
    threads = {}
    for task in os.listdir(f'/proc/{process.pid}/task'):
        status = read(f'/proc/{process.pid}/task/{task}/status')
        switches = sum(int(line.split()[1]) for line in status.splitlines() if 'ctxt_switches' in line)
        threads[task] = (switches, int(read(f'/proc/{process.pid}/task/{task}/schedstat').split()[0]))
    return threads


def activity_since(process, before):
    """Together; one that has ended was awake for that."""
    now = activity(process)
    switches = sum(now[task][0] - before.get(task, (0, 0))[0] for task in now) + len(before.keys() - now.keys())
    return switches, sum(now[task][1] - before.get(task, (0, 0))[1] for task in now)


def idle(host, settle, seconds):
    """Every time a thread goes to sleep it has been awake: what nobody asked for is the switches while nobody reads."""
    time.sleep(settle)
    daemons = [('sysfsd', host.sysfsd)] + ([('lxcfs', host.lxcfs)] if host.lxcfs else [])
    before = {name: activity(process) for name, process in daemons}
    time.sleep(seconds)
    result = {'containers': host.registered, 'seconds': seconds}
    for name, process in daemons:
        switches, nsec = activity_since(process, before[name])
        result[name] = {'wakeups': switches, 'cpu_nsec': nsec}
    return result


def isolation(host, samples):
    """Readers of one container keep all CPUs busy, or rest, while another container reads."""
    if host.registered < 2:
        return []
    block = min(20, samples)
    lines = host.bench('read', '--rounds', -(-samples // block), '--block', block, '--pause', 500,
                       '--busy', f'{host.views.pids[1]}:{os.cpu_count()}',
                       '--source', f'native:0:{host.native.pids[0]}', '--source', f'sysfsd:{host.sysfsd.pid}:{host.views.pids[0]}',
                       '/proc/meminfo', '/proc/stat')
    rows = read_rows(lines)
    result = []
    for file in ('/proc/meminfo', '/proc/stat'):
        entry = {'file': file, 'containers': host.registered}
        for source in ('native', 'sysfsd'):
            phases = {row['phase']: row[source] for row in rows if row['file'] == file}
            entry[source] = phases | {'p99_ratio': phases['busy']['p99_nsec'] / phases['quiet']['p99_nsec']}
        result.append(entry)
    return result


def programs(host, names, rounds):
    targets = [f'native:0:{host.native.pids[0]}', f'sysfsd:{host.sysfsd.pid}:{host.views.pids[0]}']
    if host.lxcfs:
        targets.append(f'lxcfs:{host.lxcfs.pid}:{host.lxcs.pids[0]}')
    result = []
    for argv in names:
        if not shutil.which(argv[0]):
            continue
        # A JVM takes twenty times as long as the others.
        count = max(rounds // 5, 1) if argv[0] == 'java' else rounds
        lines = host.bench('run', count, *targets, '--', *argv)
        result.append({'program': ' '.join(argv), 'rounds': count} |
                      {name: dict(zip((*TIMES, 'program_cpu_nsec', 'daemon_cpu_nsec'), map(int, times))) for name, *times in lines})
    return result


def child_of(process):
    children = read(f'/proc/{process.pid}/task/{process.pid}/children').split()
    return int(children[0]) if children else 0


def resume(host, count, effort):
    """host: supervised. The longest read that a kill of the daemon causes."""
    grow(host, count)
    times = []
    for _ in range(effort['kills']):
        daemon = child_of(host.sysfsd)
        if not daemon:
            raise BenchError('the supervisor has no child')
        times.append(int(host.bench('resume', daemon, f'/proc/{host.views.pids[0]}/root/proc/meminfo', effort['kill_msec'])[0][0]))
        wait_for(lambda daemon=daemon: child_of(host.sysfsd) not in (0, daemon) and host.answers(), 20, 'the next daemon')
    return {'containers': count, 'kills': effort['kills'], 'p50_nsec': sorted(times)[len(times) // 2], 'largest_nsec': max(times)}
