# SPDX-License-Identifier: Apache-2.0
"""The measurements. Each returns what goes into the JSON document."""

KEYS = ('reads', 'bytes', 'p50_nsec', 'p90_nsec', 'p99_nsec', 'largest_nsec', 'mean_nsec', 'reader_cpu_nsec', 'daemon_cpu_nsec')


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
    if pause_usec >= 100000:
        return max(samples // readers, 1), 1, ['--warm', 0, '--cycle', pause_usec]
    per_reader = max(samples // readers, 2)
    block = min(25, max(per_reader // 4, 1))
    return -(-per_reader // block), block, ['--warm', 2 if pause_usec == 0 else 1, '--pause', pause_usec]


def reads(host, containers, readers_list, pauses, samples):
    rows = []
    for count in containers:
        for readers in readers_list:
            spread = min(readers, count)
            grow(host, count, spread)
            for pause in pauses:
                rounds, block, more = blocks(samples if pause < 100000 else max(samples // 25, 4), readers, pause)
                lines = host.bench('read', '--readers', readers, '--rounds', rounds, '--block', block, *more,
                                   *sources(host, spread), *host.files)
                rows += [{'containers': count, 'readers': readers, 'pause_usec': pause} | row for row in read_rows(lines)]
    return rows


def grow(host, count, spread):
    host.native.grow(spread)
    if host.lxcs:
        host.lxcs.grow(spread)
    host.views.grow(count)
    while host.registered < count:
        host.attach(host.registered)
        host.registered += 1
