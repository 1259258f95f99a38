# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153 # set or read in the other files
#
# The supervised daemon, readers, and what has to be the same before and after.

SUPERVISOR='' STORM=''

supervisor_start() {
    "$WORK/bin/sysfsd" --supervise --config "$WORK/sysfsd.conf" --runtime-dir "$WORK/run" >>"$WORK/log/sysfsd" 2>&1 &
    SUPERVISOR=$!
    eventually 20 answers
}

# For good: what it supervises ends with it.
supervisor_end() { # [SIGNAL]
    [ -n "$SUPERVISOR" ] || return 0
    kill -CONT "$SUPERVISOR" 2>/dev/null
    kill "-${1:-INT}" "$SUPERVISOR" 2>/dev/null
    wait "$SUPERVISOR" 2>/dev/null
    SUPERVISOR=''
}

daemon_pid() {
    pgrep -P "$SUPERVISOR" -x sysfsd
}

ctl() { # ARGUMENT...
    "$BINDIR/sysfs-ctl" --runtime-dir "$WORK/run" "$@"
}

answers() {
    ctl status >/dev/null 2>&1
}

status_of() { # KEY
    ctl --json status | jq -r ".$1"
}

# Kills the daemon, and does not wait.
daemon_kill() {
    local pid
    pid=$(daemon_pid) && kill -9 "$pid"
}

# Kills it and waits until another one answers.
daemon_replace() {
    local before
    before=$(daemon_pid)
    kill -9 "$before"
    eventually 10 another_answers "$before"
}

another_answers() { # PID
    local now
    # Two of them: one is a program that is only tried out.
    now=$(daemon_pid) && [[ $now =~ ^[0-9]+$ ]] && [ "$now" != "$1" ] && answers
}

# Containers of an engine, each with its view; their roots are in ROOTS.
ROOTS=()
containers_run() { # PREFIX COUNT
    local i
    ROOTS=()
    for ((i = 0; i < $2; i++)); do
        bundle_defaults
        B_INIT='["/bin/sh","-c","while :; do sleep 0.1; done"]'
        container_run runc "$1$i" || fail "$(cat "$WORK/log/$1$i")" || return
        ROOTS+=("/proc/$(container_pid "$1$i")/root")
    done
}

storm_begin() { # THREADS ROOT...
    "$TESTDIR/resume/storm" "$@" >"$WORK/log/storm" 2>"$WORK/log/storm.err" &
    STORM=$!
}

# Those that a case left when it was ended itself.
storm_kill() {
    local pid
    for pid in $(pgrep -P $$ -x storm); do
        kill -9 "$pid"
    done
}

# Ends the readers and judges them.
storm_end() { # LEAST-READS
    local line reads longest
    kill "$STORM" && wait "$STORM"
    line=$(tail -n 1 "$WORK/log/storm")
    note "$line"
    [[ $line =~ reads=([0-9]+)\ errors=0\ wrong=0\ longest_usec=([0-9]+) ]] || {
        fail "the readers: $line: $(head -n 20 "$WORK/log/storm.err")"
        return
    }
    reads=${BASH_REMATCH[1]} longest=${BASH_REMATCH[2]}
    check_range 'reads' "$reads" "$1" 1000000000
    # What is aimed at is below 200 ms; another load of the machine can stretch it.
    check_range 'the longest wait in us' "$longest" 0 2000000
}

# Every view of the case still tells its container's truth.
check_views() { # PREFIX COUNT
    local i
    for ((i = 0; i < $2; i++)); do
        check_eq "MemTotal of $1$i" "$(memtotal "$1$i")" 262144
    done
}

now_msec() {
    local now=$EPOCHREALTIME
    echo $((${now/./} / 1000))
}

fds_of() { # PID
    find "/proc/$1/fd" -mindepth 1 -maxdepth 1 | wc -l
}

rss_of() { # PID: kB
    awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"
}
