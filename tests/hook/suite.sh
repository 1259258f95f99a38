# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034 # read by those who source this
#
# What every run-*-tests.sh begins with: its arguments and where it runs.

BINDIR='' SBINDIR='' TESTDIR='' ONLY='' LIST=0

usage() {
    echo "${0##*/}: $1; see the head of the file" >&2
    exit 2
}

# Sets the above. TESTDIR-OPTION: "--testdir" where the suite takes it, else "".
suite_arguments() { # TESTDIR-OPTION ARGUMENT...
    local testdir_option=$1
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        --bindir) BINDIR=${2:?} && shift 2 ;;
        --sbindir) SBINDIR=${2:?} && shift 2 ;;
        --testdir)
            [ -n "$testdir_option" ] || usage "unknown argument $1"
            TESTDIR=${2:?} && shift 2
            ;;
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
}

# crun refuses a hybrid cgroup layout, and the daemon is to see what the engine sees: all of it runs
# in a mount namespace without the unified tree. crun makes directories where that was: a tmpfs of our
# own takes them along in the end.
suite_lane() { # ARGUMENT...: the script's own
    [ -z "${SYSFSD_TEST_LANE:-}" ] || return 0
    export SYSFSD_TEST_LANE=1
    if grep -q ' /sys/fs/cgroup/unified cgroup2 ' /proc/self/mounts; then
        # shellcheck disable=SC2016 # for the inner shell
        exec unshare -m --propagation private bash -c \
            'umount /sys/fs/cgroup/unified && mount -t tmpfs lane /sys/fs/cgroup/unified && exec "$@"' sh "$0" "$@"
    fi
}
