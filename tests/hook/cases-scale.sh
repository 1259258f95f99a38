# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153 # set or read in the other files
#
# Many containers, hostile clients, and a daemon with nothing to do.

milliseconds() {
    local now=$EPOCHREALTIME
    echo $((${now/./} / 1000))
}

daemon_fds() {
    find "/proc/$DAEMON/fd" -mindepth 1 -maxdepth 1 | wc -l
}

daemon_rss() { # kB
    awk '/^VmRSS:/ { print $2 }' "/proc/$DAEMON/status"
}

none_left() { # FDS
    [ "$(records)" = 0 ] && [ "$(own_mounts)" = 0 ] && [ "$(daemon_fds)" -le "$1" ]
}

# Registers and ends some; every second one by poststop, the others by their process's end alone.
come_and_go() { # ID...
    local i id pid pids
    processes_start "$@" || return 1
    pids=("${STARTED[@]}")
    for ((i = 0; i < $#; i++)); do
        id=${*:i+1:1} pid=${pids[i]}
        make_state "$id" "$pid" >"$WORK/states/$id"
        run_hook <"$WORK/states/$id"
        check_eq "$id: the hook" "$HOOK_STATUS$HOOK_ERROR" 0 || return 1
        check_eq "$id: MemTotal" "$(process_memtotal "$pid")" 65536 || return 1
    done
    for ((i = 0; i < $#; i++)); do
        id=${*:i+1:1} pid=${pids[i]}
        process_end "$pid" "$id"
        if [ $((i % 2)) = 0 ]; then
            sed 's/creating/stopped/' "$WORK/states/$id" | run_hook
            check_eq "$id: poststop" "$HOOK_STATUS$HOOK_ERROR" 0 || return 1
        fi
        rm -rf "${WORK:?}/states/$id" "${WORK:?}/bundles/$id"
    done
    PROCESSES=()
}

case_many_come_and_go() { # COUNT, a multiple of 10
    local i fds rss
    come_and_go warm{0..19} || return # what is allocated once
    eventually 10 test "$(records)" = 0 || fail 'records of the first 20 are left'
    sleep 1
    fds=$(daemon_fds) rss=$(daemon_rss)
    for ((i = 0; i < $1; i += 10)); do
        come_and_go "many$i"-{0..9} || return
    done
    eventually 10 none_left "$fds" ||
        fail "left: $(records) records, $(own_mounts) mounts, $(daemon_fds) fds (before: $fds)"
    check_eq 'directories of views' "$(find "$WORK/run/views" "$WORK/run/constants" -mindepth 1 | wc -l)" 0
    check_range 'growth of RSS in kB' $(($(daemon_rss) - rss)) -100000 1024
    note "$1 containers: fds $fds -> $(daemon_fds), RSS $rss -> $(daemon_rss) kB"
}

register_many() { # PREFIX COUNT
    local i ids=()
    for ((i = 0; i < $2; i++)); do
        ids+=("$1$i")
    done
    # All processes first: their mount namespaces are copies of ours, views included.
    processes_start "${ids[@]}" || return 1
    for ((i = 0; i < $2; i++)); do
        make_state "$1$i" "${STARTED[i]}" | run_hook
        check_eq "$1$i: the hook" "$HOOK_STATUS$HOOK_ERROR" 0 || return 1
    done
}

case_rest() { # COUNT
    command -v strace >/dev/null || {
        skip 'strace is not there'
        return
    }
    register_many rest "$1" || return
    check_eq 'records' "$(records)" "$1"
    sleep 2
    timeout 10 strace -f -o "$WORK/log/strace" -p "$DAEMON" 2>"$WORK/log/strace.err"
    grep -q 'attached' "$WORK/log/strace.err" || {
        skip "strace cannot attach: $(head -n 1 "$WORK/log/strace.err")"
        return
    }
    # A call that was under way all the time has no result.
    local calls
    calls=$(grep -E ' = -?[0-9?]' "$WORK/log/strace" | head -n 5)
    check_eq 'system calls in 10 s' "$calls" ''
    note "$1 containers at rest: RSS $(daemon_rss) kB, fds $(daemon_fds)"
}

case_adversary() {
    local pid start took fds
    process_start victim || fail 'no process' || return
    fds=$(daemon_fds)
    perl "$HERE/adversary.pl" attack "$WORK/run/control.sock" 20 &
    pid=$!
    sleep 1
    make_state victim "$PROCESS" >"$WORK/states/victim"
    start=$(milliseconds)
    run_hook --required <"$WORK/states/victim"
    took=$(($(milliseconds) - start))
    check_eq 'the hook' "$HOOK_STATUS$HOOK_ERROR" 0
    check_range 'milliseconds of a registration under attack' "$took" 0 1500
    check_eq 'MemTotal' "$(process_memtotal "$PROCESS")" 65536
    note "registration under attack: $took ms"
    # Peers that do nothing or send half a frame are cut off in 5 s.
    wait "$pid"
    check_eq 'what the attacker saw' $? 0
    kill -0 "$DAEMON" || fail 'the daemon is gone'
    sed 's/creating/stopped/' "$WORK/states/victim" | run_hook
    eventually 10 none_left "$fds" || fail "fds: $(daemon_fds), before: $fds"
}

scale_cases() {
    local many=${SYSFSD_TEST_MANY:-500} rest=${SYSFSD_TEST_REST:-100}
    run_case scale-adversary case_adversary
    run_case scale-come-and-go case_many_come_and_go "$many"
    run_case scale-at-rest case_rest "$rest"
}
