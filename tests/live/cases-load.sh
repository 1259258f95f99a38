# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153 # set or read in the other files
#
# What /proc/stat and /proc/loadavg say of a load that is known.

# The containers of this run come before all else on the machine, so that a load is what it should
# be also when others work.
favour() { # YES
    local dir
    for dir in $(cgroup_dirs "$TAG"); do
        [ ! -e "$dir/cpu.shares" ] || put "$dir/cpu.shares" $(($1 ? 262144 : 1024))
        [ ! -e "$dir/cpu.weight" ] || put "$dir/cpu.weight" $(($1 ? 10000 : 100))
    done
}

# The age of a container in hundredths of a second, in $AGE.
read_age() { # ID
    local age
    read -r age _ <"$WORK/run/views/$1/proc/uptime"
    AGE=$((10#${age/./}))
}

# Its cpu lines: $BUSY (user + nice + system in all), $CPU_SUM (by name, all columns).
declare -A CPU_SUM
read_stat() { # ID
    local name user nice system rest column sum
    CPU_SUM=()
    while read -r name user nice system rest; do
        [[ $name = cpu* ]] || continue
        sum=$((user + nice + system))
        [ "$name" != cpu ] || BUSY=$sum
        for column in $rest; do
            sum=$((sum + column))
        done
        CPU_SUM[$name]=$sum
    done <"$WORK/run/views/$1/proc/stat"
}

# CPU time used, in hundredths, as the cgroup has it: $USED.
read_used() { # ID
    local key
    if on_v2; then
        read -r key USED <"/sys/fs/cgroup/$TAG/$1/cpu.stat"
        USED=$((USED / 10000))
    else
        read -r USED <"/sys/fs/cgroup/cpuacct/$TAG/$1/cpuacct.usage"
        USED=$((USED / 10000000))
    fi
}

# Watches containers for SECONDS, and compares: the share of their CPUs' time that is busy, as top(1)
# counts it, with what is wanted and with what the cgroup says; the time on each CPU with the time
# that passed, from before the first look to after the second, and from after to before.
check_shares() { # SECONDS [ID LOW HIGH]...
    local seconds=$1 id name busy used all count outer inner
    local -A before0 after0 busy0 used0 sum0
    shift
    local watched=("$@")
    while [ $# -gt 0 ]; do
        read_age "$1"
        before0[$1]=$AGE
        read_used "$1"
        used0[$1]=$USED
        read_stat "$1"
        busy0[$1]=$BUSY
        for name in "${!CPU_SUM[@]}"; do
            sum0[$1/$name]=${CPU_SUM[$name]}
        done
        read_age "$1"
        after0[$1]=$AGE
        shift 3
    done
    sleep "$seconds"
    set -- "${watched[@]}"
    while [ $# -gt 0 ]; do
        id=$1
        read_age "$id"
        inner=$((AGE - after0[$id]))
        read_used "$id"
        read_stat "$id"
        read_age "$id"
        outer=$((AGE - before0[$id]))
        count=$((${#CPU_SUM[@]} - 1))
        check_eq "cpuN lines of $id" "$count" "$(expected_cpus)"
        all=$((CPU_SUM[cpu] - sum0[$id/cpu]))
        busy=$(((BUSY - busy0[$id]) * 100 / all)) used=$(((USED - used0[$id]) * 100 / all))
        note "$id: busy $busy %, by its cgroup $used %, on $count CPUs in $inner to $outer hundredths"
        check_range "busy share of $id in percent" "$busy" "$2" "$3"
        check_range "busy share of $id by its cgroup" "$busy" $((used - 4)) $((used + 4))
        for name in "${!CPU_SUM[@]}"; do
            [ "$name" = cpu ] ||
                check_range "time of $name in $id" $((CPU_SUM[$name] - sum0[$id/$name])) $((inner - 2)) $((outer + 2))
        done
        shift 3
    done
}

case_stat_shares() {
    local LOAD_QUOTA=150000
    load_run idle idle && load_run two busy busy || return
    favour 1
    sleep 0.5
    check_shares 4 two 72 78 idle 0 0
    container_delete "$ENGINE" two
    load_run one busy || return
    sleep 0.5
    check_shares 4 one 47 53 idle 0 0
    favour 0
}

# ---- loadavg ----

# The boot clock, on which load is sampled at each multiple of five seconds: $NOW in hundredths.
read_clock() {
    read -r NOW _ </proc/uptime
    NOW=$((10#${NOW/./}))
}

sleep_until() { # HUNDREDTHS
    local left
    read_clock
    left=$(($1 - NOW))
    [ $left -le 0 ] || sleep "$((left / 100)).$(printf %02d $((left % 100)))"
}

read_load() { # ID: $LOAD, three averages
    local one five fifteen
    read -r one five fifteen _ <"$WORK/run/views/$1/proc/loadavg"
    LOAD="$one $five $fifteen"
}

# calc_load() of include/linux/sched/loadavg.h, from a load of 0: COUNT tasks seen SAMPLES times.
expected_load() { # COUNT SAMPLES
    awk -v n="$1" -v k="$2" 'BEGIN {
        split("1884 2014 2037", e)
        for (i = 1; i <= 3; i++) {
            a = 0
            for (j = 0; j < k; j++)
                a = int((a * e[i] + n * 2048 * (2048 - e[i]) + (n * 2048 >= a ? 2047 : 0)) / 2048)
            printf "%.3f%s", a / 2048, i < 3 ? " " : "\n"
        }
    }'
}

check_load() { # ID COUNT SAMPLES
    local want
    want=$(expected_load "$2" "$3")
    read_load "$1"
    note "$2 tasks, $3 samples: $LOAD; expected $want"
    # A hundredth is what the file shows.
    awk -v got="$LOAD" -v want="$want" 'BEGIN {
        split(got, g); split(want, w)
        for (i = 1; i <= 3; i++) {
            d = g[i] - w[i]
            if (d < 0) d = -d
            if (d > 0.05 * w[i] + 0.01) exit 1
        }
    }' || fail "the load of $2 tasks after $3 samples is '$LOAD' and not '$want'"
}

# Running and blocked tasks of stat, without the reader.
check_counts() { # ID RUNNING BLOCKED
    local name value running='' blocked=''
    while read -r name value _; do
        case $name in
        procs_running) running=$value ;;
        procs_blocked) blocked=$value ;;
        esac
    done <"$WORK/run/views/$1/proc/stat"
    check_eq "procs_running of $1" "$running" $(($2 + 1))
    check_eq "procs_blocked of $1" "$blocked" "$3"
}

# One busy process of the container goes into a cgroup below.
nest() { # ID PID
    local dir
    for dir in $(cgroup_dirs "$TAG/$1"); do
        [[ $dir != */cpuset/* ]] || continue
        mkdir "$dir/nested"
        echo "$2" >"$dir/nested/cgroup.procs" || fail "$dir/nested takes no process"
    done
}

# The children of a process: $CHILDREN.
read_children() { # PID
    read -r CHILDREN <"/proc/$1/task/$1/children"
}

four_are_there() { # PID
    CHILDREN=''
    read_children "$1"
    [ "$(wc -w <<<"$CHILDREN")" = 4 ]
}

case_loadavg() {
    local LOAD_QUOTA=20000 count first pid child
    load_run load-0 --wait /tmp/go idle && load_run load-1 --wait /tmp/go busy &&
        load_run load-4 --wait /tmp/go busy busy thread vfork || return
    # Early in an interval, so that all are at work before it ends.
    read_clock
    first=$((NOW / 500))
    [ $((NOW % 500)) -lt 100 ] || first=$((first + 1))
    sleep_until $((first * 500 + 50))
    for count in 0 1 4; do
        read_load load-$count
        check_eq "the load of load-$count before" "$LOAD" '0.00 0.00 0.00'
    done
    for count in 0 1 4; do
        : >"/proc/$(container_pid load-$count)/root/tmp/go"
    done
    pid=$(container_pid load-4)
    eventually 3 four_are_there "$pid" || fail 'the load does not start' || return
    nest load-4 "${CHILDREN%% *}"
    read_clock
    check_range 'the interval in which the load started' $((NOW / 500)) $first $first
    sleep_until $(((first + 3) * 500 + 200))
    check_counts load-0 0 0
    check_counts load-1 1 0
    check_counts load-4 3 1
    sleep_until $(((first + 6) * 500 + 50))
    for count in 0 1 4; do
        check_load load-$count $count 6
    done
    read_clock
    check_range 'the interval in which the load was read' $((NOW / 500)) $((first + 6)) $((first + 6))
}

load_cases() {
    run_case stat-shares case_stat_shares
    run_case loadavg case_loadavg
}
