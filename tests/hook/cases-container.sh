# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153 # set or read in the other files
#
# Real containers: what they see through their view, with every engine, stage and namespace setting.

VIEW_FILES='/sys/devices/system/cpu/online /sys/devices/system/cpu/present /sys/devices/system/cpu/offline'
for name in meminfo cpuinfo stat uptime loadavg swaps diskstats partitions vmstat zoneinfo buddyinfo pagetypeinfo slabinfo \
    interrupts softirqs schedstat; do
    [ ! -e "/proc/$name" ] || VIEW_FILES+=" /proc/$name"
done
# Not on v1; on a hybrid host they are there where engines use the unified tree too.
for name in cpu memory io irq; do
    ! on_v2 || [ ! -e "/proc/pressure/$name" ] || VIEW_FILES+=" /proc/pressure/$name"
done
VIEW_TREES='/sys/devices/system/cpu /sys/devices/system/node'

# Printed by the container's own shell and programs.
# shellcheck disable=SC2016 # for the shell inside
INSIDE='
echo memtotal=$(grep ^MemTotal: /proc/meminfo)
echo cpuinfo=$(grep -c ^processor /proc/cpuinfo)
echo stat=$(grep -c "^cpu[0-9]" /proc/stat)
echo online=$(grep . /sys/devices/system/cpu/online)
echo present=$(grep . /sys/devices/system/cpu/present)
echo nproc=$(nproc)
for f in /proc/meminfo /proc/cpuinfo /sys/devices/system/cpu/online; do
    [ "$(cat $f | wc -l)" = "$(grep -c "" $f)" ] || echo "short=$f"
done
for f in '$VIEW_FILES'; do echo "file=$f $(stat -c "%u:%g %a %A" $f)"; done
for f in '$VIEW_FILES'; do (echo 1 >$f) 2>/dev/null && echo "written=$f"; done
echo directories=$(ls -d /sys/devices/system/cpu/cpu[0-9]* | wc -l)
echo nodecpus=$(cat /sys/devices/system/node/node[0-9]*/cpulist | tr "\n" ,)
echo nodetotal=$(cat /sys/devices/system/node/node[0-9]*/meminfo | awk "/MemTotal:/ { kb += \$4 } END { print kb }")
cat /sys/devices/system/cpu/cpu[0-9]*/topology/core_cpus_list >/dev/null && ls -lR '$VIEW_TREES' >/dev/null && echo trees=ok
for f in '$VIEW_TREES'; do (echo 1 >$f/x || mkdir $f/x || rm $f/online) 2>/dev/null && echo "written=$f"; done
echo uptime=$(cut -d. -f1 /proc/uptime)
free >/dev/null && uptime >/dev/null && top -bn1 >/dev/null && echo programs=ok
'

value_of() { # KEY TEXT
    sed -n "s/^$1=//p" <<<"$2"
}

list_length() { # a kernel list: 0-1,4
    awk -F, '{ for (i = 1; i <= NF; i++) n += split($i, r, "-") > 1 ? r[2] - r[1] + 1 : 1; print n }' <<<"$1"
}

# Seconds since a process started, by the host.
age_of() { # PID
    local stat ticks
    stat=$(sed 's/.*) //' "/proc/$1/stat")
    ticks=$(cut -d' ' -f20 <<<"$stat")
    awk -v start="$ticks" -v hz="$(getconf CLK_TCK)" '{ printf "%d\n", $1 - start / hz }' /proc/uptime
}

expected_cpus() { # of a quota of 1.5
    local online
    online=$(list_length "$(cat /sys/devices/system/cpu/online)")
    [ "$online" -lt 2 ] && echo "$online" || echo 2
}

check_inside() { # ENGINE ID
    local text cpus file age
    text=$(container_exec "$1" "$2" "$INSIDE")
    cpus=$(expected_cpus)
    check_eq 'MemTotal' "$(value_of memtotal "$text")" 'MemTotal: 262144 kB'
    check_eq 'processors in cpuinfo' "$(value_of cpuinfo "$text")" "$cpus"
    check_eq 'cpuN lines in stat' "$(value_of stat "$text")" "$cpus"
    check_eq 'CPUs online' "$(list_length "$(value_of online "$text")")" "$cpus"
    check_eq 'CPUs present' "$(value_of present "$text")" "$(value_of online "$text")"
    age=$(age_of "$(container_pid "$2")")
    check_range 'uptime' "$(value_of uptime "$text")" $((age - 5)) $((age + 1))
    for file in $VIEW_FILES; do
        check_eq "owner and mode of $file" "$(grep -F "file=$file " <<<"$text")" \
            "file=$file 0:0 $(stat -c '%a %A' "$file")"
    done
    if [ -d /sys/devices/system/node ]; then
        check_eq 'cpuN directories' "$(value_of directories "$text")" "$cpus"
        check_eq 'CPUs over the nodes' "$(list_length "$(value_of nodecpus "$text" | sed 's/,*$//')")" "$cpus"
        check_eq 'MemTotal over the nodes' "$(value_of nodetotal "$text")" 262144
        check_eq 'the trees' "$(value_of trees "$text")" ok
    fi
    # busybox cat uses sendfile(2), which the kernel serves from the page cache, unlike grep's read(2).
    check_eq 'files that cat reads other than grep' "$(value_of short "$text")" ''
    note "busybox nproc (sched_getaffinity, no view): $(value_of nproc "$text")"
    # A pressure file takes what the kernel takes.
    check_eq 'files that could be written' "$(value_of written "$text")" ''
    check_eq 'free, uptime, top' "$(value_of programs "$text")" ok
}

# The files and directories a container should have of its view; of a directory's files none by itself.
expected_count() {
    local tree n=0
    for tree in $VIEW_TREES; do
        [ ! -d "$tree" ] || n=$((n + 1))
    done
    echo $((n + $(tr ' ' '\n' <<<"$VIEW_FILES" | grep -c ^/proc/)))
}

# Those it has, counted in its own mount table.
attached_count() { # ID
    grep -c -E ' (/proc|/sys)/[^ ]* .* - fuse[.]sysfsd ' "/proc/$(container_pid "$1")/mountinfo"
}

case_matrix() { # ENGINE USERNS STAGE
    local id="m-$1-$2-$3"
    bundle_defaults
    B_USERNS=$2 B_STAGE=$3
    container_run "$1" "$id" || {
        fail "$1: $(cat "$WORK/log/$id")"
        return
    }
    if [ "$2$3" = 1createContainer ]; then
        # The socket cannot be reached from a user namespace: the host's files, and no rest.
        check_eq 'MemTotal' "$(memtotal "$id")" "$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)"
        check_eq 'files attached' "$(attached_count "$id")" 0
        ! is_registered "$id" || fail 'it is registered'
        return
    fi
    check_inside "$1" "$id"
    check_eq 'files attached' "$(attached_count "$id")" "$(expected_count)"
    is_registered "$id" || fail 'there is no record'
    check_eq 'MemTotal of the view on the host' \
        "$(awk '/^MemTotal:/ { print $2 }' "$WORK/run/views/$id/proc/meminfo")" 262144
    container_delete "$1" "$id"
    eventually 5 is_gone "$id" || fail 'record or view is left after poststop'
}

case_userns_create_container_says_so() { # ENGINE
    bundle_defaults
    B_USERNS=1 B_STAGE=createContainer B_HOOK_ARGS=(--required)
    if container_run "$1" "says-$1"; then
        fail 'the container started'
    fi
    # runc passes a hook's stderr on, crun does not.
    [ "$1" != runc ] || check_match 'the error' "$(cat "$WORK/log/says-$1")" 'createRuntime'
}

case_limit_lowered() { # ENGINE
    local id="lowered-$1"
    bundle_defaults
    container_run "$1" "$id" || fail "$(cat "$WORK/log/$id")" || return
    check_eq 'MemTotal' "$(memtotal "$id")" 262144
    set_memory "$TAG/$id" $((128 << 20))
    check_eq 'MemTotal after 128 MiB were set' "$(memtotal "$id")" 131072
    set_quota "$TAG/$id" 50000
    check_eq 'CPUs after a quota of 0.5 was set' "$(cpus "$id")" 1
    set_quota "$TAG/$id" 150000
    check_eq 'CPUs after a quota of 1.5 was set' "$(cpus "$id")" "$(expected_cpus)"
}

case_parent_limit() { # ENGINE
    local id="child-$1"
    bundle_defaults
    B_CGROUP=$TAG/parent-$1/$id
    cgroup_make "$TAG/parent-$1"
    set_memory "$TAG/parent-$1" $((96 << 20))
    # A v1 parent's quota may not be lower than a child's, in sum; the engine would be refused.
    ! on_v2 || set_quota "$TAG/parent-$1" 100000
    container_run "$1" "$id" || fail "$(cat "$WORK/log/$id")" || return
    check_eq 'MemTotal' "$(memtotal "$id")" 98304
    ! on_v2 || check_eq 'CPUs' "$(cpus "$id")" 1
    container_delete "$1" "$id"
    cgroup_remove "$TAG/parent-$1"
}

case_two_at_once() { # ENGINE
    bundle_defaults
    container_run "$1" "one-$1" || fail "$(cat "$WORK/log/one-$1")" || return
    B_MEMORY=$((64 << 20)) B_QUOTA=50000 B_USERNS=1
    container_run "$1" "two-$1" || fail "$(cat "$WORK/log/two-$1")" || return
    local i
    for i in 1 2 3; do
        check_eq "MemTotal of the first, time $i" "$(memtotal "one-$1")" 262144
        check_eq "MemTotal of the second, time $i" "$(memtotal "two-$1")" 65536
        check_eq "CPUs of the first, time $i" "$(cpus "one-$1")" "$(expected_cpus)"
        check_eq "CPUs of the second, time $i" "$(cpus "two-$1")" 1
    done
    container_delete "$1" "one-$1"
    check_eq 'MemTotal of the second alone' "$(memtotal "two-$1")" 65536
}

case_init_name() { # ENGINE
    local id="name-$1"
    bundle_defaults
    B_INIT='["/bin/busybox ) R (","sleep","1000"]'
    container_run "$1" "$id" || fail "$(cat "$WORK/log/$id")" || return
    check_eq 'the name of init' "$(cat "/proc/$(container_pid "$id")/comm")" 'busybox ) R ('
    check_range 'uptime' "$(inside "$id" /proc/uptime | cut -d. -f1)" 0 30
    check_match 'the tasks in loadavg' "$(inside "$id" /proc/loadavg)" '^[0-9. ]+ [0-9]+/[0-9]+ [0-9]+$'
}

meminfo_of() { # ID: "total free available" in kB
    inside "$1" /proc/meminfo | awk '{ v[$1] = $2 } END { print v["MemTotal:"], v["MemFree:"], v["MemAvailable:"] }'
}

check_memory_sane() { # ID WHEN
    local total free available bad
    read -r total free available <<<"$(meminfo_of "$1")"
    check_range "MemFree $2" "$free" 0 "$total"
    check_range "MemAvailable $2" "$available" 0 "$total"
    bad=$(inside "$1" /proc/meminfo | awk '$2 > 2 ^ 50 { print }')
    check_eq "values that underflowed $2" "$bad" ''
}

case_mlocked_tmpfs() { # ENGINE
    local id="mlock-$1" dir pid
    bundle_defaults
    command -v perl >/dev/null || {
        skip 'perl is not there'
        return
    }
    container_run "$1" "$id" || fail "$(cat "$WORK/log/$id")" || return
    check_memory_sane "$id" 'before'
    coproc LOCKER {
        for dir in $(cgroup_dirs "$TAG/$id"); do
            echo "$BASHPID" >"$dir/cgroup.procs"
        done
        exec perl "$HERE/mlock.pl" "/proc/$(container_pid "$id")/root/tmp/locked" 128
    }
    pid=$LOCKER_PID
    local answer=''
    read -r -t 30 answer <&"${LOCKER[0]}"
    check_eq 'the locking program' "$answer" locked
    local total free
    read -r total free _ <<<"$(meminfo_of "$id")"
    check_range 'MemFree with 128 MiB locked' "$free" 0 $((total - 128 * 1024))
    check_memory_sane "$id" 'with 128 MiB locked'
    # A limit below what is in use can be had on v2 only at the price of an OOM kill.
    if ! on_v2; then
        set_memory "$TAG/$id" $((160 << 20))
        check_memory_sane "$id" 'with the limit near the use'
    fi
    kill "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    rm -f "/proc/$(container_pid "$id")/root/tmp/locked"
}

# The same file again and again while memory comes and goes: counters of stat never decrease.
case_monotonic() { # ENGINE
    local id="mono-$1" i now last=0 user nice system stat
    bundle_defaults
    B_INIT='["/bin/sh","-c","while :; do : ; done"]'
    container_run "$1" "$id" || fail "$(cat "$WORK/log/$id")" || return
    stat=/proc/$(container_pid "$id")/root/proc/stat
    for ((i = 0; i < 50; i++)); do
        read -r _ user nice system _ <"$stat" || fail "cannot read $stat" || return
        now=$((user + system))
        [ "$now" -ge "$last" ] || fail "user + system went from $last to $now"
        last=$now
        sleep 0.02
    done
    check_range 'CPU time of a busy loop' "$last" 20 100000
}

case_disabled() { # ENGINE
    bundle_defaults
    B_ANNOTATIONS='{"io.sysfsd.enable":"false"}'
    container_run "$1" "disabled-$1" || fail "$(cat "$WORK/log/disabled-$1")" || return
    check_eq 'files attached' "$(attached_count "disabled-$1")" 0
    ! is_registered "disabled-$1" || fail 'it is registered'
}

case_annotations() { # ENGINE
    bundle_defaults
    B_QUOTA=50000
    B_ANNOTATIONS='{"io.sysfsd.cpu":"cpuset","io.sysfsd.views":"-/proc/uptime"}'
    container_run "$1" "annotated-$1" || fail "$(cat "$WORK/log/annotated-$1")" || return
    check_eq 'CPUs' "$(cpus "annotated-$1")" "$(list_length "$(cat /sys/devices/system/cpu/online)")"
    check_range 'uptime, the host'"'"'s' "$(inside "annotated-$1" /proc/uptime | cut -d. -f1)" \
        "$(($(cut -d. -f1 /proc/uptime) - 2))" "$(($(cut -d. -f1 /proc/uptime) + 2))"
}

# An unknown annotation in config.json stops a real container.
case_unknown_annotation() { # ENGINE
    bundle_defaults
    B_ANNOTATIONS='{"io.sysfsd.colour":"green"}'
    if container_run "$1" "unknown-$1"; then
        fail 'the container started'
    fi
    [ "$1" != runc ] || check_match 'the error' "$(cat "$WORK/log/unknown-$1")" 'io.sysfsd.colour'
    is_gone "unknown-$1" || fail 'record or view is left'
}

case_without_daemon() { # ENGINE
    bundle_defaults
    B_RUNTIME_DIR=$WORK/nobody
    container_run "$1" "without-$1" || fail "$(cat "$WORK/log/without-$1")" || return
    check_eq 'MemTotal' "$(memtotal "without-$1")" "$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)"
    B_HOOK_ARGS=(--required)
    ! container_run "$1" "required-$1" || fail 'the container with --required started'
    B_HOOK_ARGS=() B_ANNOTATIONS='{"io.sysfsd.required":"true"}'
    ! container_run "$1" "annotated-$1" || fail 'the container with the annotation started'
}

# What a program that reads its own cgroup finds there, although the parent allows less.
case_cgroup_files() { # ENGINE
    local id="files-$1" memory=/sys/fs/cgroup/memory/memory.limit_in_bytes pids=/sys/fs/cgroup/pids/pids.max
    local quota='/sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us' text
    if on_v2; then
        memory=/sys/fs/cgroup/memory.max pids=/sys/fs/cgroup/pids.max quota=/sys/fs/cgroup/cpu.max
    fi
    bundle_defaults
    B_CGROUP=$TAG/pod-$1/$id B_CGROUP_MOUNT=1
    cgroup_make "$TAG/pod-$1"
    set_memory "$TAG/pod-$1" $((96 << 20))
    container_run "$1" "$id" || fail "$(cat "$WORK/log/$id")" || return
    text=$(container_exec "$1" "$id" "cat $memory $quota; echo own=\$(cat $pids); (echo 1 >$memory) 2>&1
        cat /proc/self/mountinfo | grep -c '/sys/fs/cgroup/.* - fuse.sysfsd'")
    check_eq 'the memory limit' "$(sed -n 1p <<<"$text")" $((96 << 20))
    check_match 'the quota' "$(tr '\n' ' ' <<<"$text")" '150000 100000 '
    check_match 'a write to a limit' "$text" 'Read-only file system'
    check_range 'files of cgroups attached' "$(tail -n 1 <<<"$text")" 5 7
    set_memory "$TAG/pod-$1" $((64 << 20))
    check_eq 'the memory limit after the parent was lowered' "$(inside "$id" "$memory")" $((64 << 20))
    # The host's root cgroup has no pids.max.
    text=$("$BINDIR/sysfs-ctl" --runtime-dir "$WORK/run" diff "$id" 2>&1) || fail "diff: $(tail -n 2 <<<"$text")"
    check_match 'diff of a file that the host does not have' "$text" "[+][+][+] $id:$pids"
    "$BINDIR/sysfs-ctl" --runtime-dir "$WORK/run" detach "$id" >"$WORK/log/detach" 2>&1 || fail "detach: $(cat "$WORK/log/detach")"
    check_eq 'the own limit, without a view' "$(inside "$id" "$memory")" $((256 << 20))
    container_delete "$1" "$id"
    cgroup_remove "$TAG/pod-$1"
}

# Two containers of a pod share a pid namespace, one has the host's: each sees its own cgroup's numbers.
case_pid_namespaces() { # ENGINE
    local first="pod1-$1" second="pod2-$1" host="hostpid-$1" id
    bundle_defaults
    container_run "$1" "$first" || fail "$(cat "$WORK/log/$first")" || return
    bundle_defaults
    B_PID_NAMESPACE="{\"type\":\"pid\",\"path\":\"/proc/$(container_pid "$first")/ns/pid\"},"
    B_MEMORY=$((64 << 20)) B_INIT='["/bin/sh","-c","sleep 1000 & sleep 1000 & wait"]'
    container_run "$1" "$second" || fail "$(cat "$WORK/log/$second")" || return
    bundle_defaults
    B_PID_NAMESPACE='' B_MEMORY=$((96 << 20))
    container_run "$1" "$host" || fail "$(cat "$WORK/log/$host")" || return
    check_eq 'MemTotal of the first of the pod' "$(memtotal "$first")" 262144
    check_eq 'MemTotal of the second' "$(memtotal "$second")" 65536
    check_eq 'MemTotal of the one with the host'\''s pid namespace' "$(memtotal "$host")" 98304
    # "running/total": what is counted are the tasks of the cgroup.
    check_match 'tasks of the first' "$(inside "$first" /proc/loadavg)" ' [01]/1 '
    check_match 'tasks of the second' "$(inside "$second" /proc/loadavg)" ' [0-3]/3 '
    check_match 'tasks of the last' "$(inside "$host" /proc/loadavg)" ' [01]/1 '
    for id in "$first" "$second" "$host"; do
        check_range "uptime of $id" "$(inside "$id" /proc/uptime | cut -d. -f1)" 0 30
    done
}

# A container with a time namespace of its own has the kernel's uptime, and the rest of its view.
case_time_namespace() {
    local pid
    cgroup_make "$TAG/timens"
    set_memory "$TAG/timens" $((64 << 20))
    local dir dirs
    dirs=$(cgroup_dirs "$TAG/timens")
    (
        for dir in $dirs; do
            echo "$BASHPID" >"$dir/cgroup.procs"
        done
        exec unshare -m --propagation private -T --boottime 500000 --fork sleep 10000
    ) </dev/null >/dev/null 2>&1 &
    disown "$!"
    # Its child is the first that is in the namespace; it ends with that.
    eventually 10 pgrep -P "$!" -x sleep >/dev/null || fail 'no process' || return
    pid=$(pgrep -P "$!" -x sleep)
    PROCESSES+=("$pid timens")
    make_state timens "$pid" | run_hook
    check_eq 'the hook' "$HOOK_STATUS$HOOK_ERROR" 0
    check_eq 'MemTotal' "$(process_memtotal "$pid")" 65536
    ! grep -q '/proc/uptime .*fuse' "/proc/$pid/mountinfo" || fail 'it has a view of uptime'
    check_range 'uptime inside' "$(nsenter -m -T -t "$pid" cut -d. -f1 /proc/uptime)" 500000 100000000
}

# A trigger of the container's own pressure, armed from inside.
case_pressure_trigger() { # ENGINE
    local id="trigger-$1" text
    bundle_defaults
    B_USERNS=1
    container_run "$1" "$id" || fail "$(cat "$WORK/log/$id")" || return
    text=$(container_exec "$1" "$id" 'exec 3<>/proc/pressure/memory && echo "some 150000 1000000" >&3 && echo armed
        (echo 1 >/proc/pressure/cpu) 2>&1; grep -c avg10 /proc/pressure/cpu')
    check_match 'the trigger' "$text" '^armed'
    check_match 'a trigger that is none' "$text" 'Invalid argument'
    check_range 'lines of cpu pressure' "$(tail -n 1 <<<"$text")" 1 2
}

container_cases() {
    local engine userns stage name stages='createRuntime prestart createContainer'
    local more='limit_lowered parent_limit cgroup_files pid_namespaces monotonic annotations'
    # On a slow machine without prestart, which is createRuntime's older name, and what is the same on each cgroup version.
    if [ -z "${SYSFSD_TEST_NO_SCALE:-}" ]; then
        more+=' two_at_once init_name mlocked_tmpfs disabled unknown_annotation without_daemon'
    else
        stages='createRuntime createContainer'
    fi
    for engine in $ENGINES; do
        for userns in 0 1; do
            for stage in $stages; do
                name=$engine-$stage
                [ $userns = 0 ] || name=$name-userns
                engine_case "$engine" "$name" case_matrix "$engine" $userns "$stage"
            done
        done
        engine_case "$engine" "$engine-createContainer-userns-required" \
            case_userns_create_container_says_so "$engine"
        for name in $more; do
            engine_case "$engine" "$engine-${name//_/-}" "case_$name" "$engine"
        done
        # v1 has no pressure of a cgroup.
        ! on_v2 || engine_case "$engine" "$engine-pressure-trigger" case_pressure_trigger "$engine"
    done
    run_case time-namespace case_time_namespace
}

engine_case() { # ENGINE NAME FUNCTION [ARGUMENT]...
    local engine=$1 name=$2
    shift 2
    if command -v "$engine" >/dev/null; then
        run_case "$name" "$@"
    else
        run_case "$name" skip "$engine is not installed"
    fi
}
