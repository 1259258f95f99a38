#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Tests of sysfs-hook and libsysfsd with real containers: every engine, hook stage and user
# namespace setting, the hook's bad input, and many containers. Needs root. It starts a daemon of
# its own in a runtime directory of its own and removes all it made, also when it fails.
#
# run-hook-tests.sh --bindir DIR [--sbindir DIR] [--only NAME] [--list]
#   --bindir   where sysfs-hook is (and sysfsd, without --sbindir)
#   --only     only cases whose name contains NAME
# Environment:
#   SYSFSD_TEST_ENGINES  default "runc crun"
#   SYSFSD_TEST_MANY     containers registered and gone, default 500
#   SYSFSD_TEST_REST     containers registered while the daemon rests, default 100
# Output: TAP lines and a summary; exit 1 when a case failed.

set -u
shopt -s lastpipe # what checks a pipe's end counts in this shell
HERE=$(cd "$(dirname "$0")" && pwd)
BINDIR='' SBINDIR='' ONLY='' LIST=0
ARGS=("$@")

usage() {
    echo "run-hook-tests.sh: $1; see the head of the file" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --bindir) BINDIR=${2:?} && shift 2 ;;
    --sbindir) SBINDIR=${2:?} && shift 2 ;;
    --only) ONLY=${2:?} && shift 2 ;;
    --list) LIST=1 && shift ;;
    *) usage "unknown argument $1" ;;
    esac
done
[ -n "$BINDIR" ] || usage 'no --bindir'
: "${SBINDIR:=$BINDIR}"
BINDIR=$(cd "$BINDIR" && pwd) || exit 2
SBINDIR=$(cd "$SBINDIR" && pwd) || exit 2
[ "$(id -u)" = 0 ] || {
    echo '1..0 # SKIP needs root'
    exit 0
}

# crun refuses a hybrid cgroup layout, and the daemon is to see what the engine sees: all of it runs
# in a mount namespace without the unified tree. crun makes directories where that was: a tmpfs of our
# own takes them along in the end.
if [ -z "${SYSFSD_TEST_LANE:-}" ]; then
    export SYSFSD_TEST_LANE=1
    if grep -q ' /sys/fs/cgroup/unified cgroup2 ' /proc/self/mounts; then
        # shellcheck disable=SC2016 # for the inner shell
        exec unshare -m --propagation private bash -c \
            'umount /sys/fs/cgroup/unified && mount -t tmpfs lane /sys/fs/cgroup/unified && exec "$@"' sh "$0" "${ARGS[@]}"
    fi
fi

ENGINES=${SYSFSD_TEST_ENGINES:-runc crun}
# shellcheck source=tests/hook/lib.sh
. "$HERE/lib.sh"
# shellcheck source=tests/hook/process.sh
. "$HERE/process.sh"
# shellcheck source=tests/hook/cases-container.sh
. "$HERE/cases-container.sh"
# shellcheck source=tests/hook/cases-programs.sh
. "$HERE/cases-programs.sh"
# shellcheck source=tests/hook/cases-input.sh
. "$HERE/cases-input.sh"
# shellcheck source=tests/hook/cases-scale.sh
. "$HERE/cases-scale.sh"

if [ "$LIST" = 1 ]; then
    run_case() { echo "$1"; }
    finish() { exit 0; }
else
    trap cleanup EXIT
    trap 'exit 130' INT TERM HUP
    prepare
    daemon_start || {
        echo 'Bail out! sysfsd does not start'
        sed 's/^/# /' "$WORK/log/sysfsd"
        exit 1
    }
fi

container_cases
[ -n "${SYSFSD_TEST_NO_SCALE:-}" ] || program_cases
input_cases
# What a slow machine is no measure of.
[ -n "${SYSFSD_TEST_NO_SCALE:-}" ] || scale_cases
finish
