# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154 # set or read in the other files
#
# Programs that people look with, the distribution's own and busybox's, in containers of 256 MiB and
# a quota of 1.5 CPUs: each ends with 0, says nothing on stderr, and shows the container's figures.
# All of a container's programs run in one exec, since starting one is dear in the test machine; what
# they wrote is then read from outside.
#
# What no file can change, so that it is asserted here as it is:
# - busybox free takes all but "available" from sysinfo(2), busybox uptime everything;
# - nproc counts the CPUs of sched_getaffinity(2): a cpuset shows there, a quota does not;
# - the first CPU line of procps top is of the few milliseconds since it started, so the second counts;
# - vmstat's bi and bo, and lscpu's caches and cores, come from files that have no view.

PROGRAMS='free top uptime vmstat ps w lscpu nproc cat head tail wc'
OUTPUT='' # directory of the last container's outputs, seen from outside

# say NAME COMMAND... runs it and keeps what it said.
# shellcheck disable=SC2016 # for the shell inside
SAY='export TERM=dumb
mkdir -p /tmp/said
say() {
    name=$1
    shift
    "$@" >/tmp/said/$name 2>/tmp/said/$name.err </dev/null
    echo $? >/tmp/said/$name.status
}
'

# shellcheck disable=SC2016
QUIET='
say free /usr/bin/free
say top /usr/bin/top -bn1
say uptime /usr/bin/uptime
say vmstat /usr/bin/vmstat
say ps /usr/bin/ps aux
say w /usr/bin/w
say lscpu /usr/bin/lscpu
say nproc /usr/bin/nproc
say head /usr/bin/head -n 1 /proc/meminfo
say tail /usr/bin/tail -n 1 /proc/stat
say cat-cpuinfo /usr/bin/cat /proc/cpuinfo
say wc /usr/bin/wc -lc /proc/cpuinfo
say cat-online /usr/bin/cat /sys/devices/system/cpu/online
say cat-stat /usr/bin/cat /proc/stat
say cat-all /usr/bin/cat '$VIEW_FILES'
say b-top /bin/busybox top -bn1
say b-free /bin/busybox free
say b-uptime /bin/busybox uptime
say b-nproc /bin/busybox nproc
say b-cat /bin/busybox cat '$VIEW_FILES'
if /bin/busybox --list | /bin/busybox grep -qx vmstat; then say b-vmstat /bin/busybox vmstat; fi
'

# Programs that look twice and keep their files open; the load is read first, by uptime. One after the
# other: what a second one needs to start would be in the CPU line of the first, and it is gone before
# the list of processes is made.
WATCH='
say uptime /usr/bin/uptime
say vmstat /usr/bin/vmstat 1 2
say top /usr/bin/top -b -n2 -d1
say b-top /bin/busybox top -b -n2 -d1
'

# The root file system with the programs; made once.
programs_rootfs() {
    local program
    B_ROOTFS=$WORK/rootfs-programs
    [ ! -d "$B_ROOTFS" ] || return 0
    make_rootfs "$B_ROOTFS"
    for program in $PROGRAMS; do
        add_program "$B_ROOTFS" "$program" || {
            fail "this host has no $program"
            return 1
        }
    done
    # top -b asks for the terminal "dumb".
    mkdir -p "$B_ROOTFS/lib/terminfo/d"
    cp /lib/terminfo/d/dumb "$B_ROOTFS/lib/terminfo/d/"
}

# Runs the container of the settings and the script in it.
programs_run() { # ENGINE ID SCRIPT
    local said
    programs_rootfs || return
    container_run "$1" "$2" || fail "$(cat "$WORK/log/$2")" || return
    said=$(container_exec "$1" "$2" "$SAY$3")
    check_eq 'what the shell said' "$said" ''
    OUTPUT=/proc/$(container_pid "$2")/root/tmp/said
}

check_programs() { # every program that ran: status 0, stderr empty
    local file name count=0
    for file in "$OUTPUT"/*.status; do
        name=${file##*/}
        name=${name%.status}
        count=$((count + 1))
        check_eq "status of $name" "$(cat "$file")" 0
        check_eq "stderr of $name" "$(cat "$OUTPUT/$name.err")" ''
        [ -s "$OUTPUT/$name" ] || fail "$name printed nothing"
    done
    check_range 'programs run' "$count" "$1" 100
}

said() { # NAME
    cat "$OUTPUT/$1"
}

check_load() { # WHAT TEXT LOW HIGH: the first of three load averages, in hundredths
    local load
    load=$(sed -n 's/.*load average: *\([0-9]*\)\.\([0-9][0-9]\).*/\1\2/ip' <<<"$2" | head -n 1)
    check_range "load average (hundredths) of $1" "$((10#${load:-999999}))" "$3" "$4"
}

check_uptime() { # WHAT TEXT: a first line of uptime, top or w
    check_match "uptime of $1" "$2" 'up +[0-4] min'
}

# us+sy+ni of a procps top's CPU line, in tenths of a percent; the parts sum to 100.
top_busy() { # LINE
    local sum
    sum=$(sed 's/.*: *//; s/[a-z]//g; s/,/ /g' <<<"$1" |
        awk '{ for (i = 1; i <= NF; i++) s += $i; printf "%d", s * 10 + 0.5 }')
    check_range "the sum of '$1' in tenths" "$sum" 990 1010
    BUSY=$(sed 's/.*: *//; s/[a-z]//g; s/,/ /g' <<<"$1" | awk '{ printf "%d", ($1 + $2 + $3) * 10 + 0.5 }')
}

check_memory_figures() {
    local total used free shared cache available
    read -r _ total used free shared cache available < <(said free | grep ^Mem:)
    check_eq 'total of free' "$total" 262144
    check_range 'used of free' "$used" 0 "$total"
    check_range 'free of free' "$free" $((200 << 10)) "$total"
    check_range 'available of free' "$available" "$free" "$total"
    check_match 'memory of top' "$(said top | grep '^MiB Mem')" ' 256\.0 total'
    check_range 'free of vmstat' "$(said vmstat | awk 'NR == 3 { print $4 }')" $((200 << 10)) 262144
    check_eq 'head of meminfo' "$(said head | tr -s ' ')" 'MemTotal: 262144 kB'
    # used, free: from meminfo
    check_eq 'used + free of busybox top' \
        "$(said b-top | sed -n 's/^Mem: *\([0-9]*\)K used, *\([0-9]*\)K free.*/\1 \2/p' | awk '{ print $1 + $2 }')" 262144
    # "available" is from meminfo, the rest from sysinfo(2).
    read -r _ total _ _ _ _ available < <(said b-free | grep ^Mem:)
    check_eq 'total of busybox free, the host'"'"'s' "$total" "$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)"
    check_range 'available of busybox free' "$available" $((200 << 10)) 262144
}

check_cpu_figures() { # CPUS LIST AFFINITY
    check_eq 'CPUs of lscpu' "$(said lscpu | awk '/^CPU\(s\):/ { print $2 }')" "$1"
    check_eq 'CPUs online of lscpu' "$(list_length "$(said lscpu | awk '/^On-line CPU/ { print $4 }')")" "$1"
    check_eq 'CPUs of cpuinfo' "$(said cat-cpuinfo | grep -c ^processor)" "$1"
    check_eq 'CPUs of stat' "$(said cat-stat | grep -c '^cpu[0-9]')" "$1"
    check_eq 'CPUs online' "$(said cat-online)" "$2"
    check_eq 'nproc' "$(said nproc)" "$3"
    check_eq 'busybox nproc' "$(said b-nproc)" "$3"
    check_eq 'wc of cpuinfo' "$(said wc | awk '{ print $1, $2 }')" \
        "$(said cat-cpuinfo | wc -lc | awk '{ print $1, $2 }')"
    check_match 'tail of stat' "$(said tail)" '^softirq'
}

check_idle_figures() {
    local line
    check_uptime uptime "$(said uptime)"
    check_uptime w "$(said w | head -n 1)"
    check_uptime top "$(said top | head -n 1)"
    check_load uptime "$(said uptime)" 0 300
    check_load top "$(said top | head -n 1)" 0 300
    check_load w "$(said w | head -n 1)" 0 300
    check_load 'busybox top' "$(said b-top | grep '^Load' | tr L l)" 0 300
    top_busy "$(said top | grep '^%Cpu')"
    line=$(said vmstat | awk 'NR == 3 { print $13 + $14 + $15 + $16 + $17 }')
    check_range 'sum of the CPU columns of vmstat' "$line" 98 102
    check_match 'init of ps' "$(said ps | awk '$2 == 1')" '^root .* /bin/sleep 1000$'
    check_match 'busybox uptime' "$(said b-uptime)" 'up .*load average: [0-9.]+, [0-9.]+, [0-9.]+$'
}

host_affinity() {
    list_length "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)"
}

case_programs() { # ENGINE
    bundle_defaults
    programs_run "$1" "programs-$1" "$QUIET" || return
    check_programs 20
    [ -e "$OUTPUT/b-vmstat" ] || note 'busybox has no vmstat here'
    check_memory_figures
    local list
    list=$(cat "$WORK/run/views/programs-$1/sys/devices/system/cpu/online")
    check_cpu_figures "$(expected_cpus)" "$list" "$(host_affinity)"
    check_idle_figures
}

# What top says of the CPUs is what it says of the processes, over the same second: three quarters of
# two CPUs for two loops, half for one, on a host that has the time; on a busy host less, in both.
check_busy() { # CPUS LOOPS QUOTA_PERCENT
    local cpus=$1 most=$(($2 * 100)) processes busy
    [ "$most" -le "$3" ] || most=$3
    [ "$most" -le $((cpus * 100)) ] || most=$((cpus * 100))
    top_busy "$(said top | grep '^%Cpu' | tail -n 1)"
    # Tenths of a percent of all CPUs.
    processes=$(said top | awk -v cpus="$cpus" '/^top -/ { frame++ } frame == 2 && $1 ~ /^[0-9]+$/ { s += $9 }
        END { printf "%d", s * 10 / cpus }')
    note "top: CPUs $((BUSY / 10)) % busy, by its processes $((processes / 10)) %"
    check_range 'CPU line of top, tenths' "$BUSY" $((processes - 80)) $((processes + 80))
    check_range 'CPU line of top, tenths' "$BUSY" 50 $((most * 10 / cpus + 80))
    # The second line of vmstat: us sy id wa st
    read -r busy processes < <(said vmstat | awk 'NR == 4 { print $13 + $14, $13 + $14 + $15 + $16 + $17 }')
    check_range 'sum of the second line of vmstat' "$processes" 98 102
    check_range 'busy of the second line of vmstat' "$busy" 5 $((most / cpus + 8))
    busy=$(said b-top | sed -n 's/^CPU: *\([0-9]*\)% usr *\([0-9]*\)% sys.*/\1 \2/p' | tail -n 1 | awk '{ print $1 + $2 }')
    check_range 'CPU line of busybox top' "$busy" 5 $((most / cpus + 8))
}

LOOP='while :; do :; done'

case_programs_loops() { # ENGINE LOOPS
    bundle_defaults
    B_INIT='["/bin/sh","-c","'$LOOP'"]'
    [ "$2" = 1 ] || B_INIT='["/bin/sh","-c","'$LOOP' & '$LOOP'"]'
    programs_run "$1" "loops-$2-$1" "$WATCH" || return
    check_programs 4
    check_busy "$(expected_cpus)" "$2" 150
    # The first read says what runs now.
    check_load uptime "$(said uptime)" $(($2 * 100)) $((($2 + 2) * 100))
    check_uptime uptime "$(said uptime)"
}

has_cpuset() {
    if on_v2; then
        grep -qw cpuset /sys/fs/cgroup/cgroup.controllers
    else
        [ -e /sys/fs/cgroup/cpuset/cpuset.cpus ]
    fi
}

# Exactly one CPU, and the host's number of it.
case_programs_one_cpu() { # ENGINE
    has_cpuset || {
        skip 'no cpuset controller'
        return
    }
    [ "$(list_length "$(cat /sys/devices/system/cpu/online)")" -gt 1 ] || {
        skip 'the host has one CPU'
        return
    }
    bundle_defaults
    B_CPUS=1 B_INIT='["/bin/sh","-c","'$LOOP'"]'
    programs_run "$1" "one-cpu-$1" "$QUIET$WATCH" || return
    check_programs 20
    check_cpu_figures 1 1 1
    check_eq 'the CPU of cpuinfo' "$(said cat-cpuinfo | awk '/^processor/ { print $3 }')" 1
    check_eq 'the CPU of stat' "$(said cat-stat | awk '/^cpu[0-9]/ { print $1 }')" cpu1
    check_busy 1 1 150
}

program_cases() {
    local engine
    for engine in $ENGINES; do
        command -v "$engine" >/dev/null || {
            run_case "$engine-programs" skip "$engine is not installed"
            continue
        }
        engine_case "$engine" "$engine-programs" case_programs "$engine"
        engine_case "$engine" "$engine-programs-one-loop" case_programs_loops "$engine" 1
        engine_case "$engine" "$engine-programs-two-loops" case_programs_loops "$engine" 2
        engine_case "$engine" "$engine-programs-one-cpu" case_programs_one_cpu "$engine"
    done
}
