# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153 # set or read in the other files
#
# A daemon that comes up short of files or memory, files of the kernel's that hang, and processes and
# cgroups that are not what they were.

# Processes with their views, without an engine; their pids are in PIDS.
PIDS=()
views_start() { # PREFIX COUNT
    local i ids=()
    for ((i = 0; i < $2; i++)); do
        ids+=("$1$i")
    done
    processes_start "${ids[@]}" || fail 'processes' || return
    PIDS=("${STARTED[@]}")
    for ((i = 0; i < $2; i++)); do
        make_state "$1$i" "${PIDS[i]}" | run_hook
        check_eq "$1$i: the hook" "$HOOK_STATUS$HOOK_ERROR" 0 || return
    done
}

check_process_views() { # PREFIX
    local i
    for ((i = 0; i < ${#PIDS[@]}; i++)); do
        check_eq "MemTotal of $1$i" "$(process_memtotal "${PIDS[i]}")" 65536
    done
}

none_waits() {
    [ "$(status_of waiting 2>/dev/null)" = 0 ]
}

# Lines of the log since the mark.
told() { # PATTERN
    tail -n "+$LOG_MARK" "$WORK/log/sysfsd" | grep -c "$1"
}

log_mark() {
    LOG_MARK=$(($(wc -l <"$WORK/log/sysfsd") + 1))
}

limit_files() { # COUNT
    local daemon
    prlimit -p "$SUPERVISOR" --nofile="$1:"
    ! daemon=$(daemon_pid) || prlimit -p "$daemon" --nofile="$1:"
}

# Everything of the containers is where it was, whether they are taken up or not.
check_nothing_lost() { # WHAT COUNT MOUNTS FDS
    check_eq "$1: containers and those that wait" "$(ctl --json status | jq '.containers + .waiting')" "$2"
    check_eq "$1: records" "$(records)" "$2"
    check_eq "$1: mounts of views" "$(own_mounts)" "$3"
    check_eq "$1: files held" "$(fds_of "$SUPERVISOR")" "$4"
}

# The next daemon may open too few files for all of its containers: it takes up those it can, the others
# wait, and so do their readers, until it may.
case_few_files() { # CONTAINERS
    local base limit count mounts fds first rest pid i readers=() waiting
    base=$(fds_of "$(daemon_pid)")
    views_start few "$1" || return
    exec 7<"/proc/${PIDS[0]}/root/proc/stat"
    IFS= read -r -u 7 -N 30 first
    mounts=$(own_mounts) fds=$(fds_of "$SUPERVISOR")
    limit=$(prlimit -n -o SOFT --noheadings -p "$SUPERVISOR")
    log_mark
    # It would raise its limit, which nobody may lower and raise again without CAP_SYS_RESOURCE.
    inject_into_next -e trace=prlimit64 -e inject=prlimit64:error=EPERM
    # With too few it does not even start, which is tried again as well. A container takes about ten.
    for ((count = base + $1; count < base + $1 * 20; count += 6)); do
        prlimit -p "$SUPERVISOR" --nofile="$count:"
        pid=$(daemon_pid)
        [ -z "$pid" ] || kill -9 "$pid"
        eventually 6 another_answers "$pid" || continue
        [ "$(status_of containers)" = 0 ] || break
    done
    waiting=$(status_of waiting)
    check_range 'containers that wait' "$waiting" 1 "$1" || {
        limit_files "$limit"
        stop_tracer
        return
    }
    check_nothing_lost 'short of files' "$1" "$mounts" "$fds"
    check_range 'lines of the log about them' "$(told 'will be tried again')" "$waiting" 1000
    count=$(told 'will be tried again')
    for pid in "${PIDS[@]}"; do
        timeout 60 awk '/^MemTotal:/ { print $2 }' "/proc/$pid/root/proc/meminfo" >"$WORK/log/few.$pid" &
        readers+=("$!")
    done
    sleep 2
    check_eq 'lines of the log, two seconds later' "$(told 'will be tried again')" "$count"
    i=0
    for pid in "${readers[@]}"; do
        ! kill -0 "$pid" 2>/dev/null || i=$((i + 1))
    done
    check_range 'readers that wait' "$i" 1 "$1"
    # It dies, and the next one is as short of them.
    daemon_replace || fail 'no new daemon'
    check_nothing_lost 'after a kill' "$1" "$mounts" "$fds"
    limit_files "$limit"
    stop_tracer
    eventually 15 none_waits || fail "$(status_of waiting) still wait"
    check_nothing_lost 'in the end' "$1" "$mounts" "$fds"
    check_eq 'views resumed' "$(status_of resumed)" "$1"
    wait "${readers[@]}"
    for pid in "${PIDS[@]}"; do
        check_eq "what the reader that waited got" "$(cat "$WORK/log/few.$pid")" 65536
    done
    rest=$(cat <&7)
    exec 7<&-
    check_match 'a file that was open' "$first$rest" '^cpu  .*softirq [0-9 ]*$'
    note "$1 containers, $waiting waited"
}

# Starts strace on the supervisor: what it starts from now on is traced, itself and its daemon are not
# harmed.
inject_into_next() { # INJECTION...
    strace -f -qq -o "$WORK/log/strace" "$@" -p "$SUPERVISOR" 2>"$WORK/log/strace.err" &
    TRACER=$!
    eventually 5 traced_or_gone "$SUPERVISOR"
}

is_stopped() { # PID
    grep -q '^State:.T' "/proc/$1/status"
}

# A supervisor that is traced from its first system call.
supervisor_start_injected() { # INJECTION...
    bash -c 'kill -STOP $$; exec "$@"' sh \
        "$WORK/bin/sysfsd" --supervise --config "$WORK/sysfsd.conf" --runtime-dir "$WORK/run" >>"$WORK/log/sysfsd" 2>&1 &
    SUPERVISOR=$!
    # Not before it has stopped: it would stop afterwards, for good.
    eventually 10 is_stopped "$SUPERVISOR" || return
    inject_into_next "$@"
    kill -CONT "$SUPERVISOR"
    eventually 20 answers || {
        stop_tracer
        return 1
    }
}

# No memory in the kernel for what the next daemon needs of each container. One is asked while it dies:
# the request outlives both.
case_no_memory() {
    local reader
    hanging_start memory0 || return
    views_start memory 1 || return
    process_start memory1 || fail 'process' || return
    PIDS+=("$PROCESS")
    make_state memory1 "$PROCESS" | run_hook
    log_mark
    hang || return
    awk '/^MemTotal:/ { print $2 }' "/proc/${PIDS[0]}/root/proc/meminfo" >"$WORK/log/reader" &
    reader=$!
    eventually 10 hang_in 1 || fail 'nothing hangs' || return
    inject_into_next -e trace=pidfd_open -e inject=pidfd_open:error=ENOMEM:when=1..5
    daemon_kill
    hang_end
    eventually 10 answers || fail 'no new daemon'
    eventually 10 none_waits || fail 'some still wait'
    stop_tracer
    [ "$CASE_FAILED" = 0 ] || return
    check_eq 'lines of the log' "$(told 'will be tried again: Cannot allocate memory')" 2
    check_eq 'views resumed' "$(status_of resumed)" 2
    eventually 10 is_over "$reader" || fail 'the reader that waited has no answer'
    check_eq 'what it got' "$(cat "$WORK/log/reader")" 65536
    check_process_views memory
    hanging_end

    # The same where views have to be mounted anew.
    kill -9 "$SUPERVISOR" "$(daemon_pid)"
    wait "$SUPERVISOR" 2>/dev/null
    log_mark
    supervisor_start_injected -e trace=mount -e inject=mount:error=ENOMEM:when=1..3 || fail 'no new daemon'
    eventually 10 none_waits || fail 'some still wait'
    eventually 10 has_told 2 'view healed' || fail 'not healed'
    stop_tracer
    check_eq 'lines of the log' "$(told 'will be tried again: Cannot allocate memory')" 2
    check_process_views memory
}

# What is read without being opened, and cannot be made now: an error, and never an empty file.
case_constants_unreadable() {
    local daemon path
    views_start unreadable 1 || return
    daemon=$(daemon_pid)
    strace -f -qq -o "$WORK/log/strace" -e trace=openat,pread64 -e inject=openat,pread64:error=ENOMEM -p "$daemon" 2>"$WORK/log/strace.err" &
    TRACER=$!
    eventually 5 traced_or_gone "$daemon"
    for path in proc/cpuinfo sys/devices/system/cpu/online sys/devices/system/cpu/present; do
        if cat "/proc/${PIDS[0]}/root/$path" >"$WORK/log/text" 2>"$WORK/log/error"; then
            [ -s "$WORK/log/text" ] || fail "/$path is empty"
        else
            check_match "/$path" "$(cat "$WORK/log/error")" 'Cannot allocate memory|Input/output error'
        fi
    done
    stop_tracer
    grep -q INJECTED "$WORK/log/strace" || fail 'no call failed'
    sleep 0.3
    for path in proc/cpuinfo sys/devices/system/cpu/online sys/devices/system/cpu/present; do
        [ -n "$(cat "/proc/${PIDS[0]}/root/$path")" ] || fail "/$path is empty afterwards"
    done
}

has_told() { # COUNT PATTERN
    [ "$(told "$2")" = "$1" ]
}

is_over() { # PID
    ! kill -0 "$1" 2>/dev/null
}

# ---- a file of a cgroup that hangs ----

HANGING=() # "PID FILE"

# In place of the memory.stat of cgroups that are still to be made: reads of it can be made to hang.
hanging_start() { # ID...
    local id file
    HANGING=()
    rm -f "$WORK/gate"
    for id in "$@"; do
        cgroup_make "$TAG/$id"
        file=/sys/fs/cgroup/memory/$TAG/$id/memory.stat
        ! on_v2 || file=/sys/fs/cgroup/$TAG/$id/memory.stat
        : >"$WORK/log/slow-file"
        "$TESTDIR/resume/slow-file" "$file" "$WORK/gate" >>"$WORK/log/slow-file" 2>&1 &
        HANGING+=("$! $file")
        eventually 5 grep -q ready "$WORK/log/slow-file" || fail "$(cat "$WORK/log/slow-file")" || return
    done
}

hanging_end() {
    local pid file entry
    rm -f "$WORK/gate"
    for entry in "${HANGING[@]}"; do
        read -r pid file <<<"$entry"
        umount -l "$file" 2>/dev/null
        kill -9 "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    HANGING=()
}

hang() {
    : >"$WORK/gate" && : >"$WORK/log/slow-file"
}

hang_end() {
    rm -f "$WORK/gate"
}

hang_in() { # COUNT
    [ "$(grep -c hangs "$WORK/log/slow-file")" -ge "$1" ]
}

# p50 and p99 of reading meminfo, in us.
latency() { # PID
    "$TESTDIR/bench/read-latency" 400 2000 "x=/proc/$1/root/proc/meminfo" | awk '{ print int($2 + 1), int($3 + 1) }'
}

# Reads of the cgroups of two containers hang in the kernel: nobody else notices.
case_hang() { # SECONDS
    local begin pid reader second p50 p99 hung_p50 hung_p99 list daemon fds
    daemon=$(daemon_pid)
    hanging_start hang0 hang2 || return
    views_start hang 3 || return
    check_process_views hang
    ctl --json list >/dev/null
    read -r p50 p99 <<<"$(latency "${PIDS[1]}")"
    hang
    begin=$(now_msec)
    awk '/^MemTotal:/ { print $2 }' "/proc/${PIDS[0]}/root/proc/meminfo" >"$WORK/log/reader" &
    reader=$!
    awk '/^MemTotal:/ { print $2 }' "/proc/${PIDS[2]}/root/proc/meminfo" >"$WORK/log/second" &
    second=$!
    eventually 10 hang_in 2 || fail 'nothing hangs'
    read -r hung_p50 hung_p99 <<<"$(latency "${PIDS[1]}")"
    note "reads of another container: p50 $p50 and p99 $p99 us, while two hang $hung_p50 and $hung_p99 us"
    check_range 'p50 while two hang' "$hung_p50" 1 $((5 * p50 + 1000))
    check_range 'p99 while two hang' "$hung_p99" 1 200000
    list=$(timeout 8 "$BINDIR/sysfs-ctl" --runtime-dir "$WORK/run" --json list) || fail 'list'
    check_eq 'list: the one that hangs' "$(jq -c '.containers[] | select(.id == "hang0") | .unanswered' <<<"$list")" true
    check_eq 'list: the other' "$(jq -c '.containers[] | select(.id == "hang1") | .memory_limit_bytes' <<<"$list")" $((64 << 20))
    check_match 'list for people' "$(timeout 8 "$BINDIR/sysfs-ctl" --runtime-dir "$WORK/run" list 2>&1)" $'hang0\t[^\n]*[?]'
    timeout 2 "$BINDIR/sysfs-ctl" --runtime-dir "$WORK/run" status >/dev/null || fail 'status'
    timeout 2 "$BINDIR/sysfs-ctl" --runtime-dir "$WORK/run" inspect hang1 >/dev/null || fail 'inspect of the other'
    check_match 'inspect of the one' "$(timeout 8 "$BINDIR/sysfs-ctl" --runtime-dir "$WORK/run" inspect hang0 2>&1)" 'do not answer'
    process_start hang3 || fail 'process'
    make_state hang3 "$PROCESS" | timeout 5 "$WORK/bin/sysfs-hook" --runtime-dir "$WORK/run" --required || fail 'a registration'
    check_eq 'MemTotal of the new one' "$(process_memtotal "$PROCESS")" 65536
    timeout 5 "$BINDIR/sysfs-ctl" --runtime-dir "$WORK/run" detach hang3 >/dev/null || fail 'an end'
    while [ $(($(now_msec) - begin)) -lt $(($1 * 1000)) ]; do
        sleep 0.2
    done
    kill -0 "$reader" 2>/dev/null || fail 'the reader did not wait'
    check_eq 'the daemon' "$(daemon_pid)" "$daemon"
    check_eq 'warnings of no sign of life' "$(grep -c 'no sign of life' "$WORK/log/sysfsd")" 0
    hang_end
    eventually 5 is_over "$reader" || fail 'the reader has no answer'
    eventually 5 is_over "$second" || fail 'the second reader has no answer'
    check_eq 'what the second got' "$(cat "$WORK/log/second")" 65536
    check_eq 'what it got' "$(cat "$WORK/log/reader")" 65536
    check_eq 'MemTotal afterwards' "$(process_memtotal "${PIDS[0]}")" 65536
    check_eq 'list afterwards' "$(ctl --json list | jq '[.containers[] | select(.unanswered)] | length')" 0
    fds=$(fds_of "$daemon")

    # The container ends while its cgroup hangs.
    hang
    cat "/proc/${PIDS[0]}/root/proc/meminfo" >/dev/null 2>&1 &
    reader=$!
    eventually 10 hang_in 1 || fail 'nothing hangs again'
    kill -9 "${PIDS[0]}"
    eventually 5 is_gone hang0 || fail 'its view or record is left'
    check_eq 'MemTotal of the other' "$(process_memtotal "${PIDS[1]}")" 65536
    check_eq 'containers' "$(timeout 8 "$BINDIR/sysfs-ctl" --runtime-dir "$WORK/run" --json list | jq '.containers | length')" 2
    hang_end
    eventually 5 is_over "$reader" || fail 'its reader waits for ever'
    hanging_end
    check_eq 'the daemon in the end' "$(daemon_pid)" "$daemon"
    eventually 5 fds_at_most "$daemon" "$fds" || fail "the daemon has $(fds_of "$daemon") files open, before: $fds"
}

# A request that ends each daemon that serves it: it costs its reader an answer, and nobody else more than a wait.
case_poisoned() {
    local reader file=/sys/fs/cgroup/memory/$TAG/poison0/memory.stat
    ! on_v2 || file=/sys/fs/cgroup/$TAG/poison0/memory.stat
    views_start poison 2 || return
    inject_into_next -P "$file" -e trace=pread64 -e inject=pread64:signal=KILL
    daemon_replace || fail 'no new daemon'
    log_mark
    timeout 20 cat "/proc/${PIDS[0]}/root/proc/meminfo" >"$WORK/log/reader" 2>&1 &
    reader=$!
    eventually 15 is_over "$reader" || {
        stop_tracer
        fail 'the reader has no answer'
        return
    }
    check_eq 'MemTotal of the other' "$(process_memtotal "${PIDS[1]}")" 65536
    check_match 'what it got' "$(cat "$WORK/log/reader")" 'Input/output error'
    check_eq 'lines of the log' "$(told 'answered with an error: 3 daemons')" 1
    stop_tracer
    check_process_views poison
}

# A container makes and removes triggers as fast as it can: the supervisor hears everything else all the same.
case_trigger_flood() {
    local pid flood
    pressure_start triggers || return
    perl "$HERE/trigger-flood.pl" "$PRESSURE/cpu" 32 >"$WORK/log/flood" 2>&1 &
    flood=$!
    eventually 5 grep -q begun "$WORK/log/flood" || fail "$(cat "$WORK/log/flood")"
    sleep 0.5
    process_start late || fail 'process'
    make_state late "$PROCESS" | timeout 5 "$WORK/bin/sysfs-hook" --runtime-dir "$WORK/run" --required || fail 'a registration'
    pid=$(daemon_pid)
    kill -HUP "$SUPERVISOR"
    eventually 10 another_answers "$pid" || fail 'an upgrade is not heard'
    kill "$flood"
    wait "$flood" 2>/dev/null
    note "$(tail -n 1 "$WORK/log/flood")"
}

# Only root can send to the supervisor's socket, and is not heard: nor does it keep the supervisor from anything.
case_message_flood() {
    local i pid address flood=()
    # shellcheck disable=SC2016 # perl's
    local program='
        socket my $socket, AF_UNIX, SOCK_DGRAM, 0 or die "socket: $!\n";
        connect $socket, pack_sockaddr_un($ARGV[0]) or die "connect: $!\n";
        my ($count, $end) = (0, 0);
        $SIG{TERM} = sub { $end = 1 };
        $count++ while !$end && defined send $socket, "FDSTOREREMOVE=1\nFDNAME=$ARGV[1]", 0;
        print "$count\n"'
    views_start flooded 1 || return
    pid=$(daemon_pid)
    address=$(tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^NOTIFY_SOCKET=//p')
    check_match 'anybody who sends' \
        "$(timeout 10 setpriv --reuid 65534 --clear-groups perl -MSocket -e "$program" "$address" x 2>&1)" '^connect: Permission denied$'
    for i in 1 2 3 4; do
        perl -MSocket -e "$program" "$address" "$(printf 'v%x' "$(jq -r .number "$WORK/run/containers/flooded0.json")")" \
            >"$WORK/log/flood.$i" 2>&1 &
        flood+=($!)
    done
    sleep 0.5
    daemon_kill
    eventually 10 another_answers "$pid" || fail 'no new daemon'
    check_eq 'views resumed' "$(status_of resumed)" 1
    pid=$(daemon_pid)
    kill -HUP "$SUPERVISOR"
    eventually 10 another_answers "$pid" || fail 'an upgrade is not heard'
    # The next supervisor has a socket of its own.
    kill "${flood[@]}" 2>/dev/null
    wait "${flood[@]}" 2>/dev/null
    note "messages sent: $(cat "$WORK"/log/flood.* | paste -sd ' ')"
    check_match 'the least of them' "$(sort -n "$WORK"/log/flood.* | head -n 1)" '^[0-9]{4,}$'
    check_process_views flooded
}

fds_at_most() { # PID COUNT
    [ "$(fds_of "$1")" -lt "$2" ]
}

# The name of a cgroup that is no UTF-8: the next daemon knows it all the same. The process has left it
# meanwhile, so only the record tells.
case_odd_cgroup() {
    local dir name=$'odd\377\303(\'"'
    process_start "$name" || fail 'process' || return
    make_state odd "$PROCESS" | run_hook
    check_eq 'the hook' "$HOOK_STATUS$HOOK_ERROR" 0 || return
    check_eq 'MemTotal' "$(process_memtotal "$PROCESS")" 65536
    cgroup_make "$TAG/elsewhere"
    set_memory "$TAG/elsewhere" $((32 << 20))
    kill -STOP "$SUPERVISOR"
    daemon_kill
    for dir in $(cgroup_dirs "$TAG/elsewhere"); do
        echo "$PROCESS" >"$dir/cgroup.procs"
    done
    kill -CONT "$SUPERVISOR"
    eventually 10 answers || fail 'no new daemon'
    check_eq 'views resumed' "$(status_of resumed)" 1
    check_eq 'MemTotal after a restart' "$(process_memtotal "$PROCESS")" 65536
    timeout 5 "$BINDIR/sysfs-ctl" --runtime-dir "$WORK/run" inspect odd >/dev/null || fail 'inspect'
    ctl detach odd >/dev/null || fail 'detach'
    process_end "$PROCESS" elsewhere
    PROCESSES=()
    cgroup_remove "$TAG/$name"
}

# Another process has the number of a container's init by the time a daemon looks.
case_pid_reused() {
    local pid other
    views_start reused 2 || return
    pid=${PIDS[0]}
    kill -STOP "$SUPERVISOR"
    daemon_kill
    kill -9 "$pid"
    eventually 5 test ! -e "/proc/$pid" || fail 'it does not end'
    perl "$HERE/as-pid.pl" "$pid" sleep 1000 &
    other=$!
    eventually 5 grep -qs '^sleep' "/proc/$pid/comm" || fail "no other process got the number: $pid"
    kill -CONT "$SUPERVISOR"
    eventually 10 answers || fail 'no new daemon'
    check_eq 'containers' "$(ctl --json list | jq -r '[.containers[].id] | join(" ")')" reused1
    is_gone reused0 || fail 'its view or record is left'
    kill "$other" 2>/dev/null
    kill -9 "$pid"
    wait "$other" 2>/dev/null
    check_eq 'MemTotal of the other' "$(process_memtotal "${PIDS[1]}")" 65536
}

# The cgroup of a container is removed while all its files are read: errors or its numbers, never the
# host's, and nobody hangs.
case_cgroup_removed_under_readers() {
    local dir reader got=0
    views_start removed 2 || return
    cgroup_make "$TAG/elsewhere"
    (
        while :; do
            process_memtotal "${PIDS[0]}" 2>/dev/null || echo error
        done
    ) >"$WORK/log/reader" &
    reader=$!
    storm_begin 2 "/proc/${PIDS[1]}/root"
    sleep 0.3
    for dir in $(cgroup_dirs "$TAG/elsewhere"); do
        echo "${PIDS[0]}" >"$dir/cgroup.procs"
    done
    cgroup_remove "$TAG/removed0"
    eventually 5 is_gone removed0 || fail 'its view or record is left'
    sleep 0.3
    kill "$reader" && wait "$reader" 2>/dev/null
    got=$(sort "$WORK/log/reader" | uniq -c | awk '{ printf " %s x %s,", $1, $2 }')
    note "MemTotal meanwhile:${got%,}"
    check_eq "MemTotal that is neither its own nor an error" "$(grep -c -v -x -e 65536 -e error "$WORK/log/reader")" 0
    storm_end 10
    PROCESSES+=("${PIDS[0]} elsewhere")
}

starve_cases() {
    run_case few-files case_few_files 8
    run_case no-memory case_no_memory
    run_case constants-unreadable case_constants_unreadable
    run_case poisoned case_poisoned
    run_case trigger-flood case_trigger_flood
    run_case message-flood case_message_flood
    run_case hang case_hang "${SYSFSD_TEST_HANG_SECONDS:-12}"
    run_case odd-cgroup case_odd_cgroup
    run_case pid-reused case_pid_reused
    run_case cgroup-removed-under-readers case_cgroup_removed_under_readers
}
