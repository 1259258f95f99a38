# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # set in the other files
#
# What the language runtimes and stress-ng showed, and the list of all cases.

host_memory_mib() {
    awk '/^MemTotal:/ { printf "%d", $2 / 1024 }' /proc/meminfo
}

case_python() { # PHASE
    local cpus judge key
    phase "$1" || return
    cpus=$(cpus_of "$1") judge=python$(label "$1")
    [ "$1" != busy ] || judge="$judge, under load"
    for key in cpu_count psutil.cpu_count psutil.cores; do
        shows "$judge" "$key" "$(field $key python)" "$cpus"
    done
    known_host "$judge" os.sched_getaffinity "$(field affinity python)" "$(host_affinity)" "$cpus"
    shows "$judge" 'virtual_memory total, MiB' "$(field total python)" 256
    within "$judge" 'virtual_memory available, MiB' "$(field available python)" "$(field free python)" 256
    within "$judge" 'virtual_memory used, MiB' "$(field used python)" 0 140
    within "$judge" 'cpu_times over the age, hundredths of a CPU' "$(field cpus_by_time python)" \
        $((cpus * 100 - 10)) $((cpus * 100 + 10))
    within "$judge" 'cpu_percent, all CPUs' "$(field cpu_percent python | tr ' ' '\n' |
        awk '{ s += $1 } END { print s + 0 }')" 0 $((cpus * 100))
    shows "$judge" 'values of cpu_percent' "$(field cpu_percent python | wc -w)" "$cpus"
    within "$judge" 'now - /proc/uptime, after the start' $(($(field age python) - STARTED)) -3 3
    known "$judge" boot_time "$(whose $(($(field boot_time python) < STARTED - 3)))" "the host's" "the container's"
    known_host "$judge" 'os.sysconf SC_PHYS_PAGES, MiB' "$(field phys_pages python)" \
        "$(awk '/^MemTotal:/ { printf "%.0f", $2 / 1024 }' /proc/meminfo)" 256
    known "$judge" 'cpu_stats ctx_switches' "$(field ctx_switches python)" 0 'above 0'
}

case_python_disks() {
    phase quiet || return
    ! wrote || within python 'disk_io_counters write_bytes, MiB, 1 was' "$(field written python)" 1 8
}

# The C library's getloadavg(3) asks sysinfo(2): the host's load, or nothing of the container's.
case_python_load() {
    phase quiet || return
    row python 'getloadavg, hundredths' "$(field getloadavg python)" "the container's (known: the host's)"
    check_match 'getloadavg' "$(field getloadavg python)" '^[0-9]+ [0-9]+ [0-9]+$'
}

java_memory() { # NAME
    sed -n 's/.*Memory: \([0-9]*M\)$/\1/p' "$SAID/$1"
}

case_java() { # PHASE
    local cpus judge memory
    phase "$1" || return
    cpus=$(cpus_of "$1") judge=java$(label "$1") memory=$(memory_of "$1")
    shows "$judge" 'processors (availableProcessors)' \
        "$(sed -n 's/.*CPUs: [0-9]* total, \([0-9]*\) available.*/\1/p' "$SAID/java")" "$cpus"
    shows "$judge" memory "$(java_memory java)" "${memory}M"
    within "$judge" 'Max. Heap Size (maxMemory), MiB' \
        "$(cat "$SAID/java" "$SAID/java.err" | sed -n 's/.*Max. Heap Size (Estimated): \([0-9]*\).*M$/\1/p')" $((memory / 4 - 16)) $((memory / 2))
    [ "$1" = quiet ] || return 0
    judge='java -XX:-UseContainerSupport'
    known_host "$judge" processors \
        "$(sed -n 's/.*CPUs: [0-9]* total, \([0-9]*\) available.*/\1/p' "$SAID/java-no-cgroup")" "$(host_affinity)" "$cpus"
    known_host "$judge" memory "$(java_memory java-no-cgroup)" "$(host_memory_mib)M" "${memory}M"
}

case_node() { # PHASE
    local cpus judge memory
    phase "$1" || return
    cpus=$(cpus_of "$1") judge=node$(label "$1") memory=$(memory_of "$1")
    shows "$judge" 'os.cpus().length' "$(field cpus node)" "$cpus"
    shows "$judge" 'os.totalmem' "$(field totalmem node)" $((memory << 20))
    within "$judge" 'os.freemem, MiB' $(($(field freemem node) >> 20)) $((memory / 2)) "$memory"
    within "$judge" 'os.uptime' "$(field uptime node)" 0 $((AGE + 1))
    within "$judge" 'os.loadavg, hundredths' "$(field loadavg node | cut -d' ' -f1)" 0 1200
    # sched_getaffinity(2); newer ones look at the quota too.
    within "$judge" 'os.availableParallelism' "$(field parallelism node)" "$cpus" "$(host_affinity)"
    # Of the cgroup's file; libuv knows v2's since 1.45, and before it says 0 there.
    if on_v2 && [ "$(field libuv node | cut -d. -f2)" -lt 45 ]; then
        known "$judge" 'process.constrainedMemory, MiB' $(($(field constrained node) >> 20)) 0 "$memory"
    else
        shows "$judge" 'process.constrainedMemory, MiB' $(($(field constrained node) >> 20)) "$memory"
    fi
}

case_stress() {
    phase one-cpu || return
    shows 'stress-ng --cpu -1, quota 0.5' 'CPUs it loads' "$(stress_cpus stress-online)" 1
    # "possible" stays the host's.
    known_host 'stress-ng --cpu 0, quota 0.5' 'CPUs it loads' "$(stress_cpus stress-configured)" \
        "$(list_length "$(cat /sys/devices/system/cpu/possible)")" 1
}

stress_cpus() { # NAME
    cat "$SAID/$1" "$SAID/$1.err" | sed -n 's/.*dispatching hogs: \([0-9]*\) cpu.*/\1/p'
}

host_swaps() {
    [ "$(wc -l </proc/swaps)" -gt 1 ]
}

judge_cases() {
    run_case quiet-no-warnings case_clean quiet
    run_case busy-no-warnings case_clean busy
    run_case free case_free
    run_case top case_top
    run_case uptime case_uptime
    run_case vmstat case_vmstat
    run_case ps case_ps
    run_case ps-host-uptime case_ps_host_uptime
    run_case nproc case_nproc quiet
    run_case lscpu case_lscpu quiet
    run_case mpstat case_mpstat quiet
    run_case mpstat-busy case_mpstat_busy
    run_case python case_python quiet
    run_case python-busy case_python busy
    run_case python-load case_python_load
    run_case python-disks case_python_disks
    ! on_v2 || run_case cgtop case_cgtop
    ! host_swaps || run_case swap-no-warnings case_clean swap
    ! host_swaps || run_case swap case_swap
    run_case mpstat-interrupts case_mpstat_interrupts
    run_case sar case_sar
    run_case iostat case_iostat
    run_case vmstat-disks case_vmstat_disks
    run_case slabtop case_slabtop
    run_case lsblk case_lsblk
    run_case numactl case_numactl quiet
    run_case htop case_htop quiet
    run_case htop-busy case_htop busy
    run_case java case_java quiet
    run_case node case_node quiet
    one_cpu_cases
    pod_cases
}

# Where the host has more than one, so that fewer can be seen.
one_cpu_cases() {
    local judge
    run_case one-cpu-no-warnings case_clean one-cpu
    for judge in nproc lscpu mpstat python numactl htop java node; do
        run_case "one-cpu-$judge" "case_$judge" one-cpu
    done
    run_case one-cpu-stress case_stress
}

# Limits of the cgroup above the container's.
pod_cases() {
    local judge
    run_case pod-no-warnings case_clean pod
    run_case pod-free case_free_pod
    for judge in lscpu java node; do
        run_case "pod-$judge" "case_$judge" pod
    done
}
