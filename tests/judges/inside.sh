#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# inside.sh DIR PHASE SET - runs the programs that are asked for their figures, in the container
# (busybox sh) and, for comparison, on the host. Each one's output goes to DIR/NAME, DIR/NAME.err and
# DIR/NAME.status; nothing is judged here. PHASE: quiet, busy, one-cpu, pod, host-uptime. SET: all, or small for a
# machine that is too slow for all of them.
#
# Always /usr/bin/...: what the machine has in /usr/local or in a home directory is not meant.

DIR=$1 PHASE=$2 SET=$3
HERE=${0%/*}
mkdir -p "$DIR"
export TERM=xterm LC_ALL=C.UTF-8 HOME="$DIR" PATH=/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1

say() { # NAME COMMAND...
    name=$1
    shift
    "$@" >"$DIR/$name" 2>"$DIR/$name.err" </dev/null
    echo $? >"$DIR/$name.status"
}

# The screen is drawn for a terminal, which script(1) is; timeout ends it, as a person does.
htop_says() {
    say htop /usr/bin/script -qc 'stty rows 40 cols 120; timeout 2 /usr/bin/htop -d 5' /dev/null
}

java_says() {
    say java /usr/bin/java -Xlog:gc+init -XshowSettings:all -version
    say java-no-cgroup /usr/bin/java -XX:-UseContainerSupport -Xlog:gc+init -version
}

node_says() {
    say node /usr/bin/node -e 'const os = require("os");
        console.log("cpus", os.cpus().length);
        console.log("parallelism", os.availableParallelism());
        console.log("totalmem", os.totalmem());
        console.log("freemem", os.freemem());
        console.log("uptime", Math.round(os.uptime()));
        console.log("loadavg", ...os.loadavg().map((load) => Math.round(load * 100)));
        console.log("constrained", process.constrainedMemory ? process.constrainedMemory() : 0);'
}

counts() { # what has to do with CPUs and memory; quick
    say free-m /usr/bin/free -m
    say free-k /usr/bin/free -k
    say top /usr/bin/top -bn1
    say uptime /usr/bin/uptime
    say since /usr/bin/uptime -s
    say nproc /usr/bin/nproc
    say lscpu /usr/bin/lscpu
    say mpstat /usr/bin/mpstat -P ALL 1 1
    say python /usr/bin/python3 "$HERE/judge.py"
}

counts_all() {
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
    counts
    say vmstat /usr/bin/vmstat 1 2
    say ps /usr/bin/ps aux
    # On v1 it says nothing here.
    [ ! -e /sys/fs/cgroup/cgroup.controllers ] || say cgtop /usr/bin/systemd-cgtop -b -n 1 --raw
    [ "$SET" = all ] || return 0
    # Those that wait a second do it together.
    say vmstat-d /usr/bin/vmstat -d &
    say iostat /usr/bin/iostat &
    say slabtop /usr/bin/slabtop -o &
    say lsblk /usr/bin/lsblk &
    say mpstat-I /usr/bin/mpstat -I ALL 1 1 &
    say sar-w /usr/bin/sar -w 1 1 &
    say sar-B /usr/bin/sar -B 1 1 &
    say sar-q /usr/bin/sar -q 1 1 &
    counts_all
    wait
}

one_cpu() {
    counts
    [ "$SET" = all ] || return 0
    counts_all
    say stress-online /usr/bin/stress-ng --cpu -1 --timeout 1 &
    say stress-configured /usr/bin/stress-ng --cpu 0 --timeout 1
    wait
}

# Two CPUs' worth of work and 64 MiB, until the end of the phase.
load_begin() {
    LOAD=''
    if [ "$SET" = all ]; then
        /usr/bin/stress-ng --cpu 2 --vm 1 --vm-bytes 64M --vm-keep --timeout 120 >"$DIR/stress.log" 2>&1 &
    else
        sh -c 'while :; do :; done' &
        LOAD=$!
        sh -c 'while :; do :; done' &
    fi
    LOAD="$LOAD $!"
    sleep 2
}

busy() {
    load_begin
    say top /usr/bin/top -b -n2 -d1
    say ps /usr/bin/ps aux
    say ps-etime /usr/bin/ps -eo pid,etimes,pcpu,lstart,args
    say free-m /usr/bin/free -m
    say vmstat /usr/bin/vmstat 1 2 &
    vmstat=$!
    say mpstat /usr/bin/mpstat -P ALL 1 1 &
    mpstat=$!
    if [ "$SET" = all ]; then
        say sar-u /usr/bin/sar -u 1 1 &
        sar_u=$!
        say sar-r /usr/bin/sar -r 1 1 &
        sar_r=$!
        say iostat-c /usr/bin/iostat -c 1 2 &
        iostat=$!
        htop_says
        wait $sar_u $sar_r $iostat
    fi
    say python /usr/bin/python3 "$HERE/judge.py"
    wait $vmstat $mpstat
    say uptime /usr/bin/uptime
    # shellcheck disable=SC2086 # one or two
    kill $LOAD
}

pod() {
    say free-m /usr/bin/free -m
    say lscpu /usr/bin/lscpu
    java_says
    node_says
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
host-uptime) host_uptime ;;
*) exit 2 ;;
esac
