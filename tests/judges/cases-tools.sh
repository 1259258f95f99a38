# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2153,SC2154 # set in the other files
#
# What the distribution's tools showed: procps, sysstat, util-linux, numactl, htop.
#
# What no file of a view can change is asserted as it is, by known_host(): sched_getaffinity(2), which
# no quota narrows, sysinfo(2), and files in /sys that have no view.

MEMORY_KB=262144

cpus_of() { # PHASE
    case $1 in
    one-cpu | pod) echo 1 ;;
    *) expected_cpus ;;
    esac
}

whose() { # 1: the host's
    [ "$1" = 1 ] && echo "the host's" || echo "the container's"
}

host_affinity() {
    list_length "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)"
}

check_sum() { # JUDGE LINE FIELD...: the fields of a line of percentages sum to 100
    local judge=$1 line=$2
    shift 2
    within "$judge" 'sum of the CPU columns' "$(awk -v fields="$*" '{
        n = split(fields, f, " "); for (i = 1; i <= n; i++) s += $f[i]; printf "%d", s + 0.5 }' <<<"$line")" 98 102
}

case_free() {
    local total used free shared cache available
    phase quiet || return
    read -r _ total used free shared cache available < <(said free-m | grep ^Mem:)
    shows 'free -m' total "$total" 256
    within 'free -m' used "$used" 0 64
    within 'free -m' 'used + free + buff/cache' $((used + free + cache)) 254 256
    within 'free -m' available "$available" "$free" 256
    shows 'free -m' swap "$(said free-m | awk '/^Swap:/ { print $2 }')" $(($(awk '{ print $2 }' \
        <<<"$(grep ^SwapTotal "$VIEW/proc/meminfo")") / 1024))
    shows 'free -k' total "$(said free-k | awk '/^Mem:/ { print $2 }')" $MEMORY_KB
    within 'free -k' shared "$shared" 0 64
    phase busy || return
    read -r _ total used free shared cache available < <(said free-m | grep ^Mem:)
    within 'free -m, under load' 'used, 64 held by a program' "$used" 60 140
    within 'free -m, under load' available "$available" "$free" 192
}

# The MiB a phase's container has.
memory_of() { # PHASE
    [ "$1" = pod ] && echo "$POD_MIB" || echo 256
}

case_free_pod() {
    phase pod || return
    shows 'free -m, in a pod' total "$(said free-m | awk '/^Mem:/ { print $2 }')" "$POD_MIB"
}

# 96 MiB were taken by a program that might have 64 of memory. v1 limits memory and swap together.
case_swap() {
    local total used free kb=$((SWAP_MIB << 10)) least=$((28 << 10))
    phase swap || return
    ! on_v2 || kb=$((kb * 2))
    shows 'free -k, swapping' total "$(said free-k | awk '/^Mem:/ { print $2 }')" $((SWAP_MIB << 11))
    read -r _ total used free < <(said free-k | grep ^Swap:)
    shows 'free -k, swapping' 'swap total' "$total" $kb
    within 'free -k, swapping' 'swap used' "$used" $least $kb
    check_eq 'swap used + free' $((used + free)) $kb
    shows 'top, swapping' 'MiB Swap total' "$(said top | sed -n 's/^MiB Swap: *\([0-9.]*\) total.*/\1/p')" $((kb >> 10)).0
    within 'vmstat, swapping' swpd "$(said vmstat | awk 'NR == 3 { print $3 }')" $least $kb
    read -r total used < <(said swapon)
    shows 'swapon --show, swapping' 'size, bytes' "$total" $((kb << 10))
    within 'swapon --show, swapping' 'used, bytes' "$used" $((least << 10)) $((kb << 10))
    read -r free used < <(said sar-S | awk '/^Average/ { print $2, $3 }')
    shows 'sar -S, swapping' 'kbswpfree + kbswpused' $((free + used)) $kb
    within 'sar -S, swapping' kbswpused "$used" $least $kb
    read -r total used <<<"$(field swap python)"
    shows 'python, swapping' 'swap_memory total, MiB' "$total" $((kb >> 10))
    within 'python, swapping' 'swap_memory used, MiB' "$used" $((least >> 10)) $((kb >> 10))
}

case_top() {
    local line
    phase quiet || return
    shows top 'MiB Mem total' "$(said top | sed -n 's/^MiB Mem : *\([0-9.]*\) total.*/\1/p')" 256.0
    within top 'minutes up' "$(said top | sed -n '1s/.*up \([0-9]*\) min.*/\1/p')" 0 $((AGE / 60))
    within top 'Tasks total' "$(said top | awk '/^Tasks:/ { print $2 }')" 3 20
    phase busy || return
    line=$(said top | grep '^%Cpu' | tail -n 1)
    line=$(sed 's/.*: *//; s/[a-z]//g; s/,/ /g' <<<"$line")
    check_sum 'top, under load' "$line" 1 2 3 4 5 6 7 8
    check_busy_share 'top, under load' "$(awk '{ printf "%d", $1 + $2 + $3 + 0.5 }' <<<"$line")"
    # The second screen's processes, over the same second.
    within 'top, under load' 'CPU line, as its processes say' "$(awk '{ printf "%d", $1 + $2 + $3 + 0.5 }' <<<"$line")" \
        $(($(top_processes) - $(busy_slack))) $(($(top_processes) + $(busy_slack)))
    check_ps_memory
}

top_processes() { # their %CPU, of all CPUs
    said top | awk -v cpus="$(cpus_of busy)" '/^top -/ { screen++ }
        screen == 2 && $1 ~ /^[0-9]+$/ { s += $9 } END { printf "%d", s / cpus }'
}

# How far above the truth a busy CPU may be shown, in percent of all CPUs. A second may hold one period
# of the quota more than its share.
busy_slack() {
    echo 20
}

# Busy: some, and no more than the quota of 1.5 lets be. On a host that has the time it is all of that.
check_busy_share() { # JUDGE PERCENT
    local cpus most
    cpus=$(cpus_of busy)
    most=$((150 / cpus + $(busy_slack)))
    within "$1" 'CPU busy, quota 150 %' "$2" 2 $((most > 100 ? 100 : most))
}

case_uptime() {
    phase quiet || return
    within uptime 'minutes up' "$(said uptime | sed -n 's/.*up \([0-9]*\) min.*/\1/p')" 0 $((AGE / 60))
    within 'uptime -s' 'seconds after the start' $(($(date -d "$(said since)" +%s) - STARTED)) -3 3
    within uptime 'load, hundredths, first read' "$(load_of uptime)" 0 200
    phase busy || return
    within 'uptime, under load' 'load, hundredths' "$(load_of uptime)" 4 1200
}

load_of() { # NAME
    hundredths "$(said "$1" | sed -n 's/.*load average: *\([0-9.]*\).*/\1/p' | head -n 1)"
}

case_vmstat() {
    local line
    phase quiet || return
    within vmstat free "$(said vmstat | awk 'NR == 3 { print $4 }')" $((128 << 10)) $MEMORY_KB
    phase busy || return
    # Programs that begin together look together: one of two rounds may show the last values once more (README.md, Limits).
    line=$(said vmstat | tail -n 2 | awk '{ print $13 + $14, $0 }' | sort -n | tail -n 1 | cut -d ' ' -f 2-)
    within 'vmstat, under load' 'r' "$(awk '{ print $1 }' <<<"$line")" 1 20
    check_sum 'vmstat, under load' "$line" 13 14 15 16 17
    check_busy_share 'vmstat, under load' "$(awk '{ print $13 + $14 }' <<<"$line")"
    known 'vmstat, under load' 'in, cs' "$(awk '{ print $11, $12 }' <<<"$line")" '0 0' 'above 0'
    case_vmstat_io
}

case_vmstat_io() {
    local paged
    phase quiet || return
    # The first line: KiB since boot over the age, so of the host's boot when that file is the host's.
    paged=$(said vmstat | awk 'NR == 3 { print $9, $10 }')
    # What came from a disk since the container began; the kernel does not say it of a cgroup in
    # these words, and the host's would be hundreds of MiB.
    within vmstat 'bi + bo of the first line times the age, KiB' \
        "$(awk -v age="$AGE" '{ print ($1 + $2) * age }' <<<"$paged")" 0 65536
}

case_ps() {
    phase quiet || return
    within 'ps aux' processes "$(said ps | grep -c '^root ')" 3 20
    shows 'ps aux' 'COMMAND of PID 1' "$(said ps | awk '$2 == 1' | grep -o '/bin/sh.*')" '/bin/sh -c sleep 10000; :'
    phase busy || return
    within 'ps -o lstart' 'start of PID 1, seconds' \
        $(($(date -d "$(said ps-etime | awk '$1 == 1 { print $4, $5, $6, $7, $8 }')" +%s) - STARTED)) -3 3
    # Both are uptime - start; the one is the container's, the other is counted from the host's boot.
    known 'ps -o etimes' 'age of PID 1' "$(said ps-etime | awk '$1 == 1 { print ($2 > 1e6) ? "above 1000000" : $2 }')" \
        'above 1000000' "$AGE"
    known 'ps aux' '%CPU of the load' "$(said ps | awk '/stress-ng-cpu|while/ && $3 > max { max = $3 } END { print max + 0 }')" \
        0 'above 0'
}

# What docs/COMPATIBILITY.md advises to those who need these columns of ps.
case_ps_host_uptime() {
    phase host-uptime || return
    within 'ps -o etimes, no view of uptime' 'age of PID 1' "$(said ps-etime | awk '$1 == 1 { print $2 }')" 1 $((AGE + 1))
    within 'ps aux, no view of uptime' '%CPU of the load' \
        "$(said ps | awk '/while/ && $3 > max { max = $3 } END { printf "%d", max }')" 5 110
}

check_ps_memory() {
    within 'ps aux, under load' '%MEM of 64 MiB of 256' \
        "$(said ps | awk '/stress-ng-vm/ && $4 > max { max = $4 } END { printf "%d", max }')" 20 40
    within 'top, under load' '%MEM of 64 MiB of 256' \
        "$(said top | awk '/stress/ && $10 > max { max = $10 } END { printf "%d", max }')" 20 40
}

case_nproc() { # PHASE
    phase "$1" || return
    known_host "nproc$(label "$1")" CPUs "$(said nproc)" "$(host_affinity)" "$(cpus_of "$1")"
}

label() { # PHASE
    case $1 in
    one-cpu) echo ', quota 0.5' ;;
    pod) echo ', in a pod' ;;
    esac
}

case_lscpu() { # PHASE
    local cpus list judge
    phase "$1" || return
    judge=lscpu$(label "$1")
    cpus=$(cpus_of "$1")
    list=$(cat "$VIEW/sys/devices/system/cpu/online")
    shows "$judge" 'CPU(s)' "$(field 'CPU(s):' lscpu)" "$cpus"
    shows "$judge" 'CPUs online' "$(list_length "$(field 'On-line CPU(s) list:' lscpu)")" "$(list_length "$list")"
    shows "$judge" 'threads x cores x sockets' \
        $(($(field 'Thread(s) per core:' lscpu) * $(field 'Core(s) per socket:' lscpu) * $(field 'Socket(s):' lscpu))) "$cpus"
    [ ! -d /sys/devices/system/node ] ||
        shows "$judge" 'CPUs of the NUMA nodes' "$(said lscpu | awk '/^NUMA node[0-9]+ CPU/ { print $NF }' |
            paste -sd, | list_length_of)" "$cpus"
}

list_length_of() { # < LIST
    list_length "$(cat)"
}

case_mpstat() { # PHASE
    local cpus judge
    phase "$1" || return
    judge=mpstat$(label "$1")
    cpus=$(cpus_of "$1")
    shows "$judge" 'CPUs in the first line' "$(said mpstat | sed -n '1s/.*(\([0-9]*\) CPU).*/\1/p')" "$cpus"
    shows "$judge" 'rows of CPUs' "$(said mpstat | grep -c '^Average: *[0-9]')" "$cpus"
    check_sum "$judge" "$(said mpstat | grep '^Average: *all')" 3 4 5 6 7 8 9 10 11 12
}

case_mpstat_busy() {
    phase busy || return
    check_sum 'mpstat, under load' "$(said mpstat | grep '^Average: *all')" 3 4 5 6 7 8 9 10 11 12
    check_busy_share 'mpstat, under load' "$(said mpstat | awk '/^Average: *all/ { printf "%d", $3 + $4 + $5 + 0.5 }')"
}

case_mpstat_interrupts() {
    local all rows
    phase quiet || return
    all=$(said mpstat-I | awk '/intr\/s/ { getline; print $3 }' | tail -n 1)
    known 'mpstat -I ALL' 'intr/s of all' "$all" '0.00' 'above 0'
    rows=$(said mpstat-I | awk '/^Average:/ && $2 ~ /^[0-9]/ { for (i = 3; i <= NF; i++) s += $i } END { print s + 0 }')
    known 'mpstat -I ALL' 'sum over sources and softirqs' "$rows" 0 'above 0'
}

case_sar() {
    local line
    phase quiet || return
    # runq-sz plist-sz ldavg-1 ldavg-5 ldavg-15 blocked
    line=$(said sar-q | grep ^Average)
    within 'sar -q' plist-sz "$(awk '{ print $3 }' <<<"$line")" 2 40
    known 'sar -w' 'proc/s, cswch/s' "$(said sar-w | awk '/^Average/ { print $2, $3 }')" '0.00 0.00' 'above 0'
    phase busy || return
    line=$(said sar-u | grep ^Average)
    check_sum 'sar -u, under load' "$line" 3 4 5 6 7 8
    check_busy_share 'sar -u, under load' "$(awk '{ printf "%d", $3 + $4 + $5 + 0.5 }' <<<"$line")"
    # kbmemfree kbavail kbmemused %memused kbbuffers kbcached ...
    line=$(said sar-r | grep ^Average)
    within 'sar -r, under load' 'kbmemfree + kbmemused + kbbuffers + kbcached' \
        "$(awk '{ print $2 + $4 + $6 + $7 }' <<<"$line")" $((MEMORY_KB - 16384)) $MEMORY_KB
    within 'sar -r, under load' '%memused' "$(awk '{ printf "%d", $5 }' <<<"$line")" 20 60
}

iostat_written() { # DIR
    awk '/^Device/ { on = 1; next } on && NF { kb += $7 } END { printf "%d", kb }' "$1/iostat"
}

case_iostat() {
    phase quiet || return
    shows iostat 'CPUs in the first line' "$(said iostat | sed -n '1s/.*(\([0-9]*\) CPU).*/\1/p')" "$(cpus_of quiet)"
    check_sum iostat "$(said iostat | awk '/^avg-cpu/ { getline; print }')" 1 2 3 4 5 6
    # This iostat reads /sys/block/*/stat and not /proc/diskstats.
    known iostat 'KiB written' "$(whose $(($(iostat_written "$SAID") >= $(iostat_written "$WORK/host") / 2)))" \
        "the host's" "the container's"
    phase busy || return
    check_sum 'iostat -c, under load' "$(said iostat-c | grep -E '^ +[0-9]' | tail -n 1)" 1 2 3 4 5 6
    check_busy_share 'iostat -c, under load' \
        "$(said iostat-c | grep -E '^ +[0-9]' | tail -n 1 | awk '{ printf "%d", $1 + $2 + $3 + 0.5 }')"
}

case_vmstat_disks() {
    local devices
    phase quiet || return
    devices=$(said vmstat-d | awk 'NR > 2 { print $1 }' | sort | paste -sd ' ')
    shows 'vmstat -d' disks "$devices" "$(awk '{ print $3 }' "$VIEW/proc/diskstats" | sort | paste -sd ' ')"
    # Over all of them, as the cgroup counts.
    ! wrote || within 'vmstat -d' 'sectors written, 1 MiB was' \
        "$(said vmstat-d | awk 'NR > 2 { sectors += $8 } END { print sectors + 0 }')" \
        2048 $(($(cat "$VIEW/written") / 512))
}

case_slabtop() {
    phase quiet || return
    # A header without a table: 0 of 0.
    known slabtop objects "$(said slabtop | sed -n 's/.*Total Objects.*: *//p')" '0 / 0 \(-nan%\)' 'no -nan'
}

lsblk_disks() { # DIR
    awk '$6 == "disk" { print $1 }' "$1/lsblk" | sort | paste -sd ' '
}

case_lsblk() {
    phase quiet || return
    # It reads /sys/block, not the view of /proc/partitions.
    known_host lsblk disks "$(lsblk_disks "$SAID")" "$(lsblk_disks "$WORK/host")" \
        "$(awk 'NR > 2 { print $4 }' "$VIEW/proc/partitions" | sort | paste -sd ' ')"
}

case_numactl() { # PHASE
    local judge
    phase "$1" || return
    judge="numactl --hardware$(label "$1")"
    shows "$judge" 'CPUs over the nodes' \
        "$(said numactl | sed -n 's/^node [0-9]* cpus://p' | wc -w)" "$(cpus_of "$1")"
    shows "$judge" 'size over the nodes, MB' "$(said numactl | awk '/^node [0-9]+ size:/ { mb += $4 } END { print mb }')" 256
    within "$judge" 'free over the nodes, MB' "$(said numactl | awk '/^node [0-9]+ free:/ { mb += $4 } END { print mb }')" 100 256
}

# The first drawing of the screen, without the terminal's sequences.
htop_screen() {
    sed -e 's/\x1b\[[0-9;?]*[A-Za-z]//g' -e 's/\x1b[()][A-Z0-9]//g' "$SAID/htop" | tr '\r' '\n'
}

case_htop() { # PHASE
    local judge screen
    phase "$1" || return
    judge=htop$(label "$1")
    [ "$1" != busy ] || judge="$judge, under load"
    screen=$(htop_screen)
    shows "$judge" 'CPU meters' "$(grep -o -E '(^| |[0-9]|CPU)\[[| ]*[0-9.]+%\]' <<<"$screen" | wc -l)" "$(cpus_of "$1")"
    shows "$judge" 'memory' "$(grep -o -m 1 -E '[0-9.]+[KM]/[0-9.]+[KMG]' <<<"$screen" | head -n 1 | cut -d/ -f2)" 256M
    within "$judge" 'Uptime, seconds' "$(grep -o -m 1 -E 'Uptime: [0-9:]+' <<<"$screen" |
        awk -F '[: ]+' '{ print $2 * 3600 + $3 * 60 + $4 }')" 0 $((AGE + 1))
    within "$judge" 'Load average, hundredths' "$(hundredths "$(grep -o -m 1 -E 'Load average: [0-9.]+' <<<"$screen" | awk '{ print $3 }')")" 0 1200
}

# Inside it takes the root's figures from meminfo and loadavg; outside the cgroup's own.
case_cgtop() {
    local tasks memory
    phase quiet || return
    read -r tasks memory < <(said cgtop | awk '$1 == "/" { print $2, $4 }')
    within systemd-cgtop 'tasks of /' "$tasks" 2 20
    within systemd-cgtop 'memory of /, KiB' $((memory / 1024)) 256 65536
    read -r tasks memory < <(awk -v path="$TAG/quiet" '$1 == path { print $2, $4 }' "$VIEW/cgtop")
    within 'systemd-cgtop on the host' "tasks of the container's cgroup" "$tasks" 1 20
    within 'systemd-cgtop on the host' "memory of the container's cgroup, KiB" $((memory / 1024)) 256 $MEMORY_KB
}
