# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154 # set or read in the other files
#
# The judges' container, what they said, and the table.
#
# One container a phase. All its programs are started by inside.sh, by one exec; run_case() deletes
# containers, so the outputs and the view's own files are copied out before the cases look at them.

POD_MIB=160
SWAP_MIB=64 # of memory, at first; twice as much in the end, and of swap

judges_prepare() {
    local root=$WORK/rootfs file
    # Debian's layout over the bind of /usr; /bin stays busybox's own.
    ln -s usr/lib "$root/lib"
    ln -s usr/sbin "$root/sbin"
    for file in /lib32 /lib64; do
        [ ! -L "$file" ] || ln -s "usr$file" "$root$file"
    done
    mkdir -p "$root/usr" "$root/judges"
    cp "$HERE"/{inside.sh,judge.py} "$root/judges/"
    mkdir -p "$WORK/said" "$WORK/host"
    note 'judge | figure | shown | wanted'
}

judges_cleanup() {
    if [ -n "${SYSFSD_TEST_KEEP:-}" ]; then
        mkdir -p "$SYSFSD_TEST_KEEP" && cp -r "$WORK/said" "$WORK/host" "$SYSFSD_TEST_KEEP/"
    fi
    cleanup
}

# The host's programs and what they need of /etc, read-only; no /usr/local; the cgroup tree as engines
# mount it, without which a JVM takes the host's memory for its own.
judges_mounts() {
    B_MOUNTS=',{"destination": "/usr", "type": "bind", "source": "/usr", "options": ["bind", "ro"]}
    ,{"destination": "/usr/local", "type": "tmpfs", "source": "tmpfs", "options": ["ro"]}
    ,{"destination": "/etc", "type": "bind", "source": "/etc", "options": ["bind", "ro"]}
    ,{"destination": "/dev/pts", "type": "devpts", "source": "devpts",
        "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]}'
    B_CGROUP_MOUNT=1
}

# The outputs of a phase: SAID, VIEW (a copy of the view's files), STARTED, AGE. The first who asks
# runs it, in a container of that name.
phase() { # PHASE
    SAID=$WORK/said/$1 VIEW=$WORK/said/$1.view
    [ -d "$SAID" ] || phase_run "$1" || return
    read -r STARTED AGE <"$VIEW/times"
}

# Less than the container's own limits, in a cgroup that it does not see.
pod_limits() {
    B_CGROUP=$TAG/pod/one B_QUOTA=-1 # v1 takes no quota above the parent's
    cgroup_make "$TAG/pod"
    set_memory "$TAG/pod" $((POD_MIB << 20))
    set_quota "$TAG/pod" 50000
}

# Once the container's program holds what it should.
raise_memory() { # PID
    eventually 100 [ -s "/proc/$1/root/tmp/said/held.log" ] && set_memory "$TAG/swap" $((SWAP_MIB << 21))
}

phase_run() { # PHASE
    local pid file
    bundle_defaults
    judges_mounts
    judges_resources
    # The shell takes in children that have lost their parent.
    B_INIT='["/bin/sh","-c","sleep 10000; :"]'
    case $1 in
    one-cpu) B_QUOTA=50000 ;;
    pod) pod_limits ;;
    swap) B_MEMORY="$((SWAP_MIB << 20)), \"swap\": $((SWAP_MIB * 3 << 20))" ;; # OCI counts both
    host-uptime) B_ANNOTATIONS='{"io.sysfsd.views":"-/proc/uptime"}' ;;
    esac
    container_run runc "$1" || fail "$(cat "$WORK/log/$1")" || return
    pid=$(container_pid "$1")
    [ "$1" != swap ] || raise_memory "$pid" &
    check_eq "what the shell of $1 said" \
        "$(container_exec runc "$1" "exec /bin/sh /judges/inside.sh /tmp/said $1")" ''
    mkdir -p "$VIEW/proc" "$VIEW/sys/devices/system/cpu"
    # As the host's root sees the container meanwhile.
    ! on_v2 || /usr/bin/systemd-cgtop -b -n 1 --raw >"$VIEW/cgtop"
    for file in proc/{meminfo,diskstats,partitions} sys/devices/system/cpu/online; do
        cat "$WORK/run/views/$1/$file" >"$VIEW/$file"
    done
    echo "$(date -d "$(ps -o lstart= -p "$pid")" +%s) $(age_of "$pid")" >"$VIEW/times"
    cgroup_written "$1" >"$VIEW/written"
    cp -r "/proc/$pid/root/tmp/said" "$SAID"
}

# The disk with the containers' root file system, "major:minor"; nothing when that is no disk.
own_disk() {
    local dev
    dev=$(stat -c %Hd:%Ld "$WORK")
    dev=$(readlink -f "/sys/dev/block/$dev") || return
    [ ! -e "$dev/partition" ] || dev=${dev%/*}
    cat "$dev/dev" 2>/dev/null
}

# Newer kernels count what a v1 cgroup does to a disk only if there is a limit for that disk: one that
# nothing reaches.
judges_resources() {
    local disk
    disk=$(own_disk)
    if on_v2 || [ -z "$disk" ]; then
        return
    fi
    B_RESOURCES=",\"blockIO\": {\"throttleWriteBpsDevice\":
        [{\"major\": ${disk%:*}, \"minor\": ${disk#*:}, \"rate\": 100000000000}]}"
}

# Bytes written to disks, by the container's cgroup.
cgroup_written() { # ID
    if on_v2; then
        sed 's/.*wbytes=\([0-9]*\).*/\1/' "/sys/fs/cgroup/$TAG/$1/io.stat"
    else
        sed -n 's/.* Write //p' "/sys/fs/cgroup/blkio/$TAG/$1/blkio.throttle.io_service_bytes_recursive"
    fi 2>/dev/null | awk '{ s += $1 } END { printf "%d", s }'
}

# Whether the kernel counted what dd wrote.
wrote() {
    [ "$(cat "$WORK/said/quiet.view/written")" -ge 1048576 ]
}

said() { # NAME
    printf '%s\n' "$(<"$SAID/$1")" # a fork is dear in a machine that is emulated
}

# A program on the host, in $WORK/host: what it complains of there is not the view's fault. Few have to be run.
reference() { # NAME
    [ -e "$WORK/host/$1.status" ] || sh "$HERE/inside.sh" "$WORK/host" quiet "$1"
}

ODD='-?nan|-?inf|n/a|warning|error|cannot|failed|failure|unable|unknown|invalid|undefined|overflow'

odd_words() { # FILE...
    cat "$@" 2>/dev/null | grep -a -o -i -w -E -e "$ODD" | sort -u
}

# Each program: exit 0, stderr as on the host, no odd word that it does not say on the host.
case_clean() { # PHASE
    local file name count=0 odd files
    phase "$1" || return
    # What slabtop makes of an empty table is a case of its own.
    files=$(cd "$SAID" && grep -a -l -i -w -E -e "$ODD" -- * 2>/dev/null | sed 's/[.]err$//' | sort -u | grep -v -x slabtop)
    for name in $files; do
        reference "$name"
        odd=$(comm -23 <(odd_words "$SAID/$name" "$SAID/$name.err") \
            <(odd_words "$WORK/host/$name" "$WORK/host/$name.err") | paste -sd ' ')
        check_eq "words of $name that it does not say on the host" "$odd" ''
    done
    for file in "$SAID"/*.status; do
        name=${file##*/}
        name=${name%.status}
        count=$((count + 1))
        [ "$name" = dd ] || check_eq "status of $name" "$(<"$file")" 0
        # dd is told to be silent; without a disk in it, vmstat -d prints nothing.
        [ -s "$SAID/$name" ] || [ -s "$SAID/$name.err" ] || [ "$name" = dd ] ||
            { [ "$name" = vmstat-d ] && [ ! -s "$VIEW/proc/diskstats" ]; } || fail "$name printed nothing"
        # These print on stderr, and never the same text twice.
        case $name in
        java* | stress* | dd) ;;
        *) [ ! -s "$SAID/$name.err" ] || { reference "$name" && cmp -s "$SAID/$name.err" "$WORK/host/$name.err"; } ||
            fail "$name warns: $(head -n 3 "$SAID/$name.err")" ;;
        esac
    done
    check_range 'programs run' "$count" 4 100
}

# ---- the table ----

row() { # JUDGE FIGURE SHOWN WANTED
    note "$1 | $2 | ${3//$'\n'/ } | $4"
}

shows() { # JUDGE FIGURE SHOWN WANTED
    row "$@"
    check_eq "$1: $2" "$3" "$4"
}

within() { # JUDGE FIGURE SHOWN LOW HIGH
    row "$1" "$2" "$3" "$4 to $5"
    check_range "$1: $2" "$3" "$4" "$5"
}

# A figure that is wrong in a way that is known: PATTERN is what it is as long as nothing changed.
known() { # JUDGE FIGURE SHOWN PATTERN WANTED
    row "$1" "$2" "$3" "$5 (known: wrong)"
    [[ $3 =~ ^($4)$ ]] && return
    if [ "$3" = "$5" ]; then
        fail "$1: $2 is right now: $3; take it off the known limits in docs/COMPATIBILITY.md"
    else
        fail "$1: $2 is '$3', neither right ($5) nor as known ($4)"
    fi
}

# A known one only where the host's figure and the container's differ.
known_host() { # JUDGE FIGURE SHOWN HOST WANTED
    if [ "$4" = "$5" ]; then
        shows "$1" "$2" "$3" "$5"
    else
        known "$1" "$2" "$3" "$4" "$5"
    fi
}

field() { # KEY NAME: the rest of the line that starts with KEY
    sed -n "/^ *$1[ :=]*/{s///p;q}" "$SAID/$2"
}

hundredths() { # 1.25 -> 125
    awk -v x="$1" 'BEGIN { printf "%d", x * 100 + 0.5 }'
}
