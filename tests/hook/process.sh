# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153 # set or read in the other files
#
# The least that is a container to the hook: a process in a cgroup and a mount namespace of its own,
# and a state and bundle that name it. No engine; hundreds of them are cheap.

PROCESSES=()

# Starts one; its pid is in $PROCESS.
process_start() { # ID
    local dir dirs
    cgroup_make "$TAG/$1"
    set_memory "$TAG/$1" $((64 << 20))
    dirs=$(cgroup_dirs "$TAG/$1")
    (
        for dir in $dirs; do
            echo "$BASHPID" >"$dir/cgroup.procs"
        done
        exec unshare -m --propagation private sleep 10000
    ) </dev/null >/dev/null 2>&1 &
    PROCESS=$!
    disown "$PROCESS"
    PROCESSES+=("$PROCESS $1")
    # The namespace is cut when the command is running.
    eventually 10 grep -q '^sleep' "/proc/$PROCESS/comm"
}

process_end() { # PID ID
    kill -9 "$1" 2>/dev/null
    eventually 10 cgroup_empty "$TAG/$2"
    cgroup_remove "$TAG/$2"
}

cgroup_empty() { # PATH
    local dir
    for dir in $(cgroup_dirs "$1"); do
        [ -z "$(cat "$dir/cgroup.procs")" ] || return 1
    done
}

processes_end() {
    local entry
    for entry in "${PROCESSES[@]}"; do
        # shellcheck disable=SC2086 # pid and id
        process_end $entry
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
