#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# sysfsd beside lxcfs: both look at the same container, and every line they show is compared. Where
# they are to differ is the table in docs/DIFFERENCES.md, which this reads: a difference that is not
# there fails, and so does a row that is none any longer. Needs root, runc and lxcfs. It starts a
# daemon and an lxcfs of its own and removes all it made, also when it fails.
#
# run-peers-tests.sh --bindir DIR [--sbindir DIR] [--only NAME] [--list]
#   --bindir   where sysfs-hook is (and sysfsd, without --sbindir)
#   --only     only cases whose name contains NAME
# Environment:
#   SYSFSD_TEST_TABLE  the document with the table, default docs/DIFFERENCES.md of this tree
#   SYSFSD_TEST_SHOW   not empty: print everything that is compared
# Output: TAP lines and a summary; exit 1 when a case failed.

set -u
shopt -s lastpipe # what checks a pipe's end counts in this shell
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/hook/suite.sh
. "$HERE/../hook/suite.sh"
suite_arguments '' "$@"
for tool in lxcfs runc python3 nsenter; do
    command -v "$tool" >/dev/null || {
        echo "1..0 # SKIP needs $tool"
        exit 0
    }
done

# As the hook tests: on a hybrid host without the unified tree, in which runc would leave a directory.
if [ -z "${SYSFSD_TEST_LANE:-}" ]; then
    export SYSFSD_TEST_LANE=1
    if grep -q ' /sys/fs/cgroup/unified cgroup2 ' /proc/self/mounts; then
        # shellcheck disable=SC2016 # for the inner shell
        exec unshare -m --propagation private bash -c 'umount /sys/fs/cgroup/unified && exec "$@"' sh "$0" "$@"
    fi
fi

TABLE=${SYSFSD_TEST_TABLE:-$HERE/../../docs/DIFFERENCES.md}
# shellcheck source=tests/hook/lib.sh
. "$HERE/../hook/lib.sh"
# shellcheck source=tests/hook/process.sh
. "$HERE/../hook/process.sh"
TAG=sysfsd-peers-$$
LXCFS='' LXCFS_RUNTIME='' THROTTLED_USEC=0

# ---- lxcfs ----

lxcfs_start() {
    # Made by lxcfs, which does not remove it.
    [ -e /run/lxcfs ] || LXCFS_RUNTIME=/run/lxcfs
    mkdir -p "$WORK/lxcfs"
    lxcfs -f -l --enable-cfs -p "$WORK/lxcfs.pid" "$WORK/lxcfs" </dev/null >"$WORK/log/lxcfs" 2>&1 &
    LXCFS=$!
    local i
    for ((i = 0; i < 300; i++)); do
        [ ! -e "$WORK/lxcfs/proc/meminfo" ] || return 0
        kill -0 "$LXCFS" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

lxcfs_stop() {
    [ -n "$LXCFS" ] || return 0
    kill "$LXCFS" 2>/dev/null
    # Its load thread sleeps up to 5 s before it sees that it is to end; nothing is lost with it.
    eventually 1 lxcfs_ended || kill -9 "$LXCFS" 2>/dev/null
    wait "$LXCFS" 2>/dev/null
    LXCFS=''
    umount -l "$WORK/lxcfs" 2>/dev/null
    [ -z "$LXCFS_RUNTIME" ] || find "$LXCFS_RUNTIME" -xdev -depth -type d -exec rmdir {} + 2>/dev/null
}

lxcfs_ended() {
    ! kill -0 "$LXCFS" 2>/dev/null
}

# ---- the containers ----

# The plain one's work: memory of each kind, file I/O, then all the CPU its quota gives, until it is told
# to stop. The shell holds its variable meanwhile, and the program it waits with is a file of its own.
write_work() {
    cat >"$WORK/rootfs/work" <<'END'
held=$(busybox head -c 12000000 /dev/zero | busybox tr '\0' x)
busybox head -c 6000000 /dev/zero >/tmp/shmem
busybox dd if=/dev/zero of=/direct bs=64k count=32 oflag=direct conv=fsync 2>/dev/null
busybox dd if=/direct of=/dev/null bs=64k iflag=direct 2>/dev/null
busybox dd if=/dev/zero of=/data bs=64k count=64 conv=fsync 2>/dev/null
cat /data /data /data >/dev/null
busybox cp /bin/busybox /busybox
burn() {
    while [ ! -e /tmp/stop ]; do n=$((n + 1)); done
}
n=0
burn &
: >/tmp/burning
burn
wait
: >/tmp/idle
busybox sleep 4
busybox head -c 3000000 /dev/zero >/dirty
/busybox sleep 1000
echo ${#held}
END
}

container_start() { # ID
    container_run runc "$1" || {
        fail "runc: $(cat "$WORK/log/$1")"
        return 1
    }
    is_registered "$1" || fail "$1 has no view"
}

# Of three CPUs or more all but the first; of two the second.
pinned_cpus() {
    local online
    online=$(</sys/devices/system/cpu/online)
    case $online in
    0-1) echo 1 ;;
    0-*) echo "1-${online#0-}" ;;
    esac
}

snapshot() { # ID FILE
    local pid
    pid=$(container_pid "$1")
    timeout 60 nsenter -t "$pid" -p python3 "$HERE/compare.py" read "$pid" "$WORK/lxcfs" >"$2" ||
        fail "cannot read the files of $1"
}

# The words for the table's column "where" that are true here.
conditions() {
    local lines online
    mapfile -t lines </proc/swaps
    online=$(</sys/devices/system/cpu/online)
    on_v2 && printf v2 || printf v1
    [ ${#lines[@]} -lt 2 ] || printf ,swap
    # A quota of 1.5 shows two CPUs.
    [ "$online" = 0-1 ] || printf ,hidden
    # On a busy machine there may be nothing to throttle. 0.1 s are ten ticks.
    [ "$THROTTLED_USEC" -lt 100000 ] || printf ,throttled
}

# For how long the quota has kept the plain container from running: $USEC.
read_throttled() {
    local file=/sys/fs/cgroup/cpu/$TAG/plain/cpu.stat key value
    on_v2 && file=/sys/fs/cgroup/$TAG/plain/cpu.stat
    while read -r key value; do
        case $key in
        throttled_usec) USEC=$value ;;
        throttled_time) USEC=$((value / 1000)) ;;
        esac
    done <"$file"
}

take_snapshots() {
    local cpus root USEC=0
    cpus=$(pinned_cpus)
    [ -n "$cpus" ] || fail 'needs two CPUs, the first one numbered 0' || return
    bundle_defaults
    B_INIT='["/bin/sh","/work"]'
    container_start plain || return
    bundle_defaults
    B_CPUS=$cpus
    container_start pinned || return
    root=/proc/$(container_pid plain)/root
    eventually 60 test -e "$root/tmp/burning" || fail 'the container does not get to work' || return
    sleep 1
    snapshot plain "$WORK/plain.1"
    read_throttled
    THROTTLED_USEC=-$USEC
    sleep 2
    : >"$root/tmp/stop"
    eventually 60 test -e "$root/tmp/idle" || fail 'the container does not stop working' || return
    read_throttled
    THROTTLED_USEC=$((THROTTLED_USEC + USEC))
    # lxcfs counts tasks every 5 s, the kernel brings memory.stat up to date every 2 s.
    sleep 6
    snapshot plain "$WORK/plain.2"
    snapshot pinned "$WORK/pinned.1"
}

# The comparison's lines, numbered on.
compare_cases() {
    local line before=$FAILED
    while IFS= read -r line; do
        case $line in
        "ok - "*)
            PASSED=$((PASSED + 1)) NUMBER=$((NUMBER + 1))
            echo "ok $NUMBER - ${line#ok - }"
            ;;
        "not ok - "*)
            FAILED=$((FAILED + 1)) NUMBER=$((NUMBER + 1))
            echo "not ok $NUMBER - ${line#not ok - }"
            ;;
        *) note "${line#\# }" ;;
        esac
    done < <(python3 "$HERE/compare.py" check "$TABLE" "$(conditions)" \
        plain="$WORK/plain.1" plain="$WORK/plain.2" pinned="$WORK/pinned.1" 2>&1)
    wait $! || [ "$FAILED" != "$before" ] || {
        FAILED=$((FAILED + 1)) NUMBER=$((NUMBER + 1))
        echo "not ok $NUMBER - the comparison itself"
    }
}

cleanup_all() {
    set +u
    lxcfs_stop
    cleanup
}

if [ "$LIST" = 1 ]; then
    echo 'both look at two containers'
    exit 0
fi
trap cleanup_all EXIT
trap 'exit 130' INT TERM HUP
prepare
write_work
daemon_start || {
    echo 'Bail out! sysfsd does not start'
    sed 's/^/# /' "$WORK/log/sysfsd"
    exit 1
}
lxcfs_start || {
    echo 'Bail out! lxcfs does not start'
    sed 's/^/# /' "$WORK/log/lxcfs"
    exit 1
}
run_case 'both look at two containers' take_snapshots
[ "$PASSED" = 0 ] || compare_cases
finish
