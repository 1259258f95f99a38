#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# inside.sh DIR PHASE [NAME] - runs the programs that are asked for their figures, in the container
# (busybox sh) and, for comparison, on the host. Each one's output goes to DIR/NAME, DIR/NAME.err and
# DIR/NAME.status; nothing is judged here. PHASE: quiet, busy, one-cpu, pod, swap, host-uptime. NAME: only that one
# of the phase's programs.
#
# Always /usr/bin/...: what the machine has in /usr/local or in a home directory is not meant.

DIR=$1 PHASE=$2 WANTED=${3:-}
HERE=${0%/*}
mkdir -p "$DIR"
export TERM=xterm LC_ALL=C.UTF-8 HOME="$DIR" PATH=/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1

say() { # NAME COMMAND...
    name=$1
    shift
    [ "${WANTED:-$name}" = "$name" ] || return
    "$@" >"$DIR/$name" 2>"$DIR/$name.err" </dev/null
    echo $? >"$DIR/$name.status"
}

# The key that ends htop, once its screen is drawn.
quit_htop() {
    tries=0
    until grep -q 'Load average' "$DIR/htop" || [ $tries -gt 150 ]; do
        sleep 0.2
        tries=$((tries + 1))
    done
    printf q
}

# The screen is drawn for a terminal, which script(1) is.
htop_says() {
    [ "${WANTED:-htop}" = htop ] || return
    : >"$DIR/htop"
    quit_htop | /usr/bin/script -qfc 'stty rows 40 cols 120; timeout 40 /usr/bin/htop -d 5' /dev/null \
        >"$DIR/htop" 2>"$DIR/htop.err"
    echo $? >"$DIR/htop.status"
}

java_says() {
    say java /usr/bin/java -XX:TieredStopAtLevel=1 -Xlog:gc+init -XshowSettings:vm -version
    [ "$PHASE" != quiet ] ||
        say java-no-cgroup /usr/bin/java -XX:TieredStopAtLevel=1 -XX:-UseContainerSupport -Xlog:gc+init -version
}

node_says() {
    say node /usr/bin/node -e 'const os = require("os");
        console.log("libuv", process.versions.uv);
        console.log("cpus", os.cpus().length);
        console.log("parallelism", os.availableParallelism());
        console.log("totalmem", os.totalmem());
        console.log("freemem", os.freemem());
        console.log("uptime", Math.round(os.uptime()));
        console.log("loadavg", ...os.loadavg().map((load) => Math.round(load * 100)));
        console.log("constrained", (process.constrainedMemory && process.constrainedMemory()) || 0);'
}

counts() { # CPUs and memory
    say nproc /usr/bin/nproc
    say lscpu /usr/bin/lscpu
    say mpstat /usr/bin/mpstat -P ALL 1 1
    say python /usr/bin/python3 "$HERE/judge.py"
    say numactl /usr/bin/numactl --hardware
    java_says
    node_says
    htop_says
}

# A MiB on its way to the disk, past the page cache; only in the container, which has a file system of ours.
write_out() {
    [ "$HERE" != /judges ] || say dd /usr/bin/dd if=/dev/zero of=/judges/written bs=64k count=16 oflag=direct status=none
}

quiet() {
    write_out
    say free-m /usr/bin/free -m
    say free-k /usr/bin/free -k
    say top /usr/bin/top -bn1
    say uptime /usr/bin/uptime
    say since /usr/bin/uptime -s
    say vmstat /usr/bin/vmstat 1 2
    say ps /usr/bin/ps aux
    # On v1 it says nothing here.
    [ ! -e /sys/fs/cgroup/cgroup.controllers ] || say cgtop /usr/bin/systemd-cgtop -b -n 1 --raw
    # Those that wait a second do it together.
    say vmstat-d /usr/bin/vmstat -d &
    say iostat /usr/bin/iostat &
    say slabtop /usr/bin/slabtop -o &
    say lsblk /usr/bin/lsblk &
    say mpstat-I /usr/bin/mpstat -I ALL 1 1 &
    say sar-w /usr/bin/sar -w 1 1 &
    say sar-B /usr/bin/sar -B 1 1 &
    say sar-q /usr/bin/sar -q 1 1 &
    counts
    wait
}

one_cpu() {
    counts
    say stress-online /usr/bin/stress-ng --cpu -1 --timeout 1 &
    say stress-configured /usr/bin/stress-ng --cpu 0 --timeout 1
    wait
}

held_64_mib() {
    while read -r key kb _; do
        [ "$key" != AnonPages: ] || [ "$kb" -lt 65536 ] || return 0
    done </proc/meminfo
    return 1
}

# Two CPUs' worth of work and 64 MiB, until the end of the phase; who is judged goes first.
load_begin() {
    /usr/bin/nice -n 15 /usr/bin/stress-ng --cpu 2 --vm 1 --vm-bytes 64M --vm-keep --timeout 300 >"$DIR/stress.log" 2>&1 &
    LOAD=$!
    tries=0
    until held_64_mib || [ $tries -gt 150 ]; do
        sleep 0.2
        tries=$((tries + 1))
    done
    sleep 2
}

busy() {
    load_begin
    say top /usr/bin/top -b -n2 -d1
    say ps /usr/bin/ps aux
    say ps-etime /usr/bin/ps -eo pid,etimes,pcpu,lstart,args
    say free-m /usr/bin/free -m
    say vmstat /usr/bin/vmstat 1 3 &
    vmstat=$!
    say mpstat /usr/bin/mpstat -P ALL 1 1 &
    mpstat=$!
    say sar-u /usr/bin/sar -u 1 1 &
    sar_u=$!
    say sar-r /usr/bin/sar -r 1 1 &
    sar_r=$!
    say iostat-c /usr/bin/iostat -c 1 2 &
    iostat=$!
    htop_says
    wait $sar_u $sar_r $iostat
    say python /usr/bin/python3 "$HERE/judge.py"
    wait $vmstat $mpstat
    say uptime /usr/bin/uptime
    kill $LOAD
}

pod() {
    say free-m /usr/bin/free -m
    say lscpu /usr/bin/lscpu
    java_says
    node_says
}

# Holds 96 MiB, and says so; fails when it has been killed, as happens when swapping is slow.
hold() {
    : >"$DIR/held.log"
    /usr/bin/python3 -c '
import time
held = []
for _ in range(24):
    held.append(bytearray(b"x") * (4 << 20))
    time.sleep(0.02)
print("held", flush=True)
time.sleep(1000)' >"$DIR/held.log" &
    held=$!
    until [ -s "$DIR/held.log" ]; do
        kill -0 $held 2>/dev/null || return
        sleep 0.2
    done
}

# More than the limit, so that the rest of it is in swap. Then the limit is raised from outside: the judges do not swap.
swap() {
    hold || hold || hold
    tries=0
    until grep -q '^MemTotal: *131072 ' /proc/meminfo || [ $tries -gt 150 ]; do
        sleep 0.2
        tries=$((tries + 1))
    done
    say free-k /usr/bin/free -k
    say top /usr/bin/top -bn1
    say vmstat /usr/bin/vmstat
    say swapon /usr/sbin/swapon --show=SIZE,USED --bytes --noheadings
    say sar-S /usr/bin/sar -S 1 1
    say python /usr/bin/python3 "$HERE/judge.py"
    kill $held
}

host_uptime() {
    sh -c 'while :; do :; done' &
    LOAD=$!
    sleep 2
    say ps /usr/bin/ps aux
    say ps-etime /usr/bin/ps -eo pid,etimes,pcpu,lstart,args
    kill $LOAD
}

case $PHASE in
quiet) quiet ;;
busy) busy ;;
one-cpu) one_cpu ;;
pod) pod ;;
swap) swap ;;
host-uptime) host_uptime ;;
*) exit 2 ;;
esac
