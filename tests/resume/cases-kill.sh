# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153 # set or read in the other files
#
# The daemon is killed, exchanged, lost: what containers notice of it.

# Readers of every file while the daemon is killed again and again.
case_storm() { # KILLS
    local i before
    containers_run storm 3 || return
    before=$(status_of restarts)
    storm_begin 8 "${ROOTS[@]}"
    for ((i = 0; i < $1; i++)); do
        sleep "0.$((RANDOM % 15 + 5))"
        daemon_kill || sleep 0.1
    done
    sleep 0.3
    eventually 10 answers || fail 'no daemon answers'
    storm_end 5000
    check_views storm 3
    check_range 'restarts' $(($(status_of restarts) - before)) $(($1 / 2)) "$1"
    check_eq 'views resumed by the last' "$(status_of resumed)" 3
    check_eq 'open files that are left' "$(ctl --json inspect storm0 | jq -r .id)" storm0
}

# Another build of the program, and SIGHUP: both processes are new.
case_upgrade() { # TIMES
    local i pid
    containers_run upgrade 2 || return
    storm_begin 4 "${ROOTS[@]}"
    # While a package is being exchanged the file may not be there.
    pid=$(daemon_pid)
    mv "$WORK/bin/sysfsd" "$WORK/bin/sysfsd.away"
    kill -HUP "$SUPERVISOR"
    sleep 0.2
    check_eq 'the daemon, without a file to execute' "$(daemon_pid)" "$pid"
    mv "$WORK/bin/sysfsd.away" "$WORK/bin/sysfsd"
    for ((i = 0; i < $1; i++)); do
        sleep 0.4
        pid=$(daemon_pid)
        if [ $((i % 2)) = 0 ]; then
            strip -o "$WORK/bin/sysfsd.new" "$SBINDIR/sysfsd"
        else
            cp "$SBINDIR/sysfsd" "$WORK/bin/sysfsd.new"
        fi
        mv "$WORK/bin/sysfsd.new" "$WORK/bin/sysfsd"
        kill -HUP "$SUPERVISOR"
        eventually 10 another_answers "$pid" || fail "upgrade $i: no new daemon"
        cmp -s "/proc/$(daemon_pid)/exe" "$WORK/bin/sysfsd" || fail "upgrade $i: not the new build"
    done
    storm_end 1000
    check_views upgrade 2
}

# A file that cannot be executed, for an upgrade: nothing is ended for it, and a daemon that dies all the
# same gets another one.
case_bad_upgrade() {
    local pid held
    containers_run bad 2 || return
    held=$(fds_of "$SUPERVISOR")
    log_mark
    pid=$(daemon_pid)
    echo 'no program' >"$WORK/bin/sysfsd.new"
    bad_file 'no format'
    head -c 30000 "$SBINDIR/sysfsd" >"$WORK/bin/sysfsd.new"
    bad_file 'the first half'
    # Found good, and exchanged in the moment after.
    printf '#!/bin/sh\nmv %s/bin/sysfsd.later %s/bin/sysfsd\n' "$WORK" "$WORK" >"$WORK/bin/sysfsd.new"
    echo 'no program' >"$WORK/bin/sysfsd.later" && chmod 755 "$WORK/bin/sysfsd.later"
    chmod 755 "$WORK/bin/sysfsd.new" && mv "$WORK/bin/sysfsd.new" "$WORK/bin/sysfsd"
    kill -HUP "$SUPERVISOR"
    eventually 5 another_answers "$pid" || fail 'no new daemon after an exec that failed'
    check_eq 'lines of the log' "$(told 'cannot execute .* anew: Exec format error')" 1
    check_eq 'files held after an exec that failed' "$(fds_of "$SUPERVISOR")" "$held"
    check_views bad 2
    # And it is all of its own: the end of a container ends its connection.
    exec 7<"${ROOTS[0]}/proc/stat"
    container_delete runc bad0
    eventually 5 holds_at_most $((held - 2)) || fail "the supervisor holds $(fds_of "$SUPERVISOR") files, before: $held"
    check_match 'a file of a container that has ended' "$(timeout 5 head -c 1 <&7 2>&1)" 'not connected'
    exec 7<&-
    cp "$SBINDIR/sysfsd" "$WORK/bin/sysfsd.new" && mv "$WORK/bin/sysfsd.new" "$WORK/bin/sysfsd"
    pid=$(daemon_pid)
    kill -HUP "$SUPERVISOR"
    eventually 10 another_answers "$pid" || fail 'no new daemon'
    cmp -s "/proc/$(daemon_pid)/exe" "$WORK/bin/sysfsd" || fail 'not the new build'
    check_eq 'MemTotal afterwards' "$(memtotal bad1)" 262144
}

# In place of the program; the daemon before it has $pid.
bad_file() { # WHAT
    chmod 755 "$WORK/bin/sysfsd.new" && mv "$WORK/bin/sysfsd.new" "$WORK/bin/sysfsd"
    kill -HUP "$SUPERVISOR"
    sleep 0.5
    check_eq "$1: the daemon" "$(daemon_pid)" "$pid"
    daemon_kill
    eventually 10 another_answers "$pid" || fail "$1: no new daemon after a kill"
    pid=$(daemon_pid)
    check_views bad 2
}

# A file that was open, half read, goes on where it was; a descriptor that is rewound gets a new text.
case_open_file() {
    local pid first rest whole
    containers_run open 1 || return
    exec 7<"${ROOTS[0]}/proc/stat"
    IFS= read -r -u 7 -N 30 first
    daemon_replace || fail 'no new daemon'
    rest=$(cat <&7)
    exec 7<&-
    whole=$(cat "${ROOTS[0]}/proc/stat")
    check_match 'what was read before and after' "$first$rest" '^cpu  .*softirq [0-9 ]*$'
    check_eq 'lines' "$(printf '%s' "$first$rest" | wc -l)" "$(printf '%s' "$whole" | wc -l)"
}

# A process whose view has pressure files, in $PRESSURE.
pressure_start() { # ID
    ! grep -q ' /sys/fs/cgroup/unified cgroup2 ' /proc/self/mounts || mkdir -p "/sys/fs/cgroup/unified/$TAG/$1"
    process_start "$1" || fail 'process' || return
    make_state "$1" "$PROCESS" | run_hook
    check_eq 'the hook' "$HOOK_STATUS$HOOK_ERROR" 0 || return
    PRESSURE=$WORK/run/views/$1/proc/pressure
    [ -e "$PRESSURE/memory" ] || {
        skip 'a container has no pressure here'
        return 1
    }
}

# Triggers that are armed outlive the daemon, and not their container, whose files are still open when it ends.
case_triggers() {
    local fds
    pressure_start triggers || return
    fds=$(fds_of "$SUPERVISOR")
    exec 7<>"$PRESSURE/cpu" 8<>"$PRESSURE/memory"
    printf 'some 20000 2000000\0' >&7
    printf 'some 20000 2000000\0' >&8
    eventually 5 holds $((fds + 2)) || fail "with two triggers the supervisor holds $(fds_of "$SUPERVISOR") files, before: $fds"
    daemon_replace || fail 'no new daemon'
    check_eq 'files the supervisor holds for the next daemon' "$(fds_of "$SUPERVISOR")" $((fds + 2))
    ctl detach triggers >/dev/null || fail 'detach'
    eventually 5 holds $((fds - 2)) || fail "after the end the supervisor holds $(fds_of "$SUPERVISOR") files, with the view: $fds"
    exec 7>&- 8>&-
}

holds() { # FDS
    [ "$(fds_of "$SUPERVISOR")" = "$1" ]
}

# A container with an armed trigger is not taken up by the next daemon, after its trigger was.
not_taken_up() { # ID HOW-OFTEN (of strace: "", "+")
    local nth
    pressure_start "$1" || return
    exec 7<>"$PRESSURE/cpu"
    printf 'some 20000 2000000\0' >&7
    # Which call it is that fails: of the main thread, the first for a connection.
    inject_into_next -e trace=epoll_ctl
    daemon_replace || fail 'no new daemon'
    nth=$(awk -v pid="$(daemon_pid)" '$1 == pid { n++ } /EPOLLONESHOT/ { print n; exit }' "$WORK/log/strace")
    stop_tracer
    check_match 'the call that is to fail' "$nth" '^[1-9][0-9]*$' || return
    log_mark
    inject_into_next -e trace=epoll_ctl -e inject="epoll_ctl:error=ENOMEM:when=$nth$2"
    daemon_kill
    eventually 10 answers || fail 'no new daemon'
}

# It ends before it is: nobody holds the trigger any more.
case_triggers_never() {
    local fds pid
    fds=$(fds_of "$SUPERVISOR")
    not_taken_up never + || return
    check_eq 'containers that wait' "$(status_of waiting)" 1
    pid=$(daemon_pid)
    kill -9 "$PROCESS"
    eventually 20 none_waits || fail 'it waits for ever'
    stop_tracer
    check_eq 'pressure files of the daemon' "$(find "/proc/$pid/fd" -lname '*.pressure' | wc -l)" 0
    eventually 5 holds "$fds" || fail "the supervisor holds $(fds_of "$SUPERVISOR") files, before: $fds"
    exec 7>&-
}

# It is a moment later: the trigger is still armed.
case_triggers_later() {
    not_taken_up later '' || return
    eventually 10 none_waits || fail 'it waits for ever'
    stop_tracer
    check_eq 'lines of the log' "$(told 'will be tried again: Cannot allocate memory')" 1
    check_eq 'views resumed' "$(status_of resumed)" 1
    # poll(2) of a file without a trigger has an error at once.
    check_eq 'the trigger' "$(perl -MIO::Poll=POLLPRI,POLLERR -e '
        open my $file, "<&=7" or die; my $poll = IO::Poll->new; $poll->mask($file => POLLPRI);
        $poll->poll(0.3); print $poll->events($file) & POLLERR ? "gone" : "armed"' 7<&7)" armed
    exec 7>&-
}

# Counters go on: none jumps back, and loads are not seeded anew.
case_monotonic() {
    local id=mono busy i stat last=0 up last_up=0 load
    bundle_defaults
    B_INIT='["/bin/sh","-c","while :; do : ; done"]'
    container_run runc $id || fail "$(cat "$WORK/log/$id")" || return
    load=$(inside $id /proc/loadavg | cut -d' ' -f3)
    for ((i = 0; i < 6; i++)); do
        stat=$(inside $id /proc/stat | awk '/^cpu / { print $2 + $4 + $5 + $9 }')
        up=$(inside $id /proc/uptime | cut -d' ' -f1 | tr -d .)
        busy=$(inside $id /proc/stat | awk '/^cpu / { print $2 + $4 }')
        [ "$stat" -ge "$last" ] || fail "the CPU times went from $last to $stat"
        [ "$up" -ge "$last_up" ] || fail "the uptime went from $last_up to $up"
        last=$stat last_up=$up
        daemon_replace || fail 'no new daemon'
    done
    check_range 'busy ticks' "$busy" 20 1000000
    check_eq 'load of 15 minutes' "$(inside $id /proc/loadavg | cut -d' ' -f3)" "$load"
}

# Supervisor and daemon and all they held are gone: the next one makes the views anew.
case_total_loss() {
    local daemon
    containers_run loss 3 || return
    daemon=$(daemon_pid)
    kill -9 "$SUPERVISOR" "$daemon"
    wait "$SUPERVISOR" 2>/dev/null
    cat "${ROOTS[0]}/proc/meminfo" >/dev/null 2>&1 && fail 'a view without a daemon can be read'
    supervisor_start || fail 'no new daemon' || return
    check_eq 'views healed' "$(status_of healed)" 3
    eventually 10 all_healed || fail "healed: $(memtotal loss0), $(memtotal loss1), $(memtotal loss2)"
    check_eq 'mounts of views in a container' \
        "$(grep -c 'fuse[.]sysfsd' "${ROOTS[0]%/root}/mountinfo")" "$(grep -c 'fuse[.]sysfsd' "${ROOTS[1]%/root}/mountinfo")"
    grep -q 'view healed' "$WORK/log/sysfsd" || fail 'the log does not say so'
    ctl detach loss0 || fail 'detach'
    check_eq 'MemTotal after detach' "$(memtotal loss0)" "$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)"
}

# SIGTERM, as whoever started the supervisor ends it: the next one makes the views anew. SIGINT: nothing is left.
case_supervisor_ended() {
    containers_run loss 3 || return
    supervisor_end TERM
    cat "${ROOTS[0]}/proc/meminfo" >/dev/null 2>&1 && fail 'a view without a daemon can be read'
    supervisor_start || fail 'no new daemon' || return
    check_eq 'views healed' "$(status_of healed)" 3
    eventually 10 all_healed || fail "healed: $(memtotal loss0), $(memtotal loss1), $(memtotal loss2)"
    supervisor_end INT
    check_eq 'records, mounts after SIGINT' "$(records) $(own_mounts)" '0 0'
    supervisor_start || fail 'no new daemon' || return
    check_eq 'containers after SIGINT' "$(status_of containers)" 0
}

# SIGINT when the daemon has just died, when there is none, and while the next one starts: it is another one that ends the views.
case_supervisor_ended_between() {
    local delay first pid
    for delay in 0 0.005 0.01 0.02 0.04 0.08; do
        views_start between 2 || return
        kill -STOP "$SUPERVISOR"
        kill -9 "$(daemon_pid)"
        if [ "$delay" = 0 ]; then
            kill -INT "$SUPERVISOR" # it hears of both at once
        else
            kill -CONT "$SUPERVISOR"
        fi
        sleep "$delay"
        supervisor_end INT
        check_eq "records, mounts after SIGINT $delay s after the death" "$(records) $(own_mounts)" '0 0'
        delete_all
        supervisor_start || fail 'no new daemon' || return
    done
    for first in HUP TERM; do # either ends the daemon, and leaves the views
        views_start between 2 || return
        pid=$SUPERVISOR
        [ $first = HUP ] || pid=$(daemon_pid)
        kill -$first "$pid"
        kill -INT "$SUPERVISOR"
        wait "$SUPERVISOR"
        SUPERVISOR=''
        check_eq "records, mounts after SIGINT behind SIG$first" "$(records) $(own_mounts)" '0 0'
        delete_all
        supervisor_start || fail 'no new daemon' || return
    done
}

# A second one on the same runtime directory; another one that only has to wait until a daemon has ended.
case_second_supervisor() {
    local status daemon
    timeout 10 "$WORK/bin/sysfsd" --superv --config "$WORK/sysfsd.conf" --runtime-dir "$WORK/run" 2>"$WORK/log/second"
    status=$?
    check_eq 'its exit status' "$status" 1
    check_eq 'lines that are no "another sysfsd"' "$(grep -c -v 'another sysfsd' "$WORK/log/second")" 1
    check_match 'its error' "$(cat "$WORK/log/second")" "another sysfsd .pid $(daemon_pid).* serves $WORK/run"
    answers || fail 'the first one does not answer'
    daemon=$(daemon_pid)
    kill -STOP "$SUPERVISOR"
    "$WORK/bin/sysfsd" --supervise --config "$WORK/sysfsd.conf" --runtime-dir "$WORK/run" >>"$WORK/log/sysfsd" 2>&1 &
    status=$!
    sleep 0.5
    kill -9 "$daemon" "$SUPERVISOR"
    wait "$SUPERVISOR" 2>/dev/null
    SUPERVISOR=$status
    eventually 10 answers || fail 'no new daemon'
    [ "$(daemon_pid)" != "$daemon" ] || fail 'the old daemon'
}

all_healed() {
    [ "$(memtotal loss0 2>/dev/null)$(memtotal loss1 2>/dev/null)$(memtotal loss2 2>/dev/null)" = 262144262144262144 ]
}

# All is lost as above, and the next daemon is started with INJECTION.
loss_begin() { # INJECTION...
    kill -9 "$SUPERVISOR" "$(daemon_pid)"
    wait "$SUPERVISOR" 2>/dev/null
    log_mark
    supervisor_start_injected "$@" || fail 'no new daemon'
}

# The daemon is killed before it has attached the views that it made anew, or those of containers that
# started without one: the next one, to which nothing is lost, does it.
case_heal_interrupted() { # KILL or HUP
    containers_run loss 3 || return
    loss_begin -e trace=pipe2 -e inject=pipe2:delay_enter=30000000:when=1 || return
    check_eq 'views healed' "$(status_of healed)" 3
    grep -q attach_due "$WORK/run/containers/loss0.json" || fail 'the record does not say what is due'
    heal_interrupt "$1" || return
    check_eq 'views resumed' "$(status_of resumed)" 3
    eventually 10 all_healed || fail "healed: $(memtotal loss0), $(memtotal loss1), $(memtotal loss2)"
    eventually 5 none_due || fail "still due: $(grep -l attach_due "$WORK"/run/containers/*)"
    # And a third one has nothing to do.
    daemon_replace || fail 'no new daemon'
    check_eq 'views healed by the third' "$(status_of healed)" 0
    check_eq 'mounts of views in a container' \
        "$(grep -c 'fuse[.]sysfsd' "${ROOTS[0]%/root}/mountinfo")" "$(grep -c 'fuse[.]sysfsd' "${ROOTS[1]%/root}/mountinfo")"
}

case_adoption_interrupted() {
    supervisor_end
    containers_run without 1 || return
    supervisor_start_injected -e trace=pipe2 -e inject=pipe2:delay_enter=30000000:when=1 || fail 'no daemon' || return
    check_eq 'notes that are left' "$(find "$WORK/run/pending" -mindepth 1 | wc -l)" 0
    heal_interrupt KILL || return
    eventually 10 has_its_own without0 || fail "MemTotal is $(memtotal without0)"
    eventually 5 none_due || fail 'it is still due'
}

heal_interrupt() { # KILL, or HUP: an upgrade
    local before
    before=$(daemon_pid)
    if [ "$1" = KILL ]; then
        kill -9 "$before"
        stop_tracer
    else
        kill -HUP "$SUPERVISOR"
        sleep 0.2
        stop_tracer # the daemon does not end before the thread that sleeps in the tracer's hands
    fi
    eventually 10 another_answers "$before" || fail 'no new daemon'
}

none_due() {
    ! grep -q attach_due "$WORK"/run/containers/*.json
}

# No file to be had for the attaching: it is tried again, but not for a container that has ended.
case_heal_again() {
    containers_run loss 4 || return
    loss_begin -e trace=pipe2 -e inject=pipe2:error=EMFILE || return
    eventually 10 has_told 4 'will try again: .*Too many open files' || fail 'nobody said so'
    container_delete runc loss3
    sleep 2
    check_eq 'lines of the log, after more tries' "$(told 'cannot attach')" 4
    stop_tracer
    eventually 10 all_healed || fail "healed: $(memtotal loss0), $(memtotal loss1), $(memtotal loss2)"
    eventually 5 none_due || fail 'they are still due'
}

# Attaching hangs in a file system of the container's, which ends: what hung is not left when it ends at last.
case_heal_left() {
    local child
    views_start left 1 || return
    : >"$WORK/log/slow-file"
    nsenter -m -t "${PIDS[0]}" "$TESTDIR/resume/slow-file" /proc/swaps "$WORK/gate" >>"$WORK/log/slow-file" 2>&1 &
    HANGING=("$! /none") # its mount ends with the container
    eventually 5 grep -q ready "$WORK/log/slow-file" || fail "$(cat "$WORK/log/slow-file")" || return
    hang
    kill -9 "$SUPERVISOR" "$(daemon_pid)"
    wait "$SUPERVISOR" 2>/dev/null
    log_mark
    supervisor_start || fail 'no new daemon' || return
    eventually 10 has_told 1 'cannot attach the view again now, and will try again: .*left0' || fail 'nobody said so'
    child=$(ps --ppid "$(daemon_pid)" -o pid=,stat= | awk '$2 ~ /^D/ { print $1 }')
    check_match 'the process that hangs' "$child" '^[0-9]+$' || return
    kill -9 "${PIDS[0]}"
    eventually 5 is_gone left0 || fail 'its view or record is left'
    sleep 1
    hang_end
    eventually 10 is_over "$child" || fail "it is left: $(ps -o stat= "$child")"
}

# One of its two connections is gone: the next daemon makes that one anew, and nothing else changes.
case_constants_lost() {
    local first rest
    containers_run lost 1 || return
    exec 7<"${ROOTS[0]}/proc/stat"
    IFS= read -r -u 7 -N 30 first
    mkdir -p "$WORK/fusectl" && mount -t fusectl fusectl "$WORK/fusectl" || fail 'fusectl' || return
    echo 1 >"$WORK/fusectl/$(stat -c %Ld "$WORK/run/constants/lost0")/abort"
    umount "$WORK/fusectl"
    sleep 0.2
    inside lost0 /proc/cpuinfo >/dev/null 2>&1 && fail 'a file without a connection can be read'
    check_eq 'MemTotal meanwhile' "$(memtotal lost0)" 262144
    daemon_replace || fail 'no new daemon'
    eventually 10 has_cpus lost0 2 || fail "CPUs afterwards: $(cpus lost0 2>&1)"
    check_eq 'MemTotal' "$(memtotal lost0)" 262144
    check_eq 'views resumed' "$(status_of resumed)" 1
    rest=$(cat <&7)
    exec 7<&-
    check_match 'the file that was open' "$first$rest" '^cpu  .*softirq [0-9 ]*$'
    # And over the next death as any other.
    daemon_replace || fail 'no new daemon'
    check_eq 'CPUs' "$(cpus lost0)" 2
    ctl detach lost0 >/dev/null || fail 'detach'
    check_eq 'mounts of views in the container' "$(grep -c "$WORK/run/.*fuse[.]sysfsd\|/proc/cpuinfo .*fuse[.]sysfsd" "${ROOTS[0]%/root}/mountinfo")" 0
}

has_cpus() { # ID COUNT
    [ "$(cpus "$1" 2>/dev/null)" = "$2" ]
}

# A container that ends while no daemon runs leaves nothing.
case_gone_meanwhile() {
    containers_run gone 2 || return
    kill -STOP "$SUPERVISOR"
    kill -9 "$(daemon_pid)"
    container_delete runc gone0
    kill -CONT "$SUPERVISOR"
    eventually 10 answers || fail 'no new daemon'
    eventually 10 is_gone gone0 || fail 'its view or record is left'
    check_eq 'MemTotal of the other' "$(memtotal gone1)" 262144
}

# A process that left its cgroup, which was removed while no daemon ran: no view, and never the host's.
case_cgroup_gone_meanwhile() {
    local dir
    process_start moved || fail 'process' || return
    make_state moved "$PROCESS" | run_hook
    check_eq 'the hook' "$HOOK_STATUS$HOOK_ERROR" 0
    cgroup_make "$TAG/elsewhere"
    kill -STOP "$SUPERVISOR"
    kill -9 "$(daemon_pid)"
    for dir in $(cgroup_dirs "$TAG/elsewhere"); do
        echo "$PROCESS" >"$dir/cgroup.procs"
    done
    cgroup_remove "$TAG/moved"
    kill -CONT "$SUPERVISOR"
    eventually 10 answers || fail 'no new daemon'
    eventually 5 is_gone moved || fail 'its view or record is left'
    PROCESSES+=("$PROCESS elsewhere")
}

# Containers that start while no daemon runs get their views from the next one.
case_started_without() {
    supervisor_end
    containers_run without 2 || return
    check_eq 'MemTotal without a daemon' "$(memtotal without0)" "$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)"
    container_delete runc without1
    echo garbage >"$WORK/run/pending/x.json"
    supervisor_start || fail 'no daemon' || return
    eventually 10 has_its_own without0 || fail "MemTotal with a daemon is $(memtotal without0)"
    check_eq 'containers' "$(ctl --json list | jq -r '[.containers[].id] | join(" ")')" without0
    check_eq 'notes that are left' "$(find "$WORK/run/pending" -mindepth 1 | wc -l)" 0
    container_delete runc without0
    eventually 5 is_gone without0 || fail 'its view or record is left'
}

has_its_files() { # PID
    [ "$(process_memtotal "$1")" = 65536 ]
}

note_of() { # ID
    [ -e "$WORK/run/pending/$1.json" ]
}

no_notes() {
    [ -z "$(find "$WORK/run/pending" -mindepth 1)" ]
}

# Nobody refuses a hook while no daemon runs: its supervisor holds the socket. It leaves a note all the
# same.
case_unanswered() {
    process_start unanswered || fail 'process' || return
    kill -STOP "$SUPERVISOR"
    daemon_kill
    make_state unanswered "$PROCESS" | run_hook --timeout 1
    check_match 'the hook' "$HOOK_STATUS$HOOK_ERROR" '^0.*until a daemon answers'
    note_of unanswered || fail 'no note'
    echo '{' >"$WORK/run/pending/.other.json.0123456789abcdef" # another hook is about to leave one
    kill -CONT "$SUPERVISOR"
    eventually 10 has_its_files "$PROCESS" || fail "MemTotal is $(process_memtotal "$PROCESS")"
    rm "$WORK/run/pending/.other.json.0123456789abcdef" || fail 'the note of another hook'
    eventually 5 no_notes || fail 'the note is left'
    check_eq 'containers' "$(ctl --json list | jq -r '[.containers[].id] | join(" ")')" unanswered
    # Required is required.
    ctl detach unanswered >/dev/null
    kill -STOP "$SUPERVISOR"
    daemon_kill
    make_state unanswered "$PROCESS" | run_hook --timeout 1 --required
    check_eq 'the hook that requires it' "$HOOK_STATUS" 1
    ! note_of unanswered || fail 'a note of a container that does not start'
    kill -CONT "$SUPERVISOR"
    eventually 10 answers || fail 'no new daemon'
}

# A daemon that only stands still for a while sees the note without a restart; once the container has
# the root that it will have.
case_unanswered_still() {
    local daemon run pid
    daemon=$(daemon_pid)
    process_start still || fail 'process' || return
    kill -STOP "$daemon"
    make_state still "$PROCESS" | run_hook --timeout 1
    bundle_defaults
    B_HOOK_ARGS=(--timeout 1) B_MORE_HOOKS=',{"path":"/bin/sleep","args":["sleep","2"]}'
    B_INIT='["/bin/sh","-c","while :; do sleep 0.1; done"]'
    LIVE+=("runc whole")
    container_run runc whole &
    run=$!
    eventually 5 note_of whole || fail 'no note'
    kill -CONT "$daemon"
    eventually 10 has_its_files "$PROCESS" || fail "MemTotal is $(process_memtotal "$PROCESS")"
    note_of whole || fail 'adopted before it has its root'
    wait "$run" || fail "$(cat "$WORK/log/whole")"
    eventually 10 has_its_own whole || fail "MemTotal is $(memtotal whole)"
    eventually 5 no_notes || fail 'a note is left'
    check_eq 'the daemon' "$(daemon_pid)" "$daemon"
    check_eq 'containers that wait' "$(status_of waiting)" 0
}

# The daemon has registered the container, and stands still before the hook has attached its files; what
# the hook takes back then is not taken back later.
case_unanswered_registered() {
    local daemon hook
    daemon=$(daemon_pid)
    process_start late || fail 'process' || return
    make_state late "$PROCESS" >"$WORK/states/late"
    strace -f -qq -o "$WORK/log/strace" -e trace=open_tree -e inject=open_tree:delay_enter=1000000:when=1 \
        "$WORK/bin/sysfs-hook" --runtime-dir "$WORK/run" --timeout 3 <"$WORK/states/late" >/dev/null 2>"$WORK/log/hook.err" &
    hook=$!
    eventually 5 is_registered late || fail 'not registered'
    kill -STOP "$daemon"
    wait "$hook" || fail "the hook: $(cat "$WORK/log/hook.err")"
    check_match 'its error' "$(cat "$WORK/log/hook.err")" 'until a daemon answers'
    note_of late || fail 'no note'
    kill -CONT "$daemon"
    eventually 10 has_its_files "$PROCESS" || fail "MemTotal is $(process_memtotal "$PROCESS")"
    eventually 5 no_notes || fail 'the note is left'
    eventually 5 none_due || fail 'it is still due'
    sleep 0.5
    is_registered late || fail 'it was taken back'
    check_eq 'MemTotal' "$(process_memtotal "$PROCESS")" 65536
    check_eq 'the daemon' "$(daemon_pid)" "$daemon"
}

has_its_own() { # ID
    [ "$(memtotal "$1")" = 262144 ]
}

all_answer() { # COUNT
    local i
    for ((i = 0; i < $1; i++)); do
        read -r -n 20 <"$WORK/run/views/many$i/proc/uptime" || return 1
    done
}

# The hooks of every second one of $STARTED.
many_hooks() { # FIRST
    local i
    for ((i = $1; i < ${#STARTED[@]}; i += 2)); do
        make_state "many$i" "${STARTED[i]}" | "$WORK/bin/sysfs-hook" --runtime-dir "$WORK/run" || return
    done
}

# How long many views are without answers.
case_many() { # COUNT
    local i plain begin end fds ids=() second
    for ((i = 0; i < $1; i++)); do
        ids+=("many$i")
    done
    processes_start "${ids[@]}" || return
    many_hooks 1 >"$WORK/log/hooks.1" 2>&1 &
    second=$!
    many_hooks 0 >"$WORK/log/hooks.0" 2>&1 || fail 'a hook'
    wait $second || fail 'a hook'
    check_eq 'what the hooks said' "$(cat "$WORK"/log/hooks.[01])" ''
    fds=$(fds_of "$SUPERVISOR")
    note "$1 views: the supervisor holds $fds files and $(rss_of "$SUPERVISOR") kB, the daemon has $(rss_of "$(daemon_pid)") kB"
    check_range 'files the supervisor holds' "$fds" $((2 * $1)) $((2 * $1 + 20)) # two connections each
    begin=$(now_msec)
    all_answer "$1" || fail 'a view does not answer'
    plain=$(($(now_msec) - begin))
    daemon_kill
    begin=$(now_msec)
    all_answer "$1" || fail 'a view does not answer'
    end=$(now_msec)
    note "all have answered $((end - begin)) ms after a kill; a plain read of all takes $plain ms"
    check_range 'ms until all have answered' $((end - begin - plain)) 0 2000
    check_eq 'views resumed' "$(status_of resumed)" "$1"
}

kill_cases() {
    run_case open-file case_open_file
    run_case triggers case_triggers
    run_case triggers-never case_triggers_never
    run_case triggers-later case_triggers_later
    run_case storm case_storm "${SYSFSD_TEST_KILLS:-50}"
    run_case upgrade case_upgrade 5
    run_case bad-upgrade case_bad_upgrade
    run_case monotonic case_monotonic
    run_case total-loss case_total_loss
    run_case supervisor-ended case_supervisor_ended
    run_case supervisor-ended-between case_supervisor_ended_between
    run_case second-supervisor case_second_supervisor
    run_case heal-interrupted case_heal_interrupted KILL
    run_case heal-interrupted-by-upgrade case_heal_interrupted HUP
    run_case heal-again case_heal_again
    run_case heal-left case_heal_left
    run_case adoption-interrupted case_adoption_interrupted
    run_case constants-lost case_constants_lost
    run_case gone-meanwhile case_gone_meanwhile
    run_case cgroup-gone-meanwhile case_cgroup_gone_meanwhile
    run_case started-without case_started_without
    run_case unanswered case_unanswered
    run_case unanswered-still case_unanswered_still
    run_case unanswered-registered case_unanswered_registered
    run_case many case_many "${SYSFSD_TEST_VIEWS:-1000}"
}
