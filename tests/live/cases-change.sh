# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153 # set or read in the other files
#
# live-check on a container that works, and whose limits, cgroup and state are changed meanwhile.

CHECK='' # live-check's pid

# A container of 256 MiB (or LOAD_MEMORY) and 1.5 CPUs (or LOAD_QUOTA) whose init is live-load.
load_run() { # ID PART...
    local id=$1
    shift
    bundle_defaults
    B_INIT=$(json_args /bin/live-load "$@") B_QUOTA=${LOAD_QUOTA:-150000} B_CGROUP_MOUNT=1
    B_MEMORY=${LOAD_MEMORY:-$B_MEMORY}
    container_run "$ENGINE" "$id" || fail "$(cat "$WORK/log/$id")"
}

# Writes to a cgroup's file; the kernel may refuse, as with a limit that the use cannot be brought
# below.
put() { # FILE TEXT
    { echo "$2" >"$1"; } 2>/dev/null
}

# A file of the container's cgroup: v1's name below the controller, or v2's.
cgroup_file() { # ID CONTROLLER V1 V2
    if on_v2; then
        CGROUP_FILE=/sys/fs/cgroup/$TAG/$1/$4
    else
        CGROUP_FILE=/sys/fs/cgroup/$2/$TAG/$1/$3
    fi
}

check_start() { # ID ROOT [OPTION]...
    local id=$1 root=$2
    shift 2
    [ -z "${SYSFSD_TEST_KEEP:-}" ] || set -- --save "$SYSFSD_TEST_KEEP" "$@"
    exec 9>"$WORK/lock"
    "$TESTDIR/live-check" --lock "$WORK/lock" "$@" "$SECONDS_EACH" "$root" >"$WORK/log/check" 2>&1 9>&- &
    CHECK=$!
}

check_stop() {
    [ -z "$CHECK" ] || kill "$CHECK" 2>/dev/null
}

checking() {
    kill -0 "$CHECK" 2>/dev/null
}

# Waits for it, and shows what it said.
check_end() {
    wait "$CHECK" || fail 'live-check found violations'
    CHECK=''
    exec 9>&-
    grep -v -e '^1\.\.' -e '^ok ' "$WORK/log/check" | cut -c1-200
    local rounds
    rounds=$(sed -n 's/^# \([0-9]*\) rounds.*/\1/p' "$WORK/log/check")
    check_range 'rounds of live-check' "$rounds" $((SECONDS_EACH / 4)) 1000000
}

# What live-check saw of the limits that were set: all of them, if it has looked often enough.
check_seen() {
    local least most low high rounds
    rounds=$(sed -n 's/^# \([0-9]*\) rounds.*/\1/p' "$WORK/log/check")
    read -r least most low high <<<"$(sed -n 's/^# MemTotal \([0-9]*\)\.\.\([0-9]*\) kB, CPUs \([0-9]*\)\.\.\([0-9]*\)$/\1 \2 \3 \4/p' "$WORK/log/check")"
    if [ "${rounds:-0}" -lt 60 ]; then
        check_range 'the largest MemTotal' "$most" $((least + 1)) 524288
        return
    fi
    check_range 'the smallest MemTotal' "$least" 1 131072
    check_range 'the largest MemTotal' "$most" 262144 524288
    check_eq 'the fewest CPUs' "$low" 1
    check_eq 'the most CPUs' "$high" "$(expected_cpus)"
}

freezer_of() { # ID
    cgroup_file "$1" freezer freezer.state cgroup.freeze
}

view_of() { # ID: as the daemon has it
    echo "$WORK/run/views/$1"
}

# Nothing changes but by what the container does; read through its own root.
case_work() { # NAME PART...
    local id="work-$1"
    shift
    load_run "$id" "$@" || return
    freezer_of "$id"
    check_start "$id" "/proc/$(container_pid "$id")/root" --freeze "$CGROUP_FILE"
    check_end
}

# One step of changes.
change_limits() { # ID STEP
    local memory=(256 64 192 24 512 128) quota=(150000 50000 -1 100000 400000 20000)
    local cpus=(0-1 0 1 0-1) step=$2 quota_file
    cgroup_file "$1" memory memory.limit_in_bytes memory.max
    put "$CGROUP_FILE" $((memory[step % 6] << 20))
    cgroup_file "$1" cpu cpu.cfs_quota_us cpu.max
    if on_v2; then
        quota_file="${quota[step % 6]/#-1/max} 100000"
    else
        quota_file=${quota[step % 6]}
    fi
    put "$CGROUP_FILE" "$quota_file"
    cgroup_file "$1" cpuset cpuset.cpus cpuset.cpus
    put "$CGROUP_FILE" "${cpus[step % 4]}"
}

# The widest limits, and narrow ones, stand for longer than a round takes, now and then.
stand() { # STEP
    case $(($1 % 12)) in 0 | 5) sleep 0.3 ;; esac
}

# The lock keeps the changes out of an instant.
change_limits_between() { # ID STEP
    flock 9
    change_limits "$@"
    flock -u 9
}

case_limits() {
    local id=limits step
    load_run "$id" memory files busy || return
    freezer_of "$id"
    check_start "$id" "$(view_of "$id")" --freeze "$CGROUP_FILE"
    for ((step = 0; ; step++)); do
        checking || break
        change_limits_between "$id" $step
        sleep 0.05
        stand $step
    done
    check_end
    check_range 'changes of the limits' $step $((SECONDS_EACH / 4)) 1000000
    check_seen
}

# Limits change at any moment: each file must be sound in itself, and nothing decreases.
case_limits_any_moment() {
    local id=any-moment step
    load_run "$id" memory files busy || return
    check_start "$id" "$(view_of "$id")" --apart
    for ((step = 0; ; step++)); do
        checking || break
        change_limits "$id" $step
        stand $step
    done
    check_end
    check_range 'changes of the limits' $step $((SECONDS_EACH / 4)) 100000000
    check_seen
}

# Its tasks stop and go on at any moment, also within an instant.
case_frozen() {
    local id=frozen step frozen=FROZEN thawed=THAWED
    on_v2 && frozen=1 thawed=0
    load_run "$id" memory forks busy || return
    freezer_of "$id"
    check_start "$id" "$(view_of "$id")"
    for ((step = 0; ; step++)); do
        checking || break
        put "$CGROUP_FILE" $frozen
        sleep 0.1
        put "$CGROUP_FILE" $thawed
        sleep 0.05
    done
    put "$CGROUP_FILE" $thawed
    check_end
    check_range 'times it was frozen' $step $((SECONDS_EACH / 4)) 1000000
}

# Init goes into a cgroup below, and comes back.
move_init() { # ID PID WHERE
    local dir
    for dir in $MOVE_DIRS; do
        put "$dir$3/cgroup.procs" "$2"
    done
}

case_sub_cgroup() {
    local id=sub step dir pid
    load_run "$id" memory forks busy || return
    pid=$(container_pid "$id")
    MOVE_DIRS=$(cgroup_dirs "$TAG/$id")
    for dir in $MOVE_DIRS; do
        mkdir "$dir/below"
        # A cpuset without CPUs takes nobody.
        if [ -e "$dir/cpuset.mems" ] && ! on_v2; then
            cat "$dir/cpuset.cpus" >"$dir/below/cpuset.cpus"
            cat "$dir/cpuset.mems" >"$dir/below/cpuset.mems"
        fi
    done
    freezer_of "$id"
    check_start "$id" "$(view_of "$id")" --freeze "$CGROUP_FILE"
    for ((step = 0; ; step++)); do
        checking || break
        move_init "$id" "$pid" /below
        check_match 'the cgroup of init' "$(cat "/proc/$pid/cgroup")" "$TAG/$id/below"
        sleep 0.1
        move_init "$id" "$pid" ''
        sleep 0.1
    done
    check_end
    check_range 'moves of init' $step $((SECONDS_EACH / 4)) 1000000
}

case_mixed() {
    local id=mixed step dir pid
    load_run "$id" memory forks files busy thread vfork || return
    pid=$(container_pid "$id")
    MOVE_DIRS=$(cgroup_dirs "$TAG/$id" | grep -v /cpuset/)
    for dir in $MOVE_DIRS; do
        mkdir "$dir/below"
    done
    freezer_of "$id"
    check_start "$id" "$(view_of "$id")" --freeze "$CGROUP_FILE"
    for ((step = 0; ; step++)); do
        checking || break
        change_limits_between "$id" $step
        move_init "$id" "$pid" /below
        sleep 0.05
        move_init "$id" "$pid" ''
    done
    check_end
    check_range 'changes' $step $((SECONDS_EACH / 4)) 1000000
    check_seen
}

# Used is what the cgroup says, while nothing moves.
check_swap_used() { # ID
    local used shown
    freezer_of "$1"
    put "$CGROUP_FILE" 1
    eventually 5 grep -q 'frozen 1' "${CGROUP_FILE%/*}/cgroup.events" || fail 'it does not freeze' || return
    used=$(<"/sys/fs/cgroup/$TAG/$1/memory.swap.current")
    shown=$(awk '$1 == "SwapTotal:" { kb = $2 } $1 == "SwapFree:" { kb -= $2 } END { print kb }' "$(view_of "$1")/proc/meminfo")
    put "$CGROUP_FILE" 0
    note "swap used: $shown kB"
    check_eq 'swap used' "$shown" $((used / 1024))
}

# It swaps: 8 to 96 MiB in 64 MiB of memory and as much of swap.
case_swap() {
    local LOAD_MEMORY="$((64 << 20)), \"swap\": $((128 << 20))" # OCI counts both
    local id=swap most
    load_run "$id" memory || return
    freezer_of "$id"
    check_start "$id" "$(view_of "$id")" --freeze "$CGROUP_FILE"
    check_end
    check_match 'what can be swapped' "$(<"$(view_of "$id")/proc/meminfo")" 'SwapTotal: +65536 kB'
    most=$(sed -n 's/^# swap used at most \([0-9]*\) kB$/\1/p' "$WORK/log/check")
    check_range 'the most swap that was used' "$most" 1024 65536
    ! on_v2 || check_swap_used "$id"
}

change_cases() {
    run_case work-memory case_work memory memory
    run_case work-forks case_work forks forks
    run_case work-files case_work files files
    run_case limits case_limits
    run_case limits-any-moment case_limits_any_moment
    run_case frozen case_frozen
    run_case sub-cgroup case_sub_cgroup
    run_case mixed case_mixed
    # Where the host has some.
    [ "$(wc -l </proc/swaps)" = 1 ] || run_case swap case_swap
}
