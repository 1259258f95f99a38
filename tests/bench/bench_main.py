# SPDX-License-Identifier: Apache-2.0
"""Arguments and order of the benchmark."""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from bench_host import BenchError, Host, own_mount_namespace, read
import bench_goals
import bench_parts
import bench_report

FILES = ['/proc/meminfo', '/proc/stat', '/proc/uptime', '/proc/loadavg', '/proc/swaps', '/proc/vmstat', '/proc/diskstats',
         '/proc/cpuinfo', '/sys/devices/system/cpu/online', '/sys/devices/system/cpu/cpu0/topology/core_cpus_list']


# How much of what has no option of its own: runs of the hook and of each program, kills and the seconds that are
# watched after each, seconds of idling before it is watched and then, reads of the isolation part.
FULL = {'hooks': 100, 'programs': 20, 'kills': 5, 'kill_msec': 3000, 'settle': 2, 'idle': 10, 'isolation': 2000}
QUICK = {'hooks': 20, 'programs': 5, 'kills': 2, 'kill_msec': 2000, 'settle': 2, 'idle': 3, 'isolation': 1000}
SMOKE = {'hooks': 2, 'programs': 1, 'kills': 1, 'kill_msec': 200, 'settle': 0.1, 'idle': 0.1, 'isolation': 20}
PARTS = ('reads', 'registration', 'idle', 'memory', 'isolation', 'programs', 'resume')


def listed(convert):
    def parse(text):
        try:
            values = [convert(word) for word in text.split(',')]
        except ValueError:
            values = []
        if not values or any(value is None for value in values):
            raise argparse.ArgumentTypeError(f'"{text}" is not a list of such values')
        return values
    return parse


def positive(maximum):
    def parse(text):
        value = int(text) if re.fullmatch(r'[0-9]{1,6}', text) else 0
        return value if 1 <= value <= maximum else None
    return parse


def one(convert):
    def parse(text):
        value = convert(text)
        if value is None:
            raise argparse.ArgumentTypeError(f'"{text}" is not a number in range')
        return value
    return parse


def pause(text):
    """0, 500us, 0.5ms, 1s: in microseconds."""
    found = re.fullmatch(r'([0-9]{1,6}(?:\.[0-9]{1,6})?)(us|ms|s)?', text)
    if not found or (not found[2] and float(found[1])):
        return None
    value = int(float(found[1]) * {'us': 1, 'ms': 1000, 's': 1000000, None: 1}[found[2]])
    return value if value <= 10000000 else None


def view_file(text):
    path = text if text.startswith('/') else '/' + text
    return path if re.match(r'/(proc|sys)/.', path) and os.path.exists(path) else None


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f'bench: {message}\n')


def arguments():
    parser = Parser(prog='bench', allow_abbrev=False, description='Measures what views cost, beside native procfs and lxcfs, in one run with '
                    'interleaved rounds. Needs root and a build; see docs/PERFORMANCE.md.')
    parser.add_argument('--full', action='store_true', help='every combination, at most 15 minutes (default: a choice, under a minute)')
    parser.add_argument('--build', metavar='DIR', help='build directory (default: $SYSFSD_BUILD or build-test/plain)')
    parser.add_argument('--files', type=listed(view_file), metavar='PATH,...', help='files to read')
    parser.add_argument('--readers', type=listed(positive(64)), metavar='N,...', help='numbers of readers')
    parser.add_argument('--containers', type=listed(positive(16384)), metavar='N,...', help='numbers of registered containers')
    parser.add_argument('--pace', type=listed(pause), metavar='TIME,...', help='pauses between reads: 0 (back to back), 500us, 1s')
    parser.add_argument('--samples', type=one(positive(100000)), metavar='N', help='reads of each file (a 25th of it when paced in seconds)')
    parser.add_argument('--parts', type=listed(lambda text: text if text in PARTS else None), metavar='NAME,...',
                        help='parts to measure: ' + ', '.join(PARTS))
    parser.add_argument('--json', metavar='FILE', help='write the JSON document there ("-": standard output, instead of the tables)')
    parser.add_argument('--markdown', action='store_true', help='write the tables into docs/PERFORMANCE.md')
    parser.add_argument('--smoke', action='store_true', help='a few rounds of all parts; the figures mean nothing')
    parser.add_argument('--no-lxcfs', action='store_true', help='leave lxcfs out')
    return parser.parse_args()


def machine(build):
    models = re.findall(r'^model name\s*: (.*)$', read('/proc/cpuinfo'), re.M)
    version = subprocess.run([f'{build}/daemon/sysfsd', '--version'], capture_output=True, text=True, check=False).stdout
    lxcfs = subprocess.run(['lxcfs', '--version'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout if shutil.which('lxcfs') else ''
    return {'kernel': ' '.join(os.uname()[0:3:2]), 'arch': os.uname().machine, 'cpu': models[0] if models else 'unknown',
            'cpus': os.cpu_count(), 'load_before': round(os.getloadavg()[0], 2), 'memory_bytes': os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES'),
            'cgroups': 'v2' if os.path.exists('/sys/fs/cgroup/cgroup.controllers') else 'v1',
            'sysfsd': version.split()[-1] if version else '', 'lxcfs': lxcfs.strip().strip('"') or None}


def progress(text):
    print(f'bench: {text}', file=sys.stderr, flush=True)


def grow(host, count, document):
    """Whether there are so many now; if not, the document says why."""
    progress(f'{count} containers')
    try:
        host.last_nsec = bench_parts.grow(host, count)
        return True
    except BenchError as error:
        host.registered = json.loads(host.ctl('--json', 'status').stdout)['containers']
        lack = {'containers': count, 'reached': host.registered, 'why': str(error)}
        if lack not in document.setdefault('not_done', []):  # another daemon's part has said it
            document['not_done'].append(lack)
        progress(f'only {host.registered} of {count} containers: {error}')
        return False


def measure(host, options, document):
    """The parts that one daemon is enough for, with more and more containers."""
    parts = options.parts
    for count in options.containers:
        if not grow(host, count, document):
            break
        if 'registration' in parts:
            document.setdefault('hook', []).append(bench_parts.hook(host, options.effort['hooks']) | bench_parts.last(host.last_nsec))
        if 'reads' in parts:
            document.setdefault('reads', []).extend(bench_parts.reads(host, count, options, progress))
        if 'memory' in parts:
            document.setdefault('memory', []).append(bench_parts.memory(host))
    if 'isolation' in parts:
        progress('isolation')
        document['isolation'] = bench_parts.isolation(host, options.effort['isolation'])
    if 'programs' in parts:
        progress('programs')
        document['programs'] = bench_parts.programs(host, bench_parts.PROGRAMS[:1] if options.smoke else bench_parts.PROGRAMS, options.effort['programs'])


def measure_idle(host, options, document):
    """A daemon of which nobody has read a load average: those that were go on for ten minutes."""
    try:
        host.start()
        for count in options.containers:
            if not grow(host, count, document):
                break
            document.setdefault('idle', []).append(bench_parts.idle(host, options.effort['settle'], options.effort['idle']))
    finally:
        host.stop()


def defaults(options):
    """What was not said, by --full or not."""
    full = options.full
    options.files = options.files or FILES
    options.readers = sorted(set(options.readers or ([1, 2, 8] if full else [1, 8])))
    options.containers = sorted(set(options.containers or ([1, 100, 1000] if full else [100])))
    options.pace = options.pace or ([0, 500, 1000000] if full else [0, 500])
    options.samples = options.samples or (600 if full else 150)
    if options.smoke:
        options.containers, options.readers, options.samples = [1, 2], [1, 2], 4
    options.parts = options.parts or list(PARTS)
    options.effort = SMOKE if options.smoke else FULL if full else QUICK


def measure_resume(host, options, document):
    """Another daemon, that is killed."""
    progress('kills')
    try:
        host.start()
        document['resume'] = [bench_parts.resume(host, document.get('most', options.containers[-1]), options.effort)]
    finally:
        host.stop()


def write_markdown(top, document):
    path = os.path.join(top, 'docs/PERFORMANCE.md')
    begin, end = '<!-- bench: begin -->', '<!-- bench: end -->'
    before = read(path)
    if begin not in before or end not in before:
        raise BenchError(f'{path}: no place for the tables')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(before[:before.index(begin)] + begin + '\n\n' + bench_report.markdown(document) + '\n' + before[before.index(end):])


def run(top, options, build):
    document = {'machine': machine(build), 'options': vars(options), 'time': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}
    begin = time.monotonic()

    def make_host():
        return Host(build, options.files, list(dict.fromkeys(FILES + options.files)), with_lxcfs=shutil.which('lxcfs') is not None and not options.no_lxcfs)
    if 'idle' in options.parts:
        measure_idle(make_host(), options, document)
    if set(options.parts) - {'resume', 'idle'}:
        host = make_host()
        try:
            host.start()
            measure(host, options, document)
            document['most'] = host.registered
        finally:
            host.stop()
    if 'resume' in options.parts:
        measure_resume(Host(build, [], [], supervise=True), options, document)
    document['seconds'] = round(time.monotonic() - begin)
    bench_goals.add_ratios(document.get('reads', []))
    document['goals'] = bench_goals.summary(document)
    if options.json and options.json != '-':
        with open(options.json, 'w', encoding='utf-8') as file:
            json.dump(document, file, indent=1)
    print(json.dumps(document, indent=1) if options.json == '-' else bench_report.text(document), flush=True)
    if options.markdown:
        write_markdown(top, document)


def main(top):
    options = arguments()
    defaults(options)
    build = options.build or os.environ.get('SYSFSD_BUILD', os.path.join(top, 'build-test/plain'))
    try:
        if os.geteuid() != 0:
            raise BenchError('must run as root')
        if not os.path.exists(f'{build}/tests/bench/sysfsd-bench'):
            raise BenchError(f'no build in {build}: run scripts/test meson first')
        own_mount_namespace()
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, frame: sys.exit(128 + number))
        run(top, options, build)
        for why in Host.left:
            print(f'bench: {why}', file=sys.stderr)
        return 1 if Host.left else 0
    except (BenchError, OSError) as error:
        print(f'bench: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
