# SPDX-License-Identifier: Apache-2.0
"""What is to be reached. Each goal: its words, what was measured at worst and at the median row, and whether all rows reach it."""

DYNAMIC = ('/proc/meminfo', '/proc/stat', '/proc/uptime', '/proc/loadavg', '/proc/swaps', '/proc/vmstat')
TINY = ('/proc/uptime', '/proc/loadavg', '/proc/swaps')
# A row is judged by it when the pause is at least so long.
PACED_USEC = 1
CPU_SHARE = 0.1
RSS_BASE, RSS_EACH = 16 << 20, 12 << 10


def is_constant(file):
    return file == '/proc/cpuinfo' or file.startswith('/sys/devices/system/')


def ratio(a, b):
    return a / b if a is not None and b else None


def p50(row, source):
    return row[source]['p50_nsec'] if source in row else None


def cpu(row, source):
    return row[source]['reader_cpu_nsec'] + row[source]['daemon_cpu_nsec'] if source in row else None


def add_ratios(rows):
    """To each row: to_native, to_native_meminfo, lxcfs_to, cpu_to_lxcfs, cpu_to_native, and its goals."""
    meminfo = {(r['containers'], r['readers'], r['pause_usec']): p50(r, 'native') for r in rows if r['file'] == '/proc/meminfo'}
    for row in rows:
        own, key = p50(row, 'sysfsd'), (row['containers'], row['readers'], row['pause_usec'])
        row['to_native'] = ratio(own, p50(row, 'native'))
        row['to_native_meminfo'] = ratio(own, meminfo.get(key))
        row['lxcfs_to'] = ratio(p50(row, 'lxcfs'), own)
        row['cpu_to_native'] = ratio(cpu(row, 'sysfsd'), cpu(row, 'native'))
        row['cpu_to_lxcfs'] = ratio(cpu(row, 'sysfsd'), cpu(row, 'lxcfs'))
        row['goals'] = row_goals(row)


def at_most(name, value, limit):
    return None if value is None else {'goal': name, 'value': value, 'limit': limit, 'reached': value <= limit}


def at_least(name, value, limit):
    return None if value is None else {'goal': name, 'value': value, 'limit': limit, 'reached': value >= limit}


def row_goals(row):
    file, paced = row['file'], row['pause_usec'] >= PACED_USEC
    goals = [at_most('cpu', row['cpu_to_lxcfs'], CPU_SHARE)]
    if is_constant(file):
        goals.append(at_most('constant', row['to_native'], 1))
    elif file in DYNAMIC and paced:
        goals += [at_most('paced-native', row['to_native_meminfo'], 2.5), at_least('paced-lxcfs', row['lxcfs_to'], 8)]
    elif file in DYNAMIC:
        goals += [at_most('tiny-native' if file in TINY else 'back-native', row['to_native'], 5 if file in TINY else 3),
                  at_least('back-lxcfs', row['lxcfs_to'], 15)]
    return [goal for goal in goals if goal]


ROW_GOALS = {
    'paced-native': 'dynamic files, paced: p50 at most 2.5 x native meminfo',
    'paced-lxcfs': 'dynamic files, paced: at least 8 x faster than lxcfs',
    'back-native': 'meminfo, stat, vmstat, back to back: p50 at most 3 x native of the same file',
    'tiny-native': 'uptime, loadavg, swaps, back to back: p50 at most 5 x native of the same file',
    'back-lxcfs': 'dynamic files, back to back: at least 15 x faster than lxcfs',
    'constant': 'cpuinfo, cpu/online, topology: p50 at most 1 x native',
    'cpu': 'CPU time per read, reader and daemon: at most a tenth of lxcfs',
}


def summary(document):
    """A line a goal. Rows of one reader decide; those of more are counted beside."""
    lines = []
    rows = document.get('reads', [])
    for name, words in ROW_GOALS.items():
        found = [(row, goal) for row in rows for goal in row['goals'] if goal['goal'] == name]
        if not found:
            continue
        single = [entry for entry in found if entry[0]['readers'] == 1] or found
        values = sorted(goal['value'] for _, goal in single)
        worst = (min if name.endswith('-lxcfs') else max)(single, key=lambda entry: entry[1]['value'])
        lines.append({'goal': words, 'limit': worst[1]['limit'], 'median': values[len(values) // 2], 'worst': worst[1]['value'],
                      'worst_row': f'{worst[0]["file"]}, {worst[0]["containers"]} containers',
                      'rows': len(single), 'rows_reached': sum(goal['reached'] for _, goal in single),
                      'all_rows': len(found), 'all_rows_reached': sum(goal['reached'] for _, goal in found),
                      'reached': all(goal['reached'] for _, goal in single)})
    return lines + other_goals(document)


def single_goal(words, value, limit, where='', under=False):
    reached = value < limit if under else value <= limit
    return {'goal': words, 'limit': limit, 'median': value, 'worst': value, 'worst_row': where, 'rows': 1,
            'rows_reached': int(reached), 'all_rows': 1, 'all_rows_reached': int(reached), 'reached': reached}


def other_goals(document):
    lines = []
    for entry in document.get('memory', []):
        limit = RSS_BASE + RSS_EACH * entry['containers']
        lines.append(single_goal('daemon RSS: at most 16 MiB + 12 KiB a container (of that)', entry['rss_bytes'] / limit, 1,
                                 f'{entry["containers"]} containers: {entry["rss_bytes"] >> 10} KiB'))
    for entry in document.get('hook', []):
        value = entry['register']['p50_nsec'] / entry['empty']['register']['p50_nsec']
        lines.append(single_goal('registration p50: at most 1.5 x that of a daemon without containers', value, 1.5,
                                 f'{entry["containers"]} containers'))
    for entry in document.get('idle', []):
        lines.append(single_goal('idle, nobody reads: no wake-up', entry['sysfsd']['wakeups'], 0,
                                 f'{entry["containers"]} containers, {entry["seconds"]} s'))
    for entry in document.get('isolation', []):
        lines.append(single_goal('all CPUs busy with readers of another container: p99 at most 3 x its quiet p99',
                                 entry['sysfsd']['p99_ratio'], 3, entry['file']))
    for entry in document.get('hook', []):
        where = f'{entry["containers"]} containers'
        lines.append(single_goal('whole hook: p50 under 5 ms', entry['hook']['p50_nsec'] / 1e6, 5, where, under=True))
        lines.append(single_goal("the daemon's part of it: p50 under 1 ms", entry['register']['p50_nsec'] / 1e6, 1, where, under=True))
    return lines
