# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153 # set or read in the other files
#
# Bad input to the hook and to the daemon's start: one line on stderr that names what is wrong, the
# documented exit status, and nothing changed.

# What must be the same before and after.
fingerprint() {
    ls "$WORK/run/containers" "$WORK/run/views" 2>&1
    own_mounts
}

# The hook refuses the state on stdin.
refused() { # STATUS PATTERN ARGUMENT...
    local status=$1 pattern=$2 before
    shift 2
    before=$(fingerprint)
    run_hook "$@"
    check_eq 'the exit status' "$HOOK_STATUS" "$status"
    check_match 'stderr' "$HOOK_ERROR" "$pattern"
    check_match 'stderr' "$HOOK_ERROR" '^sysfs-hook: '
    check_eq 'lines on stderr' "$(wc -l <"$WORK/log/hook.err")" 1
    check_eq 'stdout' "$(cat "$WORK/log/hook.out")" ''
    check_eq 'records and views' "$(fingerprint)" "$before"
}

process_untouched() { # PID
    ! grep -q -E ' (/proc|/sys)/[^ ]* .* - fuse[.]sysfsd ' "/proc/$1/mountinfo" || fail "process $1 has a view"
}

case_no_state() {
    refused 1 'no state' </dev/null
    refused 1 'no state' <&-
    refused 1 'no state' poststop </dev/null
}

case_half_json() {
    printf '{"ociVersion":"1.0.0","id":"half","pid":%d,"stat' $$ | refused 1 'JSON'
    printf '[]' | refused 1 'object'
}

case_two_mebibytes() {
    { printf '{"id":"big","x":"' && head -c $((2 << 20)) /dev/zero | tr '\0' x && printf '"}'; } \
        >"$WORK/states/big"
    refused 1 '1 MiB' <"$WORK/states/big"
}

case_bad_members() {
    printf '{"id":"../x","pid":%d,"status":"creating","bundle":"/"}' $$ | refused 1 '\.\./x'
    printf '{"pid":%d,"status":"creating","bundle":"/"}' $$ | refused 1 'id'
    printf '{"id":"p","pid":-5,"status":"creating","bundle":"/"}' | refused 1 'pid'
    printf '{"id":"p","status":"creating","pid":%d,"bundle":"/nonexistent"}' $$ |
        refused 1 '/nonexistent/config.json'
}

case_annotations_wrong() {
    process_start wrong || fail 'no process' || return
    local pid=$PROCESS
    make_state wrong "$pid" '{"io.sysfsd.colour":"green"}' | refused 1 'io.sysfsd.colour'
    make_state wrong "$pid" '{"io.sysfsd.cpu":"many"}' | refused 1 'io.sysfsd.cpu.*many'
    make_state wrong "$pid" '{"io.sysfsd.required":"perhaps"}' | refused 1 'io.sysfsd.required.*perhaps'
    process_untouched "$pid"
    # Those of others are nobody's business.
    make_state wrong "$pid" '{"io.kubernetes.cri.x":"1"}' | run_hook
    check_eq 'records' "$(records)" 1
}

case_pid_gone() {
    sleep 0 &
    local pid=$!
    wait "$pid"
    make_state gone "$pid" | refused 1 "$pid"
    make_state gone 0 | refused 1 'pid' createRuntime
}

case_id_taken() {
    process_start taken || fail 'no process' || return
    local first=$PROCESS
    make_state taken "$first" >"$WORK/states/taken"
    run_hook <"$WORK/states/taken"
    check_eq 'the first registration' "$HOOK_STATUS$HOOK_ERROR" 0
    check_eq 'MemTotal' "$(process_memtotal "$first")" 65536
    process_start other || fail 'no process' || return
    local second=$PROCESS
    sed "s/\"pid\":$first/\"pid\":$second/" "$WORK/states/taken" | refused 1 'taken.*regist'
    process_untouched "$second"
    # The engine runs the refused container's poststop hook: the other's view has to survive that.
    sed "s/\"pid\":$first/\"pid\":0/; s/creating/stopped/; s,bundles/taken,bundles/other," \
        "$WORK/states/taken" | run_hook
    check_eq 'MemTotal of the first' "$(process_memtotal "$first")" 65536
    sed 's/creating/stopped/' "$WORK/states/taken" | run_hook
    check_eq 'poststop' "$HOOK_STATUS$HOOK_ERROR" 0
    eventually 5 is_gone taken || fail 'record or view is left after poststop'
}

case_poststop_unknown() {
    printf '{"id":"never","status":"stopped","bundle":"/"}' | run_hook
    check_eq 'poststop without a pid' "$HOOK_STATUS$HOOK_ERROR" 0
    printf '{"id":"never","pid":0,"status":"created","bundle":"/"}' | run_hook poststop
    check_eq 'poststop by argument' "$HOOK_STATUS$HOOK_ERROR" 0
}

case_proc_is_a_symlink() {
    local root=$WORK/hostile
    mkdir -p "$root/etc" "$root/sys"
    echo mine >"$root/etc/meminfo"
    ln -sfn /etc "$root/proc"
    process_start hostile || fail 'no process' || return
    make_state hostile "$PROCESS" '{}' "$root" | refused 1 'symbolic link'
    process_untouched "$PROCESS"
    make_state hostile "$PROCESS" '{}' "$root" | refused 1 'symbolic link' --required
    rm "$root/proc"
    mkdir -p "$root/proc"
    echo mine >"$root/proc/meminfo"
    make_state hostile "$PROCESS" '{}' "$root" | refused 1 "not the kernel's file system"
    process_untouched "$PROCESS"
    check_eq 'the file in the rootfs' "$(cat "$root/proc/meminfo")" mine
    rm -r "$root/proc"
    ln -s ../../../../proc "$root/proc"
    make_state hostile "$PROCESS" '{}' "$root" | refused 1 'symbolic link'
    process_untouched "$PROCESS"
}

# A process in the host's own mount namespace must not get a view: the host would read it.
case_host_namespace() {
    make_state hostns $$ | refused 1 'mount namespace'
}

case_no_daemon() {
    process_start alone || fail 'no process' || return
    mkdir -p "$WORK/empty"
    make_state alone "$PROCESS" | refused 0 'warning.*no daemon' --runtime-dir "$WORK/empty"
    make_state alone "$PROCESS" | refused 1 'no daemon' --runtime-dir "$WORK/empty" --required
    make_state alone "$PROCESS" | refused 0 'warning.*no daemon' --runtime-dir /nonexistent
    make_state alone "$PROCESS" '{"io.sysfsd.required":"true"}' |
        refused 1 'no daemon' --runtime-dir "$WORK/empty"
    # With a misspelt one the container would start without what was asked for.
    make_state alone "$PROCESS" '{"io.sysfsd.requird":"true"}' |
        refused 1 'io.sysfsd.requird' --runtime-dir "$WORK/empty"
    printf '{"id":"alone","status":"stopped","bundle":"/"}' |
        refused 0 'no daemon' --runtime-dir "$WORK/empty" --required
    process_untouched "$PROCESS"
}

# Somebody else's server, and one that says nothing.
case_foreign_socket() {
    local dir=$WORK/foreign pid
    mkdir -p "$dir/nobody" "$dir/silent"
    process_start foreign || fail 'no process' || return
    chown 65534 "$dir/nobody"
    perl "$HERE/adversary.pl" serve "$dir/nobody/control.sock" 65534 &
    pid=$!
    eventually 5 test -S "$dir/nobody/control.sock"
    make_state foreign "$PROCESS" | refused 0 'does not belong to root' --runtime-dir "$dir/nobody"
    make_state foreign "$PROCESS" | refused 1 'does not belong to root' --runtime-dir "$dir/nobody" --required
    kill "$pid"
    wait "$pid" 2>/dev/null
    perl "$HERE/adversary.pl" serve "$dir/silent/control.sock" 0 &
    pid=$!
    eventually 5 test -S "$dir/silent/control.sock"
    local start=$SECONDS
    make_state foreign "$PROCESS" |
        refused 0 'did not answer in time' --runtime-dir "$dir/silent" --timeout 1
    check_range 'seconds until a silent daemon is given up' $((SECONDS - start)) 0 3
    kill "$pid"
    wait "$pid" 2>/dev/null
    process_untouched "$PROCESS"
}

# The runtime keeps its end of the pipe open.
case_endless_state() {
    local start=$SECONDS writer
    exec 7< <(exec sleep 30)
    writer=$!
    refused 1 'in time' --timeout 1 <&7
    check_range 'seconds until stdin is given up' $((SECONDS - start)) 0 5
    exec 7<&-
    kill "$writer"
}

case_usage() {
    local args
    for args in '--frobnicate' '--timeout 0' '--timeout x' '--timeout' 'poststart' 'poststop poststop' \
        '--runtime-dir'; do
        # shellcheck disable=SC2086 # words
        "$WORK/bin/sysfs-hook" $args </dev/null >/dev/null 2>"$WORK/log/hook.err"
        check_eq "the exit status with $args" $? 2
        check_eq "lines on stderr with $args" "$(wc -l <"$WORK/log/hook.err")" 1
    done
    local program
    for program in "$WORK/bin/sysfs-hook" "$SBINDIR/sysfsd"; do
        "$program" --version </dev/null >/dev/full 2>"$WORK/log/hook.err"
        check_eq "the exit status of ${program##*/} that cannot write" $? 1
        check_match 'its words' "$(cat "$WORK/log/hook.err")" '^sysfs[a-z-]*: standard output: No space left on device$'
        "$program" --frobnicate </dev/null >/dev/null 2>"$WORK/log/hook.err"
        check_eq "the exit status of ${program##*/} with an unknown option" $? 2
        check_match 'its words' "$(cat "$WORK/log/hook.err")" '^sysfs[a-z-]*: .*--frobnicate'
        "$program" -xy </dev/null >/dev/null 2>"$WORK/log/hook.err"
        check_eq "the exit status of ${program##*/} with unknown letters" $? 2
        check_match 'its words' "$(cat "$WORK/log/hook.err")" '^sysfs[a-z-]*: .*-x'
        timeout 10 "$program" --runtime-dir '' </dev/null >/dev/null 2>"$WORK/log/hook.err"
        check_eq "the exit status of ${program##*/} with an empty name" $? 2
        check_match 'its words' "$(cat "$WORK/log/hook.err")" '^sysfs[a-z-]*: --runtime-dir: .* is empty'
    done
    "$WORK/bin/sysfs-hook" --help </dev/null | grep -q -- --required || fail 'no help'
    "$WORK/bin/sysfs-hook" --version </dev/null | grep -q '^sysfs-hook [0-9]' || fail 'no version'
}

case_second_daemon() {
    timeout 10 "$SBINDIR/sysfsd" --config "$WORK/sysfsd.conf" --runtime-dir "$WORK/run" \
        >"$WORK/log/second" 2>&1
    check_eq 'the exit status' $? 1
    check_match 'its words' "$(cat "$WORK/log/second")" "$WORK/run"
    kill -0 "$DAEMON" || fail 'the first daemon is gone'
    [ -S "$WORK/run/control.sock" ] || fail 'the socket is gone'
    process_start second || fail 'no process' || return
    make_state second "$PROCESS" | run_hook
    check_eq 'a registration with the first' "$HOOK_STATUS$HOOK_ERROR" 0
}

case_wrong_configuration() {
    printf '[daemon]\nnonsense=1\n' >"$WORK/wrong.conf"
    timeout 10 "$SBINDIR/sysfsd" --config "$WORK/wrong.conf" --runtime-dir "$WORK/wrong" \
        >"$WORK/log/wrong" 2>&1
    check_eq 'the exit status' $? 2
    check_match 'its words' "$(cat "$WORK/log/wrong")" "$WORK/wrong.conf"
    check_match 'its words' "$(cat "$WORK/log/wrong")" 'nonsense|daemon'
    [ ! -e "$WORK/wrong/control.sock" ] || fail 'there is a socket'
}

input_cases() {
    run_case input-no-state case_no_state
    run_case input-half-json case_half_json
    run_case input-two-mebibytes case_two_mebibytes
    run_case input-bad-members case_bad_members
    run_case input-annotations case_annotations_wrong
    run_case input-pid-gone case_pid_gone
    run_case input-id-taken case_id_taken
    run_case input-poststop-unknown case_poststop_unknown
    run_case input-proc-symlink case_proc_is_a_symlink
    run_case input-host-namespace case_host_namespace
    run_case input-no-daemon case_no_daemon
    run_case input-foreign-socket case_foreign_socket
    run_case input-endless-state case_endless_state
    run_case input-usage case_usage
    run_case input-second-daemon case_second_daemon
    run_case input-wrong-configuration case_wrong_configuration
}
