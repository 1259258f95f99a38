#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Judges the views of running containers: live-check takes all files of one again and again while it
# works, and its limits change; and what stat, loadavg and pressure say of a known load. Needs root. It
# starts a daemon of its own in a runtime directory of its own and removes all it made, also when it fails.
#
# run-live-tests.sh --bindir DIR [--sbindir DIR] [--testdir DIR] [--only NAME[,NAME]...] [--list]
#   --bindir   where sysfs-hook is (and sysfsd, without --sbindir)
#   --testdir  where live-check and live-load are (default: tests/live of the build --bindir is in)
#   --only     only cases whose name contains one of the NAMEs
# Environment:
#   SYSFSD_TEST_SECONDS  how long live-check runs in a case, default 4
#   SYSFSD_TEST_ENGINES  the first of them starts the containers, default "runc"
#   SYSFSD_TEST_KEEP     a directory that keeps the texts of what did not hold
#   SYSFSD_TEST_LANE     set: do not hide the unified tree of a hybrid host, which the default engine can
#                        live with and which has the pressure files there
# Output: TAP lines and a summary; exit 1 when a case failed.

set -u
shopt -s lastpipe # what checks a pipe's end counts in this shell
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/hook/suite.sh
. "$HERE/../hook/suite.sh"
suite_arguments '--testdir' "$@"
: "${TESTDIR:=$BINDIR/../tests/live}"
TESTDIR=$(cd "$TESTDIR" && pwd) || exit 2

suite_lane "$@"

SECONDS_EACH=${SYSFSD_TEST_SECONDS:-4}
ENGINE=${SYSFSD_TEST_ENGINES:-runc}
ENGINE=${ENGINE%% *}
# shellcheck source=tests/hook/lib.sh
. "$HERE/../hook/lib.sh"
# shellcheck source=tests/hook/process.sh
. "$HERE/../hook/process.sh"
# shellcheck source=tests/hook/cases-container.sh
. "$HERE/../hook/cases-container.sh"
# shellcheck source=tests/live/cases-change.sh
. "$HERE/cases-change.sh"
# shellcheck source=tests/live/cases-load.sh
. "$HERE/cases-load.sh"
# shellcheck source=tests/live/cases-pressure.sh
. "$HERE/cases-pressure.sh"
TAG=sysfsd-live-$$

if [ "$LIST" = 1 ]; then
    run_case() { echo "$1"; }
    finish() { exit 0; }
else
    trap 'check_stop; cleanup' EXIT
    trap 'exit 130' INT TERM HUP
    prepare
    cp "$TESTDIR/live-load" "$WORK/rootfs/bin/" || exit 2
    daemon_start || {
        echo 'Bail out! sysfsd does not start'
        sed 's/^/# /' "$WORK/log/sysfsd"
        exit 1
    }
fi

change_cases
load_cases
pressure_cases
finish
