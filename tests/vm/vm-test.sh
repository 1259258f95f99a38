#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# vm-test.sh - the systemd, Podman, hook and peers tests on cgroup v2, in the test machine
#
# Usage: vm-test.sh BUILDDIR
#        vm-test.sh --prepare
#
# Installs BUILDDIR (set up with --prefix /usr) into a staging directory, boots the machine of
# run.sh and runs vm-checks.sh in it. Prints TAP. Exit 0: none failed. 1: some did. 77: no virtual
# machine can run here.
#
# SYSFSD_TEST_ENGINES  engines of the hook suite (default: runc, as Podman is run with both)
set -u

here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
# Four CPUs, so that a container with two differs from its host.
cpus=4
limit=1500

die() {
    echo "vm-test.sh: $*" >&2
    exit 1
}

[ $# = 1 ] || {
    echo "Usage: vm-test.sh BUILDDIR | --prepare" >&2
    exit 2
}
# Has the machine booted and its state saved, so that the tests need not wait for it.
[ "$1" != --prepare ] || exec "$here/run.sh" -w -c "$cpus" -t 300 true
build=$1
[ -e "$build/build.ninja" ] || die "$build is not a build directory"
if ! why=$("$here/run.sh" --check 2>&1); then
    echo "1..0 # SKIP $why"
    exit 77
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/sysfsd-vm-test.XXXXXX") || die "no temporary directory"
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP
mkdir "$dir/share"
meson install -C "$build" --destdir "$dir/stage" --quiet >"$dir/install.log" 2>&1 || {
    cat "$dir/install.log" >&2
    die "meson install failed"
}
for file in usr/sbin/sysfsd usr/bin/sysfs-hook usr/bin/sysfs-ctl; do
    [ -x "$dir/stage/$file" ] || die "$build does not install /$file (meson setup --prefix /usr)"
done
# One file: the machine reads it in one go, and the modes need not pass through the share.
tar -C "$dir/stage" --owner=0 --group=0 -cf "$dir/share/stage.tar" . || die "tar failed"
cp -r "$here/../live" "$dir/share/live" && cp "$build"/tests/live/live-{check,load} "$dir/share/live/" || exit 1
cp "$here/vm-checks.sh" "$build/tests/resume/storm" "$dir/share/" || exit 1
strip -o "$dir/share/sysfsd.stripped" "$build/daemon/sysfsd" || exit 1
cp -r "$here/../hook" "$here/../judges" "$here/../peers" "$here/../../docs/DIFFERENCES.md" "$dir/share/" || exit 1

# Not by exec: the directory is to be removed.
"$here/run.sh" -w -c "$cpus" -t "$limit" -v "$dir/share:/mnt/sysfsd" -- \
    env SYSFSD_TEST_NO_SCALE=1 SYSFSD_TEST_ENGINES="${SYSFSD_TEST_ENGINES:-runc}" \
    bash /mnt/sysfsd/vm-checks.sh /mnt/sysfsd
