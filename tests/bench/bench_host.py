# SPDX-License-Identifier: Apache-2.0
"""What the benchmark sets up on the host, and takes away: a working directory, cgroups, sysfsd, lxcfs, containers."""
import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time


class BenchError(Exception):
    """One line for people."""


def read(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise BenchError(f'{what}: not within {seconds} s')
        time.sleep(0.02)


class Hold:
    """Containers of one kind, made by `sysfsd-bench hold`."""

    def __init__(self, host, name, lxcfs=None):
        self.pids = []
        argv = [host.tool, 'hold', name, '--quota', str(os.cpu_count() * 100000 + 50000)]
        for directory in host.cgroups:
            argv += ['--cgroup', directory]
        if lxcfs:
            argv += ['--lxcfs', lxcfs] + [word for file in host.bound for word in ('--file', file)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def grow(self, count):
        """Until there are count of them."""
        if count <= len(self.pids):
            return
        try:
            self.process.stdin.write(f'{count - len(self.pids)}\n')
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has said why; there is no more to read either
        while (line := self.process.stdout.readline()) != '\n':
            if not line:
                raise BenchError(f'could not make {count} containers')
            self.pids.append(int(line))

    def end(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()


class Host:
    left = []  # why something could not be taken away

    def __init__(self, build, files, bound, with_lxcfs=False, supervise=False):
        """files: to be read; bound: what an lxcfs container has."""
        self.build, self.files, self.bound = build, files, bound
        self.tool = os.path.join(build, 'tests/bench/sysfsd-bench')
        self.with_lxcfs = with_lxcfs
        self.supervise = supervise
        self.work = None
        self.cgroups, self.holds, self.processes = [], [], []
        self.sysfsd = self.lxcfs = self.empty = None
        self.registered = 0

    # ---- up ----

    def start(self):
        self.work = tempfile.mkdtemp(prefix=f'sysfsd-bench-{os.getpid()}.')
        # As /run is: what is kept of a container is synced.
        if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'mode=700', 'sysfsd-bench', self.work], check=False).returncode != 0:
            raise BenchError(f'cannot mount a tmpfs on {self.work}')
        self.runtime = os.path.join(self.work, 'run')
        self.make_cgroups(f'sysfsd-bench-{os.getpid()}')
        if self.with_lxcfs:
            self.start_lxcfs()
        self.native = self.hold('native')
        self.views = self.hold('sysfsd')
        self.spare = self.hold('spare')
        self.lxcs = self.hold('lxcfs', lxcfs=os.path.join(self.work, 'lxcfs')) if self.lxcfs else None
        self.start_sysfsd()

    def make_cgroups(self, name):
        """One directory of ours in each hierarchy that there is."""
        root = '/sys/fs/cgroup'
        if os.path.exists(f'{root}/cgroup.controllers'):
            directories = [root]
        else:
            names = ('memory', 'cpu', 'cpuacct', 'cpu,cpuacct', 'pids')
            directories = [f'{root}/{n}' for n in names
                           if os.path.exists(f'{root}/{n}/cgroup.procs') and not os.path.islink(f'{root}/{n}')]
        for directory in directories:
            own = f'{directory}/{name}'
            os.mkdir(own)
            self.cgroups.append(own)
            if directory == root:
                for where in (root, own):
                    with open(f'{where}/cgroup.subtree_control', 'w', encoding='ascii') as file:
                        file.write('+memory +cpu +pids')

    def spawn(self, argv, log):
        with open(os.path.join(self.work, log), 'ab') as output:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        self.processes.append(process)
        return process

    def start_lxcfs(self):
        self.lxcfs_runtime_was_there = os.path.exists('/run/lxcfs')
        mount = os.path.join(self.work, 'lxcfs')
        os.mkdir(mount)
        self.lxcfs = self.spawn(['lxcfs', '-f', '-l', '--enable-cfs', '-p', f'{self.work}/lxcfs.pid', mount], 'lxcfs.log')
        wait_for(lambda: os.path.exists(f'{mount}/proc/meminfo') or self.lxcfs.poll() is not None, 10, 'lxcfs')
        if self.lxcfs.poll() is not None:
            raise BenchError(f'lxcfs: {read(self.work + "/lxcfs.log").strip()}')

    def start_sysfsd(self):
        with open(f'{self.work}/sysfsd.conf', 'w', encoding='ascii') as file:
            file.write('[daemon]\nmax-containers=16384\n')
        self.sysfsd = self.spawn_sysfsd(self.runtime, ['--supervise'] if self.supervise else [])

    def spawn_sysfsd(self, runtime, more):
        os.makedirs(runtime, mode=0o755, exist_ok=True)
        log = f'{os.path.basename(runtime)}.log'
        process = self.spawn([f'{self.build}/daemon/sysfsd', '--config', f'{self.work}/sysfsd.conf', '--runtime-dir', runtime, *more], log)

        def is_up():
            if process.poll() is not None:
                raise BenchError(f'sysfsd: {read(f"{self.work}/{log}").strip()}')
            return self.answers(runtime)
        wait_for(is_up, 20, 'sysfsd')
        return process

    def empty_runtime(self):
        """The runtime directory of a second daemon, that has no containers."""
        if not self.empty:
            self.empty = f'{self.work}/empty'
            self.spawn_sysfsd(self.empty, [])
        return self.empty

    def answers(self, runtime=None):
        return subprocess.run([f'{self.build}/tools/sysfs-ctl', '--runtime-dir', runtime or self.runtime, 'status'],
                              capture_output=True, check=False).returncode == 0

    def ctl(self, *arguments):
        run = subprocess.run([f'{self.build}/tools/sysfs-ctl', '--runtime-dir', self.runtime, *arguments],
                             capture_output=True, text=True, check=False)
        if run.returncode:
            raise BenchError(run.stderr.strip())
        return run

    def hold(self, name, **arguments):
        hold = Hold(self, name, **arguments)
        self.holds.append(hold)
        return hold

    # ---- used by the parts ----

    def bench(self, *arguments):
        """Runs sysfsd-bench; the lines of its output, split at tabs."""
        argv = [self.tool] + [str(argument) for argument in arguments]
        run = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if run.returncode:
            raise BenchError(run.stderr.strip().split('\n')[-1] or f'sysfsd-bench {arguments[0]} ended with {run.returncode}')
        return [line.split('\t') for line in run.stdout.splitlines()]

    def attach(self, number):
        self.ctl('attach', '--pid', str(self.views.pids[number]), '--id', f'c{number}')

    # ---- down ----

    def stop(self):
        """Also when only half of it is there. Not to be interrupted."""
        handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        self.take_away()
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def take_away(self):
        for hold in self.holds:
            hold.end()
        for process in reversed(self.processes):
            process.terminate()
            try:
                # lxcfs' load thread sleeps up to 5 s before it sees that it is to end; nothing is lost with it.
                process.wait(1 if process is self.lxcfs else 20 + self.registered / 50)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if not self.work:
            return
        if any(line.split()[1] == self.work for line in read('/proc/self/mounts').splitlines()):
            subprocess.run(['umount', '-l', self.work], check=False)  # and all below
        for own in self.cgroups:
            try:
                wait_for(lambda own=own: self.remove_cgroup(own), 10 + self.registered / 20, f'removing {own}')
            except BenchError as error:  # no reason to lose the figures
                Host.left.append(str(error))
        if self.lxcfs and not self.lxcfs_runtime_was_there:
            for directory, _, _ in os.walk('/run/lxcfs', topdown=False):
                try:
                    os.rmdir(directory)
                except OSError:
                    pass
        shutil.rmtree(self.work, ignore_errors=True)

    @staticmethod
    def remove_cgroup(own):
        for directory in glob.glob(f'{own}/*/') + [own]:
            try:
                os.rmdir(directory)
            except OSError:
                pass
        return not os.path.exists(own)


def own_mount_namespace():
    """Executes this program anew in a mount namespace of its own: nothing that is mounted can be left behind."""
    if os.environ.get('SYSFSD_BENCH_NAMESPACE') != str(os.getpid()):
        os.environ['SYSFSD_BENCH_NAMESPACE'] = str(os.getpid())
        os.execvp('unshare', ['unshare', '-m', '--propagation', 'private', sys.executable, *sys.argv])
