#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# vm-checks.sh - the part of vm-test.sh that runs in the test machine
#
# Usage: vm-checks.sh DIR
#
# DIR holds stage.tar (the installed tree), hook/, judges/ and peers/ (suites) and DIFFERENCES.md. Prints TAP; exit 1 when a
# test failed. A fork costs about 30 times what it costs on the host: as few as can be.
set -u

share=$1
bin=/run/sysfsd-test/bin
runtime_dir=/run/sysfsd
image=localhost/sysfsd-test
swap=/var/tmp/sysfsd-swap
tests=0
failed=0

# result STATUS NAME [DETAIL]
result() {
    tests=$((tests + 1))
    if [ "$1" = 0 ]; then
        echo "ok $tests - $2"
        return
    fi
    failed=$((failed + 1))
    echo "not ok $tests - $2"
    [ -z "${3-}" ] || echo "#   ${3//$'\n'/$'\n'#   }"
}

# check NAME COMMAND...: passes when COMMAND does
check() {
    local name=$1 output
    shift
    output=$("$@" 2>&1)
    result $? "$name" "$output"
}

# service PROPERTY: its value
service() {
    systemctl show -P "$1" sysfsd
}

# Prints the mounts of views; passes when there are some.
views() {
    grep -F " $runtime_dir/" /proc/self/mountinfo
}

install_stage() {
    # Debian's /lib is a link into /usr: it has to stay one.
    tar -C / --keep-directory-symlink --no-overwrite-dir -xf "$share/stage.tar" &&
        ldconfig && systemctl daemon-reload &&
        mkdir -p "$bin" && ln -s /usr/sbin/sysfsd /usr/bin/sysfs-hook /usr/bin/sysfs-ctl "$bin"
}

same_mount_namespace() {
    local pid
    pid=$(service MainPID)
    [ "$(readlink "/proc/$pid/ns/mnt")" = "$(readlink /proc/1/ns/mnt)" ]
}

# The unit's CapabilityBoundingSet: DAC_OVERRIDE (1), DAC_READ_SEARCH (2), SYS_PTRACE (19), SYS_CHROOT (18),
# SYS_ADMIN (21), SYS_RESOURCE (24)
few_capabilities() {
    local key value pid bound=
    pid=$(service MainPID)
    while read -r key value; do
        case $key in
        CapBnd:) bound=$value ;;
        NoNewPrivs:) [ "$value" = 1 ] || return ;;
        esac
    done <"/proc/$pid/status"
    echo "CapBnd: $bound"
    [ $((16#$bound & ~0x12C0006)) = 0 ]
}

reload_keeps_process() {
    local pid
    pid=$(service MainPID)
    systemctl reload sysfsd && sleep 1 && systemctl is-active sysfsd && [ "$(service MainPID)" = "$pid" ]
}

comes_back_after_kill() {
    local pid tries=0
    pid=$(service MainPID)
    kill -KILL "$pid"
    while [ $tries -lt 40 ]; do
        sleep 0.5
        systemctl -q is-active sysfsd && [ "$(service MainPID)" != "$pid" ] && return
        tries=$((tries + 1))
    done
    systemctl status --no-pager sysfsd
    return 1
}

stops_clean() {
    systemctl stop sysfsd
    [ "$(service Result)" = success ] && ! views
}

unit_checks() {
    check "unit: installed" install_stage
    check "unit: systemd-analyze verify accepts it" systemd-analyze verify sysfsd.service
    check "unit: starts" systemctl start sysfsd
    check "unit: is active" systemctl is-active sysfsd
    systemctl -q is-active sysfsd || journalctl --no-pager -o cat -u sysfsd -n 30 | sed 's/^/#   /'
    check "unit: has PID 1's mount namespace" same_mount_namespace
    check "unit: no other capabilities" few_capabilities
    check "unit: reload keeps the process" reload_keeps_process
    check "unit: comes back after SIGKILL" comes_back_after_kill
}

# suite_checks NAME COMMAND...: a suite's lines, numbered anew
suite_checks() {
    local line name=$1 before=$failed
    shift
    while IFS= read -r line; do
        case $line in
        "ok "[0-9]*" - "*)
            tests=$((tests + 1))
            echo "ok $tests - $name: ${line#* - }"
            ;;
        "not ok "[0-9]*" - "*) result 1 "$name: ${line#* - }" ;;
        1..0*) result 1 "$name: $line" ;;
        1..*) ;;
        *) echo "# ${line#\# }" ;;
        esac
    done < <("$@" 2>&1)
    wait $!
    local status=$?
    # A suite that broke off has no line that says so.
    [ $status = 0 ] || [ "$failed" != "$before" ] || result 1 "$name: the suite ended with status $status"
}

judges_checks() {
    suite_checks judges "$share/judges/run-judges-tests.sh" --bindir "$bin"
}

hook_checks() {
    suite_checks hook "$share/hook/run-hook-tests.sh" --bindir "$bin"
}

# What v2 counts in another way than v1: limits that change, and CPU time that the kernel does not count by CPU.
live_checks() { # CASE,CASE...
    SYSFSD_TEST_SECONDS=8 suite_checks live "$share/live/run-live-tests.sh" --bindir "$bin" --testdir "$share/live" --only "$1"
}

peers_checks() {
    suite_checks peers env SYSFSD_TEST_TABLE="$share/DIFFERENCES.md" "$share/peers/run-peers-tests.sh" --bindir "$bin"
}

swap_on() {
    fallocate -l 512M "$1" && chmod 600 "$1" && mkswap "$1" && swapon "$1"
}

# A process in a cgroup and a mount namespace of its own, with its view: the least that is a container.
lives=()
start_life() { # ID
    local pid dir=/sys/fs/cgroup/sysfsd-resume/$1
    mkdir -p "$dir" && echo $((64 << 20)) >"$dir/memory.max" || return
    (
        echo "$BASHPID" >"$dir/cgroup.procs"
        exec unshare -m --propagation private sleep 10000
    ) </dev/null >/dev/null 2>&1 &
    pid=$!
    until grep -q '^sleep' /proc/$pid/comm; do sleep 0.1; done
    echo $pid >"/run/life.$1"
    sysfs-ctl attach --pid $pid --id "$1"
}

life_reads_its_own() { # PID
    local key total rest
    read -r key total rest <"/proc/$1/root/proc/meminfo"
    [ "$key $total" = "MemTotal: 65536" ] || {
        echo "$key $total"
        return 1
    }
}

# replaced COMMAND...: another process serves afterwards
replaced() {
    local pid tries
    pid=$(service MainPID)
    "$@"
    for tries in {1..100}; do
        [ "$(service MainPID)" != "$pid" ] && systemctl -q is-active sysfsd && return
        sleep 0.1
    done
    echo "still $pid after $tries tries"
    return 1
}

kill_main() { # SIGNAL
    kill "-$1" "$(service MainPID)"
}

# A child that the unit's signals do not end, as if the kernel kept it waiting: nobody waits for it.
replaced_beside_child() {
    local child begin=$SECONDS result=0
    (
        trap '' TERM
        echo "$BASHPID" >/sys/fs/cgroup/system.slice/sysfsd.service/cgroup.procs
        exec sleep 60
    ) &
    child=$!
    sleep 0.5
    replaced kill_main KILL || result=1
    [ $((SECONDS - begin)) -lt 8 ] || result=1
    kill -9 $child
    echo "$((SECONDS - begin)) s"
    return $result
}

other_build() {
    cp "$share/sysfsd.stripped" /usr/sbin/sysfsd.new && mv /usr/sbin/sysfsd.new /usr/sbin/sysfsd && systemctl restart sysfsd
}

# They go on until they have done all that they were to do.
readers_end() { # LEAST-READS
    local tries
    kill "$storm"
    # Not wait: check runs this in a shell whose child it is not.
    for tries in {1..3600}; do
        case $(cut -d ' ' -f 3 "/proc/$storm/stat" 2>/dev/null) in '' | Z) break ;; esac
        sleep 0.1
    done
    [ "$tries" != 3600 ] || echo 'the readers do not end'
    cat /run/storm.err
    tail -n 1 /run/storm
    [[ $(tail -n 1 /run/storm) =~ ^reads=([0-9]+)\ errors=0\ wrong=0 ]] && [ "${BASH_REMATCH[1]}" -ge "$1" ]
}

# Under systemd's own fd store, while all files of three views are read without a pause.
resume_checks() {
    local n
    echo '+memory +cpu' >/sys/fs/cgroup/cgroup.subtree_control
    mkdir /sys/fs/cgroup/sysfsd-resume
    echo '+memory' >/sys/fs/cgroup/sysfsd-resume/cgroup.subtree_control
    for n in a b c; do
        check "resume: container $n is attached" start_life $n
        lives+=("$(cat /run/life.$n)")
    done
    # shellcheck disable=SC2046 # a word each
    "$share/storm" --least 10000 8 $(printf '/proc/%s/root ' "${lives[@]}") >/run/storm 2>/run/storm.err &
    storm=$!
    for n in {1..5}; do
        check "resume: kill $n" replaced kill_main KILL
    done
    check "resume: a person's kill" replaced kill_main TERM
    check "resume: kill, beside a child that does not end" replaced_beside_child
    echo 'no such line' >/etc/sysfsd.conf
    check "resume: kill, with a wrong configuration" replaced kill_main KILL
    check "resume: restart, with a wrong configuration" replaced systemctl restart sysfsd
    rm /etc/sysfsd.conf
    # And as fast as they come.
    for n in {1..45}; do
        systemctl kill -s KILL sysfsd
        sleep 0.3
    done
    for n in {1..3}; do
        check "resume: restart $n" replaced systemctl restart sysfsd
    done
    # Ages and times are of the boot clock.
    check "resume: the clock jumps" date -s '+1 hour'
    check "resume: reload-or-restart" systemctl reload-or-restart sysfsd
    check "resume: another build" replaced other_build
    check "resume: no reader noticed, in 10000 reads" readers_end 10000
    echo "# $(tail -n 1 /run/storm)"
    check "resume: still its own numbers" life_reads_its_own "${lives[0]}"
    check "resume: all three resumed" grep -q '"resumed": *3' <(sysfs-ctl --json status)
    # Nothing is held over a stop: the views are made anew, and attached again.
    check "resume: stop" systemctl stop sysfsd
    check "resume: start" systemctl start sysfsd
    sleep 2
    check "resume: healed after a stop" life_reads_its_own "${lives[1]}"
    for n in a b c; do
        sysfs-ctl detach $n
    done >/dev/null
    kill -9 "${lives[@]}"
    sleep 0.5
    rmdir /sys/fs/cgroup/sysfsd-resume/{a,b,c} /sys/fs/cgroup/sysfsd-resume
}

# A busybox image, without a network.
import_image() {
    local applet root=/run/sysfsd-test/root
    mkdir -p $root/{bin,dev,etc,proc,sys,tmp,run} && cp /bin/busybox $root/bin/ || return
    for applet in sh cat grep; do
        ln -s busybox $root/bin/$applet
    done
    tar -C $root -c . | podman import -q - $image
}

# podman_check NAME OPTION...: what a container with 256 MiB and 1.5 CPUs reads
podman_check() {
    local name=$1 start=$SECONDS output status total cpus online uptime rest
    shift
    # shellcheck disable=SC2016  # for the container's shell
    output=$(timeout 120 podman "$1" run --rm --network none --memory 256m --cpus 1.5 \
        --annotation io.sysfsd.required=true "${@:2}" $image \
        sh -c 'set -- $(grep MemTotal /proc/meminfo); m="$2 $3"
            echo "$m/$(grep -c ^processor /proc/cpuinfo)/$(cat /sys/devices/system/cpu/online)/$(cat /proc/uptime)"' 2>&1)
    status=$?
    IFS=/ read -r total cpus online uptime rest <<<"$output"
    [ $status = 0 ] && [ "$total" = "262144 kB" ] && [ "$cpus" = 2 ] && [ "$online" = 0-1 ]
    result $? "podman: $name: 262144 kB, 2 CPUs" "status $status: $output"
    # Counted from the container's start: it cannot be older than this test.
    [[ $uptime =~ ^([0-9]+)\.[0-9]+\ [0-9]+\.[0-9]+$ ]] && [ "${BASH_REMATCH[1]}" -le $((SECONDS - start + 1)) ]
    result $? "podman: $name: uptime is the container's" "after $((SECONDS - start)) s: $uptime"
}

no_views_left() {
    local tries
    for tries in {1..10}; do
        views >/dev/null || return 0
        sleep 0.5
    done
    echo "after $tries tries:"
    views
    return 1
}

podman_checks() {
    local runtime
    check "podman: imports an image" import_image
    for runtime in runc crun; do
        podman_check "$runtime" --runtime=$runtime
        podman_check "$runtime with a user namespace" --runtime=$runtime --uidmap 0:100000:65536
    done
    check "podman: no view is left" no_views_left
}

unit_checks
resume_checks
podman_checks
hook_checks
live_checks limits,stat-shares,pressure
# What follows is judged with swap, which the host of scripts/test need not have.
check "swap on" swap_on $swap
live_checks swap
judges_checks
peers_checks
check "swap off" swapoff $swap
check "unit: stops clean and leaves no mount" stops_clean
echo "1..$tests"
[ $failed = 0 ]
