# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153 # set or read in the other files
#
# The least that is a container to the hook: a process in a cgroup and a mount namespace of its own,
# and a state and bundle that name it. No engine; hundreds of them are cheap.

PROCESSES=()

# Starts one; its pid is in $PROCESS.
process_start() { # ID
    processes_start "$1" && PROCESS=${STARTED[0]}
}

# Starts several, which wait together for what the kernel waits for when a process changes its cgroup. Their pids are in STARTED.
STARTED=()
processes_start() { # ID...
    local id dir dirs pid
    STARTED=()
    for id in "$@"; do
        cgroup_make "$TAG/$id"
        set_memory "$TAG/$id" $((64 << 20))
        dirs=$(cgroup_dirs "$TAG/$id")
        (
            for dir in $dirs; do
                echo "$BASHPID" >"$dir/cgroup.procs"
            done
            exec unshare -m --propagation private sleep 10000
        ) </dev/null >/dev/null 2>&1 &
        pid=$!
        disown "$pid"
        STARTED+=("$pid")
        PROCESSES+=("$pid $id")
    done
    # The namespace is cut when the command is running.
    for pid in "${STARTED[@]}"; do
        eventually 10 runs_command "$pid" sleep || return
    done
}

runs_command() { # PID NAME
    local name
    { read -r name <"/proc/$1/comm"; } 2>/dev/null && [ "$name" = "$2" ]
}

process_end() { # PID ID
    kill -9 "$1" 2>/dev/null
    eventually 10 cgroup_empty "$TAG/$2"
    cgroup_remove "$TAG/$2"
}

cgroup_empty() { # PATH
    local dir pid
    for dir in $(cgroup_dirs "$1"); do
        ! { read -r pid <"$dir/cgroup.procs"; } 2>/dev/null || return 1
    done
}

processes_end() {
    local entry dirs=()
    for entry in "${PROCESSES[@]}"; do
        kill -9 "${entry%% *}" 2>/dev/null
    done
    for entry in "${PROCESSES[@]}"; do
        eventually 10 cgroup_empty "$TAG/${entry#* }"
        dirs+=(/sys/fs/cgroup/"$TAG/${entry#* }" /sys/fs/cgroup/*/"$TAG/${entry#* }")
    done
    # Most have nothing below, and are not all of them there.
    [ ${#dirs[@]} = 0 ] || rmdir "${dirs[@]}" 2>/dev/null
    for entry in "${PROCESSES[@]}"; do
        cgroup_remove "$TAG/${entry#* }"
    done
    PROCESSES=()
}

# The state of such a container: what createRuntime gets, with the host's root as its root.
make_state() { # ID PID [ANNOTATIONS [ROOTFS]]
    local bundle=$WORK/bundles/$1
    mkdir -p "$bundle"
    printf '{"ociVersion":"1.0.0","root":{"path":"%s"}}' "${4:-/}" >"$bundle/config.json"
    printf '{"ociVersion":"1.0.0","id":"%s","pid":%d,"status":"creating","bundle":"%s","annotations":%s}' \
        "$1" "$2" "$bundle" "${3:-{\}}"
}

# Runs the hook on the state on stdin: HOOK_STATUS, HOOK_ERROR (its stderr).
run_hook() { # ARGUMENT...
    "$WORK/bin/sysfs-hook" --runtime-dir "$WORK/run" "$@" 2>"$WORK/log/hook.err" >"$WORK/log/hook.out"
    HOOK_STATUS=$?
    HOOK_ERROR=$(cat "$WORK/log/hook.err")
}

process_memtotal() { # PID
    awk '/^MemTotal:/ { print $2 }' "/proc/$1/root/proc/meminfo"
}
