#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh - run a command as root in a Debian 12 machine: systemd as PID 1, cgroup v2
#
# Usage: run.sh [-w] [-b] [-m MIB] [-c CPUS] [-t SECONDS] [-v HOSTDIR:GUESTDIR]... [--] COMMAND [ARG...]
#        run.sh --check
#
# COMMAND   one word: given to bash as it is; several: each quoted; "-": a script on standard input
#   -w      warm: start from the saved state of a booted machine (made at the first use)
#   -b      print the machine's console on standard error afterwards
#   -m -c   memory (default 2048) and CPUs (default 2)
#   -t      the time the command may take, boot included (default 300)
#   -v      share a directory, writable; at most three
# --check   only say whether a machine can run here
#
# Prints what COMMAND prints and exits with its status; changes to the machine's disk are thrown
# away. Exit 124: time is over. Exit 125: no machine here, or it failed.
#
# SYSFSD_VM_DIR    the cache of images and saved states, see mkimage.sh
# SYSFSD_VM_ACCEL  qemu's accelerator (default tcg, which works everywhere)
set -u

here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
cache=${SYSFSD_VM_DIR:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/sysfsd-vm}
accel=${SYSFSD_VM_ACCEL:-tcg}

die() {
    echo "run.sh: $*" >&2
    exit 125
}

usage() {
    sed -n '/^# Usage/,/^# SYSFSD_VM_ACCEL/s/^# \{0,1\}//p' "$0" >&2
    exit 125
}

check_host() {
    local tool missing=()
    for tool in qemu-system-x86_64 qemu-img python3 flock timeout; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    # Without an image it has to be built first.
    if ! compgen -G "$cache/image-*/base.ext4" >/dev/null; then
        command -v debootstrap >/dev/null || missing+=(debootstrap)
        command -v mke2fs >/dev/null || missing+=(mke2fs)
    fi
    [ ${#missing[@]} = 0 ] || die "no virtual machine here, missing: ${missing[*]}" \
        "(Debian: qemu-system-x86 qemu-utils debootstrap e2fsprogs python3-minimal)"
}

memory=2048 cpus=2 limit=300 console='' warm='' volumes=()
if [ "${1-}" = --check ]; then
    check_host
    exit 0
fi
while getopts wbm:c:t:v: option; do
    case $option in
    w) warm=1 ;;
    b) console=1 ;;
    m) memory=$OPTARG ;;
    c) cpus=$OPTARG ;;
    t) limit=$OPTARG ;;
    v) volumes+=("$OPTARG") ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -ge 1 ] || usage
[ ${#volumes[@]} -le 3 ] || die "at most three -v"
check_host
image=$("$here/mkimage.sh") || exit 125

dir=$(mktemp -d "${TMPDIR:-/tmp}/sysfsd-vm.XXXXXX") || die "no temporary directory"
qemu=
trap 'rm -rf "$dir"' EXIT
# Before the machine runs there is only $dir to remove.
trap '[ -z "$qemu" ] || kill "$qemu"; exit 125' INT TERM HUP
mkdir "$dir/ctl" "$dir/empty"
: >"$dir/ctl/mounts"
if [ "$1" = - ]; then
    cat
elif [ $# = 1 ]; then
    printf '%s\n' "$1"
else
    printf '%q ' "$@"
fi >"$dir/ctl/command"

# A saved state loads only into a machine with the same devices: every machine has the same.
cpu_model=max,la57=off
[ "$accel" = tcg ] || cpu_model=host
accel_options=$accel
[ "$accel" != tcg ] || accel_options=tcg,thread=multi
machine=(
    qemu-system-x86_64 -M pc -accel "$accel_options" -cpu "$cpu_model" -smp "$cpus" -m "$memory"
    -nodefaults -display none -no-reboot -nic none -rtc base=utc
    -kernel "$image/vmlinux" -initrd "$image/initrd.img"
    -device virtio-rng-pci -serial "file:$dir/console"
    -device 'virtio-serial-pci,max_ports=2' -device 'virtserialport,chardev=out,nr=1,name=out'
)
append="console=ttyS0 quiet loglevel=3 mitigations=off panic=-1 no_timer_check random.trust_cpu=on"
append+=" systemd.unified_cgroup_hierarchy=1 systemd.show_status=0 net.ifnames=0"
share() {
    machine+=(-fsdev "local,id=$1,path=$2,security_model=none,multidevs=remap"
        -device "virtio-9p-pci,fsdev=$1,mount_tag=$1")
}
share ctl "$dir/ctl"
for n in 0 1 2; do
    path=$dir/empty
    if [ -n "${volumes[n]-}" ]; then
        path=$(readlink -e "${volumes[n]%%:*}") || die "no directory ${volumes[n]%%:*}"
        echo "vol$n ${volumes[n]#*:}" >>"$dir/ctl/mounts"
    fi
    share "vol$n" "$path"
done

# The image may be pruned when nobody holds this lock; qemu inherits it.
exec 8<"$image/use.lock" || die "no $image/use.lock"
flock -s 8

if [ -n "$warm" ]; then
    key=$({ cat "$here/run.sh" "$here/warm.py"; echo "$memory $cpus $accel"; qemu-system-x86_64 --version; } |
        sha256sum | cut -c1-16)
    saved=$image/warm-$key
    exec 9>"$cache/lock" || die "no lock in $cache"
    flock 9
    if [ ! -e "$saved.qcow2" ]; then
        echo "run.sh: saving the state of a booted machine (once, about 30 s)" >&2
        find "$image" -name 'warm-*' -mmin +1440 -delete # of older versions of this file
        qemu-img create -q -f qcow2 -b "$image/base.ext4" -F raw "$saved.new" || die "qemu-img failed"
        "$here/warm.py" "$saved.state" "$dir" "${machine[@]}" -append "$append vmwarm" \
            -drive "file=$saved.new,if=virtio,format=qcow2,cache=unsafe" || die "no saved state"
        # The disk's name says that both are complete.
        mv "$saved.new" "$saved.qcow2" || die "cannot write to $image"
    fi
    touch "$saved.state" "$saved.qcow2"
    exec 9>&-
    machine+=(-append "$append vmwarm" -incoming "exec:cat '$saved.state'"
        -drive "file=$saved.qcow2,if=virtio,format=qcow2,snapshot=on,cache=unsafe")
else
    machine+=(-append "$append"
        -drive "file=$image/base.ext4,if=virtio,format=raw,snapshot=on,cache=unsafe")
fi

mkfifo "$dir/port.in" "$dir/port.out" || die "mkfifo failed"
exec 7<>"$dir/port.in"
echo go >&7 # the line a warm machine waits for
cat "$dir/port.out" &
reader=$!
date +%s >"$dir/ctl/now"
timeout -k 5 "$limit" "${machine[@]}" -chardev "pipe,id=out,path=$dir/port" \
    </dev/null >"$dir/qemu.log" 2>&1 &
qemu=$!
wait "$qemu"
status=$?
qemu=
exec 7>&-
wait "$reader"

[ -z "$console" ] || { echo "--- console"; cat "$dir/console"; } >&2
case $status in
124 | 137)
    echo "run.sh: not done after $limit s" >&2
    exit 124
    ;;
esac
[ ! -s "$dir/ctl/status" ] || exit "$(<"$dir/ctl/status")"
cat "$dir/qemu.log" >&2
tail -n 20 "$dir/console" >&2
die "the machine ended without a status (qemu: $status)"
