# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What all cases use: TAP, the daemon under test, bundles, engines, cleaning up. Cases report with
# check_* and fail; they never exit.

PASSED=0 FAILED=0 SKIPPED=0 NUMBER=0
CASE_FAILED=0 CASE_SKIP=''
WORK='' DAEMON=''
TAG=sysfsd-hook-$$
LIVE=() # "ENGINE ID" of containers to delete
# shellcheck disable=SC2209 # a command: what has to end before containers and processes do
BEFORE_DELETE=true

note() {
    printf '# %s\n' "$*"
}

fail() {
    note "failed: $*"
    CASE_FAILED=1
    return 1
}

skip() {
    CASE_SKIP=$*
}

check_eq() { # WHAT GOT WANTED
    [ "$2" = "$3" ] || fail "$1 is '$2' and not '$3'"
}

check_match() { # WHAT GOT PATTERN
    [[ $2 =~ $3 ]] || fail "$1 is '$2' and does not match '$3'"
}

check_range() { # WHAT GOT LOW HIGH, integers
    { [[ $2 =~ ^-?[0-9]+$ ]] && [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; } ||
        fail "$1 is '$2' and not within $3..$4"
}

is_wanted() { # NAME: --only is a comma-separated list of parts of names
    local part
    [ -n "$ONLY" ] || return 0
    for part in ${ONLY//,/ }; do
        [[ $1 != *"$part"* ]] || return 0
    done
    return 1
}

# One case: a function and its arguments, in this shell.
run_case() { # NAME FUNCTION [ARGUMENT]...
    local name=$1
    shift
    is_wanted "$name" || return
    NUMBER=$((NUMBER + 1)) CASE_FAILED=0 CASE_SKIP=''
    "$@" || [ "$CASE_FAILED" = 1 ] || [ -n "$CASE_SKIP" ] || fail "$1 ended with $?"
    delete_all
    if [ "$CASE_FAILED" = 1 ]; then
        FAILED=$((FAILED + 1))
        echo "not ok $NUMBER - $name"
        tail -n 5 "$WORK/log/sysfsd" | sed 's/^/# sysfsd: /'
    elif [ -n "$CASE_SKIP" ]; then
        SKIPPED=$((SKIPPED + 1))
        echo "ok $NUMBER - $name # SKIP $CASE_SKIP"
    else
        PASSED=$((PASSED + 1))
        echo "ok $NUMBER - $name"
    fi
}

finish() {
    echo "1..$NUMBER"
    echo "# $PASSED passed, $FAILED failed, $SKIPPED skipped"
    [ "$FAILED" = 0 ]
    exit
}

# ---- the place, the daemon ----

prepare() {
    WORK=$(mktemp -d /tmp/$TAG.XXXXXX)
    chmod 755 "$WORK" # hooks of user namespaces look into it
    mkdir -p "$WORK"/{run,log,bin,bundles,states}
    : >"$WORK/sysfsd.conf"
    # Under a path that every user can reach; the build directory may not be one.
    cp "$BINDIR/sysfs-hook" "$WORK/bin/"
    local lib
    # A static program has none, which ldd calls a failure.
    lib=$({ ldd "$BINDIR/sysfs-hook" 2>/dev/null || :; } | awk '/libsysfsd/ { print $3 }')
    [ -z "$lib" ] || cp -L "$lib" "$WORK/bin/libsysfsd.so.0"
    export LD_LIBRARY_PATH=$WORK/bin
    make_rootfs "$WORK/rootfs"
}

# A busybox root file system.
make_rootfs() { # DIR
    mkdir -p "$1"/{bin,proc,sys,dev,tmp,etc}
    cp "$(command -v busybox)" "$1/bin/busybox"
    cp "$1/bin/busybox" "$1/bin/busybox ) R (" # for an init with such a name
    local applet
    for applet in sh cat grep sleep ls stat nproc free uptime top cut wc; do
        ln -sf busybox "$1/bin/$applet"
    done
    echo root:x:0:0:root:/:/bin/sh >"$1/etc/passwd"
}

# A program of this host, and the libraries it needs.
add_program() { # ROOTFS NAME
    local path library
    path=$(command -v "$2") || return
    mkdir -p "$1/usr/bin"
    cp -L "$path" "$1/usr/bin/$2"
    { ldd "$path" 2>/dev/null || :; } | grep -o '/[^ ]*' | while read -r library; do
        [ -e "$1$library" ] || {
            mkdir -p "$1${library%/*}"
            cp -L "$library" "$1$library"
        }
    done
}

daemon_start() {
    "$SBINDIR/sysfsd" --config "$WORK/sysfsd.conf" --runtime-dir "$WORK/run" \
        >>"$WORK/log/sysfsd" 2>&1 &
    DAEMON=$!
    local i
    for ((i = 0; i < 300; i++)); do
        [ ! -S "$WORK/run/control.sock" ] || return 0
        kill -0 "$DAEMON" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

daemon_stop() {
    [ -n "$DAEMON" ] || return 0
    kill "$DAEMON" 2>/dev/null
    wait "$DAEMON" 2>/dev/null
    DAEMON=''
}

# Waits until a command succeeds, at most SECONDS. Most wait for a few milliseconds only.
eventually() { # SECONDS COMMAND...
    local end=$((SECONDS + $1)) pauses=(0.01 0.02 0.05) tries=0
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep "${pauses[tries]:-0.1}"
        tries=$((tries + 1))
    done
}

# All of ours in the mount table: views, and binds of them.
own_mounts() {
    grep -c -F "$WORK/run/" /proc/self/mounts
}

records() {
    find "$WORK/run/containers" -name '*.json' 2>/dev/null | wc -l
}

is_registered() { # ID
    [ -e "$WORK/run/containers/$1.json" ]
}

is_gone() { # ID
    [ ! -e "$WORK/run/containers/$1.json" ] &&
        ! grep -q -F -e " $WORK/run/views/$1 " -e " $WORK/run/constants/$1 " /proc/self/mounts
}

# ---- cgroups: v1 and v2 ----

on_v2() {
    [ -e /sys/fs/cgroup/cgroup.controllers ]
}

# In place of the unified tree there may be plain directories that an engine made, see run-hook-tests.sh.
UNIFIED=0
! grep -q ' /sys/fs/cgroup/unified cgroup2 ' /proc/self/mounts || UNIFIED=1

cgroup_dirs() { # PATH: every hierarchy's directory of that name that is there
    local dir
    if on_v2; then
        [ ! -d "/sys/fs/cgroup/$1" ] || echo "/sys/fs/cgroup/$1"
        return
    fi
    for dir in /sys/fs/cgroup/*/"$1"; do
        [ -d "$dir" ] || continue
        [[ $dir != /sys/fs/cgroup/unified/* || $UNIFIED = 1 ]] && echo "$dir"
    done
}

cgroup_make() { # PATH: in the hierarchies that limit memory and CPU
    local dir
    if on_v2; then
        dir=/sys/fs/cgroup
        local part
        for part in ${1//\// }; do
            echo '+memory +cpu' >"$dir/cgroup.subtree_control" 2>/dev/null
            dir=$dir/$part
            mkdir -p "$dir"
        done
    else
        for dir in memory cpu; do
            mkdir -p "/sys/fs/cgroup/$dir/$1"
        done
    fi
}

set_memory() { # PATH BYTES
    if on_v2; then
        echo "$2" >"/sys/fs/cgroup/$1/memory.max"
    else
        echo "$2" >"/sys/fs/cgroup/memory/$1/memory.limit_in_bytes"
    fi
}

set_quota() { # PATH USEC, of a period of 100000
    if on_v2; then
        echo "$2 100000" >"/sys/fs/cgroup/$1/cpu.max"
    else
        echo 100000 >"/sys/fs/cgroup/cpu/$1/cpu.cfs_period_us"
        echo "$2" >"/sys/fs/cgroup/cpu/$1/cpu.cfs_quota_us"
    fi
}

cgroup_remove() { # PATH, with what is below; processes that were killed may still be going
    eventually 5 cgroup_removed "$1" || note "cgroup $1 is left"
}

cgroup_removed() { # PATH
    local dir dirs
    dirs=$(cgroup_dirs "$1")
    for dir in $dirs; do
        find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null
    done
    [ -z "$dirs" ] || [ -z "$(cgroup_dirs "$1")" ]
}

# ---- containers ----

engine() { # ENGINE ARGUMENT...
    local name=$1
    shift
    "$name" --root "$WORK/root-$name" "$@"
}

json_args() { # WORD...: a JSON array of strings without characters to be quoted
    local IFS=,
    local quoted=()
    local word
    for word in "$@"; do
        quoted+=("\"$word\"")
    done
    echo "[${quoted[*]}]"
}

# The settings of the next bundle; a case changes what it wants other.
bundle_defaults() {
    B_INIT='["/bin/sleep","1000"]' B_STAGE=createRuntime B_HOOK_ARGS=() B_USERNS=0
    B_MEMORY=$((256 << 20)) B_QUOTA=150000 B_CGROUP='' B_ANNOTATIONS='{}' B_ROOTFS=$WORK/rootfs
    B_RUNTIME_DIR=$WORK/run B_CPUS='' B_CGROUP_MOUNT=0
    B_PID_NAMESPACE='{"type":"pid"},'
    B_MOUNTS='' B_RESOURCES='' B_MORE_HOOKS='' # more of them, each with a comma before it
}

hook_json() { # STAGE
    printf '{"path":"%s","args":%s,"env":["LD_LIBRARY_PATH=%s","PATH=/bin"],"timeout":20}' \
        "$WORK/bin/sysfs-hook" \
        "$(json_args sysfs-hook --runtime-dir "$B_RUNTIME_DIR" "${B_HOOK_ARGS[@]}" "$1")" "$WORK/bin"
}

write_bundle() { # ID
    local user='' maps='' cpus='' cgroup_mount='' dir=$WORK/bundles/$1
    mkdir -p "$dir"
    [ -z "$B_CPUS" ] || cpus=",\"cpus\":\"$B_CPUS\""
    if [ "$B_CGROUP_MOUNT" = 1 ]; then
        user=',{"type":"cgroup"}'
        cgroup_mount=',{"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup","options":["nosuid","ro"]}'
    fi
    if [ "$B_USERNS" = 1 ]; then
        user+=',{"type":"user"}'
        maps='"uidMappings":[{"containerID":0,"hostID":100000,"size":65536}],
              "gidMappings":[{"containerID":0,"hostID":100000,"size":65536}],'
    fi
    cat >"$dir/config.json" <<EOF
{
  "ociVersion": "1.0.0",
  "process": {
    "terminal": false, "user": {"uid": 0, "gid": 0}, "args": $B_INIT, "cwd": "/",
    "env": ["PATH=/bin"], "noNewPrivileges": true,
    "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]}
  },
  "root": {"path": "$B_ROOTFS", "readonly": false},
  "hostname": "$1",
  "annotations": $B_ANNOTATIONS,
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "ro"]}$cgroup_mount,
    {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]}
    $B_MOUNTS
  ],
  "hooks": {
    "$B_STAGE": [$(hook_json "$B_STAGE")$B_MORE_HOOKS],
    "poststop": [$(hook_json poststop)]
  },
  "linux": {
    $maps
    "namespaces": [$B_PID_NAMESPACE{"type":"network"},{"type":"ipc"},{"type":"uts"},{"type":"mount"}$user],
    "cgroupsPath": "/${B_CGROUP:-$TAG/$1}",
    "resources": {
      "devices": [{"allow": false, "access": "rwm"}],
      "memory": {"limit": $B_MEMORY}, "cpu": {"quota": $B_QUOTA, "period": 100000$cpus}
      $B_RESOURCES
    },
    "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
    "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
  }
}
EOF
}

# Starts a container from the settings; its init's pid is in $WORK/bundles/ID/pid, what the engine
# said in $WORK/log/ID.
container_run() { # ENGINE ID
    write_bundle "$2"
    LIVE+=("$1 $2")
    engine "$1" run -d --bundle "$WORK/bundles/$2" --pid-file "$WORK/bundles/$2/pid" "$2" \
        </dev/null >"$WORK/log/$2" 2>&1
}

container_pid() { # ID
    cat "$WORK/bundles/$1/pid"
}

container_exec() { # ENGINE ID SCRIPT
    engine "$1" exec "$2" /bin/sh -c "$3" </dev/null 2>&1
}

container_delete() { # ENGINE ID
    engine "$1" delete -f "$2" >>"$WORK/log/$2" 2>&1
    cgroup_remove "$TAG/$2"
}

# A file as the container has it, read from outside.
inside() { # ID PATH
    cat "/proc/$(container_pid "$1")/root$2"
}

memtotal() { # ID
    inside "$1" /proc/meminfo | awk '/^MemTotal:/ { print $2 }'
}

cpus() { # ID
    inside "$1" /proc/cpuinfo | grep -c '^processor'
}

delete_all() {
    local entry
    $BEFORE_DELETE
    for entry in "${LIVE[@]}"; do
        # shellcheck disable=SC2086 # engine and id
        container_delete $entry
    done
    LIVE=()
    processes_end
}

cleanup() {
    set +u
    delete_all
    daemon_stop
    local mount
    # Ours only, the last mounted first.
    awk -v dir="$WORK/" 'index($2, dir) == 1 { print $2 }' /proc/self/mounts | tac |
        while read -r mount; do
            umount -l "$mount"
        done
    cgroup_remove "$TAG"
    case $WORK in
    /tmp/"$TAG".*) rm -rf --one-file-system "$WORK" ;;
    esac
}
