#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Tests of what outlives the daemon: killed under readers, exchanged for another build, lost with all
# it held, stopped, starved; each with real containers under `sysfsd --supervise`. Needs root. All it
# makes is removed, also when it fails.
#
# run-resume-tests.sh --bindir DIR [--sbindir DIR] --testdir DIR [--only NAME] [--list]
#   --bindir   where sysfs-hook and sysfs-ctl are (and sysfsd, without --sbindir)
#   --testdir  where the programs of the tests are: DIR/resume/storm and others
#   --only     only cases whose name contains NAME
# Environment:
#   SYSFSD_TEST_KILLS         kills under readers, default 50
#   SYSFSD_TEST_VIEWS         views that are resumed at once, default 1000
#   SYSFSD_TEST_STOP_SECONDS  how long the daemon stands still, default 10
#   SYSFSD_TEST_HANG_SECONDS  how long a read of a cgroup hangs, default 12
#   SYSFSD_SOAK_SECONDS       containers coming and going under kills, default 30
# Output: TAP lines and a summary; exit 1 when a case failed.

set -u
shopt -s lastpipe # what checks a pipe's end counts in this shell
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/hook/suite.sh
. "$HERE/../hook/suite.sh"
suite_arguments '--testdir' "$@"
[ -n "$TESTDIR" ] || usage 'no --testdir'
TESTDIR=$(cd "$TESTDIR" && pwd) || exit 2

# shellcheck source=tests/hook/lib.sh
. "$HERE/../hook/lib.sh"
# shellcheck source=tests/hook/process.sh
. "$HERE/../hook/process.sh"
# shellcheck source=tests/resume/lib.sh
. "$HERE/lib.sh"
# shellcheck source=tests/resume/cases-kill.sh
. "$HERE/cases-kill.sh"
# shellcheck source=tests/resume/cases-fault.sh
. "$HERE/cases-fault.sh"
# shellcheck source=tests/resume/cases-starve.sh
. "$HERE/cases-starve.sh"
TAG=sysfsd-resume-$$
# shellcheck disable=SC2034 # lib.sh's
BEFORE_DELETE=hanging_end

if [ "$LIST" = 1 ]; then
    run_case() { echo "$1"; }
    finish() { exit 0; }
else
    # A daemon that hangs in a file of ours ends with that only; and the file is mounted where cleanup removes.
    trap 'storm_kill; hanging_end; supervisor_end; cleanup' EXIT
    trap 'exit 130' INT TERM HUP
    prepare
    cp "$SBINDIR/sysfsd" "$WORK/bin/sysfsd"
    supervisor_start || {
        echo 'Bail out! sysfsd --supervise does not start'
        sed 's/^/# /' "$WORK/log/sysfsd"
        exit 1
    }
fi

kill_cases
starve_cases
fault_cases
finish
