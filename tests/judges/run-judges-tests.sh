#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Real programs in a container that runc made, and whether what they show is what was set: the
# distribution's tools, a JVM, Node.js and Python, idle and under load. Needs root. It starts a daemon
# of its own in a runtime directory of its own and removes all it made, also when it fails.
#
# run-judges-tests.sh --bindir DIR [--sbindir DIR] [--only NAME] [--list]
#   --bindir   where sysfs-hook is (and sysfsd, without --sbindir)
#   --only     only cases whose name contains NAME
# Environment:
#   SYSFSD_TEST_KEEP     a directory that gets the programs' outputs
# Output: TAP lines and, as comments, a table "judge | figure | shown | wanted"; a summary; exit 1 when
# a case failed. "known:" in the last column is a wrong figure that docs/COMPATIBILITY.md lists; should
# it be right one day, the case fails until that list is corrected.

set -u
shopt -s lastpipe # what checks a pipe's end counts in this shell
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/hook/suite.sh
. "$HERE/../hook/suite.sh"
suite_arguments '' "$@"

# shellcheck source=tests/hook/lib.sh
. "$HERE/../hook/lib.sh"
# shellcheck source=tests/hook/process.sh
. "$HERE/../hook/process.sh"
# shellcheck source=tests/hook/cases-container.sh
. "$HERE/../hook/cases-container.sh"
# shellcheck source=tests/judges/lib.sh
. "$HERE/lib.sh"
# shellcheck source=tests/judges/cases-tools.sh
. "$HERE/cases-tools.sh"
# shellcheck source=tests/judges/cases-more.sh
. "$HERE/cases-more.sh"

if [ "$LIST" = 1 ]; then
    run_case() { echo "$1"; }
    finish() { exit 0; }
else
    trap 'judges_cleanup' EXIT
    trap 'exit 130' INT TERM HUP
    prepare
    judges_prepare || exit 1
    daemon_start || {
        echo 'Bail out! sysfsd does not start'
        sed 's/^/# /' "$WORK/log/sysfsd"
        exit 1
    }
    # What these show in the container is the host's, which grows.
    reference iostat
    reference lsblk
fi

judge_cases
finish
