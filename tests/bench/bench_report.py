# SPDX-License-Identifier: Apache-2.0
"""The tables: plain text for a terminal, Markdown for docs/PERFORMANCE.md. Both are made of the JSON document."""


def number(value, digits=1):
    return '-' if value is None else f'{value:.{digits}f}'


def usec(row, source, key):
    return number(row[source][key] / 1000) if source in row else '-'


def pause_name(pause_usec):
    if not pause_usec:
        return 'back to back'
    return f'{pause_usec / 1000000:g} s' if pause_usec >= 100000 else f'{pause_usec / 1000:g} ms'


def cpu_usec(row, source):
    return number((row[source]['reader_cpu_nsec'] + row[source]['daemon_cpu_nsec']) / 1000) if source in row else '-'


def msec(nsec):
    return '-' if nsec is None else f'{nsec / 1000000:.2f}'


def program_cells(program):
    times = {name: program[name]['p50_nsec'] if name in program else None for name in ('native', 'sysfsd', 'lxcfs')}
    cpu = [msec(program[name]['program_cpu_nsec'] + program[name]['daemon_cpu_nsec']) if name in program else '-' for name in times]
    return [program['program'], *map(msec, times.values()), number(times['sysfsd'] / times['native'], 2),
            number(times['lxcfs'] / times['sysfsd'] if times['lxcfs'] else None, 2), *cpu]


def verdict(goals):
    if not goals:
        return ''
    missed = [goal['goal'] for goal in goals if not goal['reached']]
    return 'reached' if not missed else 'not: ' + ' '.join(missed)


READ_HEAD = ['containers', 'readers', 'pace', 'file', 'native', 'p99', 'sysfsd', 'p99', 'lxcfs', 'p99', '/native', 'lxcfs/',
             'CPU n', 'CPU s', 'CPU l', 'CPU s/l', 'goal']


def read_cells(row):
    return [str(row['containers']), str(row['readers']), pause_name(row['pause_usec']), row['file'].replace('/sys/devices/system/', '')] + \
        [usec(row, source, key) for source in ('native', 'sysfsd', 'lxcfs') for key in ('p50_nsec', 'p99_nsec')] + \
        [number(row['to_native'], 2), number(row['lxcfs_to'])] + [cpu_usec(row, source) for source in ('native', 'sysfsd', 'lxcfs')] + \
        [number(row['cpu_to_lxcfs'], 2), verdict(row['goals'])]


def tables(document):
    """(title, head, rows) of each part that was measured."""
    if 'reads' in document:
        yield 'Reads: microseconds, p50 and p99 of each source; CPU microseconds per read, reader and daemon', READ_HEAD, \
            [read_cells(row) for row in document['reads']]
    if 'hook' in document:
        yield 'Registration: milliseconds, beside a daemon without containers', \
            ['containers', 'files bound', 'hook p50', 'p99', 'register p50', 'p99', 'unregister p50', 'p99', 'of the last 100',
             'empty: hook p50', 'register p50', 'register / empty'], \
            [[str(h['containers']), str(h['files'])] + [msec(h[name][key]) for name in ('hook', 'register', 'unregister')
             for key in ('p50_nsec', 'p99_nsec')] + [msec(h.get('last_nsec')), msec(h['empty']['hook']['p50_nsec']),
             msec(h['empty']['register']['p50_nsec']), number(h['register']['p50_nsec'] / h['empty']['register']['p50_nsec'], 2)]
             for h in document['hook']]
    if 'memory' in document:
        yield 'Memory of the daemon', ['containers', 'RSS KiB', 'KiB a container above 16 MiB', 'fds'], \
            [[str(m['containers']), str(m['rss_bytes'] >> 10), number(((m['rss_bytes'] >> 10) - 16384) / m['containers']), str(m['fds'])]
             for m in document['memory']]
    if 'idle' in document:
        yield 'Nobody reads', ['containers', 'seconds', 'wake-ups', 'CPU us', 'lxcfs wake-ups', 'CPU us'], \
            [[str(i['containers']), str(i['seconds'])] + [text for name in ('sysfsd', 'lxcfs') for text in
             ([str(i[name]['wakeups']), number(i[name]['cpu_nsec'] / 1000)] if name in i else ['-', '-'])] for i in document['idle']]
    if document.get('isolation'):
        yield 'Readers of another container on all CPUs: microseconds', \
            ['file', 'source', 'quiet p50', 'p99', 'busy p50', 'p99', 'busy p99 / quiet p99'], \
            [[i['file'], source] + [number(i[source][phase][key] / 1000) for phase in ('quiet', 'busy') for key in ('p50_nsec', 'p99_nsec')] +
             [number(i[source]['p99_ratio'])] for i in document['isolation'] for source in ('native', 'sysfsd')]
    if 'programs' in document:
        yield 'Whole programs: milliseconds, p50; CPU of program and daemon, mean', \
            ['program', 'native', 'sysfsd', 'lxcfs', '/native', 'lxcfs/', 'CPU n', 'CPU s', 'CPU l'], \
            [program_cells(p) for p in document['programs']]
    if 'resume' in document:
        yield 'The daemon is killed: the longest read, milliseconds', ['containers', 'kills', 'p50', 'largest'], \
            [[str(r['containers']), str(r['kills']), msec(r['p50_nsec']), msec(r['largest_nsec'])] for r in document['resume']]
    if document.get('goals'):
        yield 'Goals (rows of one reader decide)', ['goal', 'limit', 'median', 'worst', 'where', 'rows', 'with more readers', 'reached'], \
            [[g['goal'], f'{g["limit"]:g}', number(g['median'], 2), number(g['worst'], 2), g['worst_row'], f'{g["rows_reached"]} of {g["rows"]}',
              f'{g["all_rows_reached"]} of {g["all_rows"]}', 'yes' if g['reached'] else 'no'] for g in document['goals']]


def machine_line(document):
    machine = document['machine']
    lacks = [f'; only {n["reached"]} of {n["containers"]} containers: {n["why"]}' for n in document.get('not_done', [])]
    return f'{machine["kernel"]}, {machine["cpu"]}, {machine["cpus"]} CPUs, cgroups {machine["cgroups"]}; sysfsd {machine["sysfsd"]}, ' \
        f'lxcfs {machine["lxcfs"] or "absent"}; {document["time"]}, {document["seconds"]} s, {document["options"]["samples"]} samples, load {machine["load_before"]} before' + ''.join(lacks)


def text(document):
    lines = [machine_line(document)]
    for title, head, rows in tables(document):
        widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
        lines += ['', title]
        for row in [head] + rows:
            left = [cell.ljust(width) if not cell[:1].isdigit() and cell != '-' else cell.rjust(width) for cell, width in zip(row, widths)]
            lines.append('  '.join(left).rstrip())
    return '\n'.join(lines) + '\n'


def table(head, rows):
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    return lines + ['| ' + ' | '.join(row) + ' |' for row in rows]


def scaling(rows):
    """p50 of sysfsd by readers and containers, and beside it how many times native's that is."""
    keys = sorted({(row['containers'], row['readers']) for row in rows})
    files = list(dict.fromkeys(row['file'] for row in rows))
    for pause in sorted({row['pause_usec'] for row in rows}):
        by_key = {(row['file'], row['containers'], row['readers']): row for row in rows if row['pause_usec'] == pause}
        head = [pause_name(pause)] + [f'{readers} in {containers}' for containers, readers in keys]
        yield table(head, [[file.replace('/sys/devices/system/', '')] + [scaling_cell(by_key.get((file, *key))) for key in keys] for file in files])


def scaling_cell(row):
    return f'{usec(row, "sysfsd", "p50_nsec")} ({number(row["to_native"])})' if row else '-'


def markdown(document):
    """All but the rows of reads: of those the ones of most containers, with one reader and with most."""
    lines = [machine_line(document) + '.', '']
    rows = document.get('reads', [])
    for title, head, cells in tables(document):
        if head is READ_HEAD:
            most, readers = max(row['containers'] for row in rows), {row['readers'] for row in rows}
            cells = [read_cells(row) for row in rows if row['containers'] == most and row['readers'] in (min(readers), max(readers))]
        lines += ['### ' + title, '', *table(head, cells), '']
        if head is READ_HEAD:
            lines += ['### Readers and containers: microseconds of sysfsd, p50 (times native); "8 in 100" is 8 readers, 100 containers', '']
            for one in scaling(rows):
                lines += [*one, '']
    return '\n'.join(lines)
