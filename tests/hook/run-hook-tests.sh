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
# shellcheck source=tests/hook/suite.sh
. "$HERE/suite.sh"
suite_arguments '' "$@"

suite_lane "$@"

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
# What a slow machine is no measure of, and what asks nothing of the host's cgroups.
[ -n "${SYSFSD_TEST_NO_SCALE:-}" ] || {
    program_cases
    input_cases
    scale_cases
}
finish
