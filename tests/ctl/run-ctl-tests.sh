#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every verb of sysfs-ctl against a real daemon and real processes in namespaces of their own. Prints TAP.
# usage: run-ctl-tests.sh --bindir DIR [--sbindir DIR]     (where sysfs-ctl and sysfsd are)
# shellcheck disable=SC2016,SC2317 # the words of `check` are run later; functions are called by it
set -uo pipefail

BINDIR='' SBINDIR=''
while [ $# -gt 0 ]; do
    case $1 in
    --bindir) BINDIR=$2 && shift 2 ;;
    --sbindir) SBINDIR=$2 && shift 2 ;;
    *) echo "usage: ${0##*/} --bindir DIR [--sbindir DIR]" >&2 && exit 2 ;;
    esac
done
[ -n "$BINDIR" ] || { echo "${0##*/}: --bindir is missing" >&2 && exit 2; }
SBINDIR=${SBINDIR:-$BINDIR}

skip_all() {
    echo "1..0 # SKIP $1"
    exit 0
}
[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -c /dev/fuse ] || skip_all "needs /dev/fuse"
for tool in jq diff unshare nsenter script setpriv; do
    command -v "$tool" >/dev/null || skip_all "needs $tool"
done

WORK=$(mktemp -d /tmp/sysfsd-ctl.XXXXXX)
RUN=$WORK/run
PIDS=() DAEMON=''
COUNT=0 BAD=0
unset NO_COLOR

cleanup() {
    local pid
    [ -z "$DAEMON" ] || { kill "$DAEMON" && wait "$DAEMON"; } 2>/dev/null
    for pid in "${PIDS[@]+"${PIDS[@]}"}"; do
        kill -9 "$pid" 2>/dev/null
    done
    wait 2>/dev/null
    # What a daemon that crashed left.
    awk -v dir="$RUN/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | while read -r mount; do
        umount -l "$mount"
    done
    rm -rf --one-file-system "$WORK"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

OUT=$WORK/out ERR=$WORK/err RC=0
# ctl ARGUMENT...: runs sysfs-ctl; what it said is in $OUT, $ERR and $RC.
ctl() {
    "$BINDIR/sysfs-ctl" --runtime-dir "$RUN" "$@" >"$OUT" 2>"$ERR"
    RC=$?
}
# on_terminal ARGUMENT...: the same with a terminal as its stdout.
on_terminal() {
    script -qec "TERM=xterm $BINDIR/sysfs-ctl --runtime-dir $RUN $*" /dev/null </dev/null 2>&1 | tr -d '\r' >"$OUT"
}

# check NAME COMMAND...: one TAP line; what the last ctl said when it failed.
check() {
    local name=$1
    shift
    COUNT=$((COUNT + 1))
    if "$@" >/dev/null 2>&1; then
        echo "ok $COUNT - $name"
    else
        echo "not ok $COUNT - $name"
        echo "# failed: $* (exit code of sysfs-ctl: $RC)"
        sed 's/^/# out: /' "$OUT" | head -n 20
        sed 's/^/# err: /' "$ERR" | head -n 20
        BAD=$((BAD + 1))
    fi
}

# exits CODE ARGUMENT...: the exit code, and one line on stderr exactly when it is an error.
exits() {
    local want=$1 lines=1
    shift
    ctl "$@"
    [ "$want" != 0 ] || lines=0
    [ $RC = "$want" ] && [ "$(wc -l <"$ERR")" = $lines ]
}
json() { jq -e "$1" "$OUT"; }
says() { grep -q -- "$1" "$ERR"; }
has() { grep -q -- "$1" "$OUT"; }

start_daemon() {
    "$SBINDIR/sysfsd" --config "$WORK/config" --runtime-dir "$RUN" 2>"$WORK/daemon.log" >&2 &
    DAEMON=$!
    for _ in $(seq 100); do
        ctl status && [ $RC = 0 ] && return 0
        kill -0 "$DAEMON" || return 1
        sleep 0.05
    done
    return 1
}

# start_container [unshare option]...: a process that is the first of its pid and mount namespaces; its host pid in $PID.
start_container() {
    unshare "$@" -fpm --mount-proc sleep 600 2>/dev/null &
    local parent=$!
    PIDS+=("$parent")
    PID=''
    for _ in $(seq 100); do
        PID=$(cat "/proc/$parent/task/$parent/children" 2>/dev/null)
        PID=${PID%% *}
        [ -n "$PID" ] && grep -qs '^sleep$' "/proc/$PID/comm" && break
        sleep 0.05
    done
    PIDS+=("$PID")
}
# inside PID COMMAND...
inside() {
    local pid=$1
    shift
    nsenter -t "$pid" -m -p "$@"
}
bound() { # files of a view that are mounted in the namespace of a process
    awk '{ for (i = 7; i <= NF; i++) if ($i == "-") { if ($(i + 1) == "fuse.sysfsd" && $5 ~ "^/(proc|sys)/") print $5; break } }' "/proc/$1/mountinfo"
}

# -- usage, without a daemon

check "no verb" exits 2
check "unknown verb" exits 2 bogus
check "unknown option" exits 2 --bogus list
check "too few arguments" exits 2 inspect
check "too many arguments" exits 2 list x
check "attach without --pid" exits 2 attach
check "attach with a pid that is none" exits 2 attach --pid 12x
check "attach with pid 0" exits 2 attach --pid 0
check "attach with an ID that is none" exits 2 attach --pid 1 --id a/b
check "--pid elsewhere" exits 2 list --pid 1
check "empty name of a container" exits 2 inspect ''
check "--help" exits 0 --help
check "--help names every verb" eval 'for v in list inspect cat diff attach detach status doctor; do has "^  $v " || return 1; done'
check "--version" exits 0 --version

# -- daemon unreachable

mkdir "$RUN"
for arguments in list status "inspect x" "cat x /proc/meminfo" "diff x" "detach x" "attach --pid 1" "--json list"; do
    # shellcheck disable=SC2086 # words are meant
    check "daemon unreachable: $arguments" exits 4 $arguments
    check "nothing on stdout: $arguments" test ! -s "$OUT"
done
check "runtime directory missing" eval '"$BINDIR/sysfs-ctl" --runtime-dir "$WORK/none" list; [ $? = 4 ]'
python3 -c 'import socket,sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])' "$RUN/control.sock"
check "socket nobody listens on" exits 4 list
rm -f "$RUN/control.sock"
ctl doctor
check "doctor without a daemon fails" test $RC = 1
check "doctor names the daemon" has 'fail.*daemon.*no daemon.*systemctl'
check "doctor is quiet on stderr" test ! -s "$ERR"
ctl --json doctor
check "doctor --json" json '.ok == false and ([.checks[].result] | all(. == "ok" or . == "warn" or . == "fail"))'
check "doctor: each problem has a remedy" json '[.checks[] | select(.result != "ok") | .remedy | length > 0] | all'
unshare -m sh -c 'mount -t tmpfs tmpfs /dev && exec "$@"' sh "$BINDIR/sysfs-ctl" --json doctor >"$OUT" 2>"$ERR"
check "doctor sees that /dev/fuse is missing" json '.checks[] | select(.name == "fuse") | .result == "fail"'
setpriv --reuid 65534 --clear-groups --bounding-set=-all "$BINDIR/sysfs-ctl" --json doctor >"$OUT" 2>"$ERR"
check "doctor sees missing capabilities" json '.checks | any(.name == "capabilities" and .result == "warn")'
unshare -r "$BINDIR/sysfs-ctl" --json doctor >"$OUT" 2>"$ERR"
check "doctor sees a user namespace" json '.checks[] | select(.name == "user namespace") | .result == "fail"'

# -- with a daemon

: >"$WORK/config"
check "the daemon starts" start_daemon
[ -n "$DAEMON" ] && kill -0 "$DAEMON" 2>/dev/null || {
    sed 's/^/# /' "$WORK/daemon.log"
    echo "1..$COUNT"
    exit 1
}
check "status" exits 0 status
check "status: a line each" has "^version.[0-9]"
ctl --json status
check "status --json" json '(.pid | type == "number") and (.version | type == "string") and .containers == 0 and (.features | type == "array")'
check "status --json: the daemon's pid" test "$(jq .pid "$OUT")" = "$DAEMON"
ctl status --json
check "options after the verb" json .version
check "empty list" exits 0 list
check "empty list prints nothing" test ! -s "$OUT"
ctl --json list
check "empty list --json" json '.containers == []'
ctl doctor
check "doctor finds the daemon" has 'ok.*daemon.*version'

start_container
A=$PID
start_container
B=$PID
check "attach" exits 0 attach --pid "$A" --id web-1
check "attach says how many files" has '^web-1: [0-9]* files attached$'
ctl --json attach --pid "$B"
check "attach --json, default ID" json ".id == \"pid-$B\" and .pid == $B and .attached > 0"
check "files are mounted inside" test "$(bound "$A" | wc -l)" -gt 5
check "attach again is refused" exits 1 attach --pid "$A" --id web-1
check "... and changed nothing" test "$(bound "$A" | wc -l)" = "$(bound "$B" | wc -l)"
check "attach to a process that is gone" exits 1 attach --pid 4194303
check "attach to the host's namespace" exits 1 attach --pid $$ --id host
ctl --json list
check "a refused attach leaves no registration" json '[.containers[].id] | length == 2'
start_container
C=$PID
ctl attach --pid "$C" --id web-2

ctl list
check "list: a line a container" test "$(wc -l <"$OUT")" = 3
check "list: tabs, no header, no colour" eval '! has "^ID" && ! has $'"'\\033'"' && has "^web-1"$'"'\\t'"'"$A"'
ctl --json list
check "list --json" json '.containers | map(.id | type == "string") == [true, true, true] and (.[0] | has("pid") and has("age_usec") and has("cpus") and has("reads"))'
check "list is sorted" json '[.containers[].id] | . == sort'
on_terminal list
check "terminal: colour" has $'\033'
NO_COLOR=1 on_terminal list
check "terminal: header" has '^ID  *PID  *AGE  *CPUS  *LIMIT  *USED  *READS$'
check "terminal: lines of the same length" test "$(awk '{ print length }' "$OUT" | sort -u | wc -l)" = 1
check "NO_COLOR: no colour" eval '  ! has $'"'\\033'"
NO_COLOR='' on_terminal list
check "empty NO_COLOR: colour" has $'\033'

check "inspect" exits 0 inspect web-1
check "inspect: sections" eval 'has "^Limits" && has "^Files" && has "^Cgroups" && has "/proc/meminfo"'
ctl --json inspect web-1
check "inspect --json" json ".id == \"web-1\" and .pid == $A and (.limits | type == \"object\") and (.files | length > 5)"
ctl --json inspect pid
check "unique prefix" json ".id == \"pid-$B\""
ctl --json inspect "pid:$A"
check "pid:N" json '.id == "web-1"'
inside "$A" sleep 600 &
PIDS+=($!)
sleep 0.3
OTHER=$(cat /proc/$!/task/$!/children) && OTHER=${OTHER%% *}
PIDS+=("$OTHER")
ctl --json inspect "pid:$OTHER"
check "pid:N of another process inside" json '.id == "web-1"'
check "prefix that is not unique" exits 3 inspect web
check "... candidates are listed" says 'web-1, web-2'
check "no such container" exits 3 inspect nope
check "not an ID" exits 3 inspect ../web-1
check "pid:N of no container" exits 3 inspect pid:1
check "pid:N of no process" exits 3 inspect pid:4194303
check "pid:N where N is no number" exits 3 inspect pid:12x
check "pid:N where N is no process's" exits 3 inspect pid:0
check "no such container: cat" exits 3 cat nope /proc/meminfo
check "no such container: diff" exits 3 diff nope
check "no such container: a pid past all" exits 3 inspect pid:99999999999999
check "no such container: a name without an end" exits 3 inspect "$(printf '%05000d' 0)"
check "... says so" eval 'says "no such container$" && [ "$(wc -c <"$ERR")" -lt 1200 ]'
check "no such container: detach" exits 3 detach nope
check "error: stdout is empty" test ! -s "$OUT"

check "cat" exits 0 cat web-1 /proc/meminfo
check "cat: the text" has '^MemTotal:'
ctl cat web-1 /proc/cpuinfo
inside "$A" cat /proc/cpuinfo >"$WORK/inside"
check "cat: as the container reads it" eval 'cmp <(grep -v MHz "$OUT") <(grep -v MHz "$WORK/inside")'
UPTIME=$(ctl cat web-1 /proc/uptime && cut -d . -f 1 "$OUT")
check "cat: the container's uptime" test "$UPTIME" -lt 600
ctl --json cat web-1 /proc/uptime
check "cat --json" json '.id == "web-1" and .path == "/proc/uptime" and (.text | endswith("\n"))'
check "cat: a file that is in no view" exits 1 cat web-1 /proc/version
check "cat: a path that leaves the view" exits 1 cat web-1 /../../../control.sock
check "cat: the view's directory" exits 1 cat web-1 /proc
ctl --json inspect web-1
check "reads are counted" json '.files[] | select(.path == "/proc/uptime") | .reads >= 2'
"$BINDIR/sysfs-ctl" --runtime-dir "$RUN" cat web-1 /proc/meminfo >/dev/full 2>"$ERR"
RC=$?
check "output that cannot be written" eval '[ $RC = 1 ] && says "standard output: No space"'

check "diff of one file" exits 0 diff web-1 /proc/uptime
check "diff: labels" eval 'has "^--- host:/proc/uptime" && has "^+++ web-1:/proc/uptime"'
check "diff of all files" exits 0 diff web-1
check "diff: uptime and stat differ" eval 'has "^+++ web-1:/proc/uptime" && has "^+++ web-1:/proc/stat"'
ctl --json diff web-1
check "diff --json" json '.id == "web-1" and (.files | length > 5) and (.files[] | select(.path == "/proc/uptime") | .differs and (.diff | startswith("---")))'
check "diff: a file that is in no view" exits 1 diff web-1 /proc/version
check "diff: a file that is not there" exits 1 diff web-1 /sys/devices/system/cpu/nosuch
check "diff: a directory" exits 1 diff web-1 /sys/devices/system/cpu
check "diff: ... says so" says 'Is a directory'
on_terminal diff web-1 /proc/uptime
check "diff: colour on a terminal" has $'\033'
for arguments in "diff web-1" "diff web-1 /proc/uptime" "cat web-1 /proc/stat" list; do
    # shellcheck disable=SC2086 # words are meant
    "$BINDIR/sysfs-ctl" --runtime-dir "$RUN" $arguments >/dev/full 2>"$ERR"
    RC=$?
    check "standard output is full: $arguments" eval '[ $RC = 1 ] && [ "$(wc -l <"$ERR")" = 1 ] && says "^sysfs-ctl: standard output: No space left"'
done
NO_COLOR=1 on_terminal diff web-1 /proc/uptime
check "diff: NO_COLOR" eval '! has $'"'\\033'"
mkdir "$WORK/empty"
printf '#!/bin/sh\necho partial\necho "diff: memory exhausted" >&2\nexit 2\n' >"$WORK/empty/diff"
chmod +x "$WORK/empty/diff"
PATH=$WORK/empty ctl diff web-1 /proc/uptime
check "diff fails: one line, with its words" eval '[ $RC = 1 ] && [ "$(wc -l <"$ERR")" = 1 ] && says "web-1: diff of /proc/uptime failed: memory exhausted$"'
rm "$WORK/empty/diff"
PATH=$WORK/empty ctl diff web-1 /proc/uptime
check "diff is not installed" eval '[ $RC = 1 ] && says "not installed"'

start_container -U -r
check "attach: user namespace" exits 0 attach --pid "$PID" --id userns
check "cat: user namespace" exits 0 cat userns /proc/meminfo

check "detach" exits 0 detach web-1
check "detach takes the files away inside" test -z "$(bound "$A")"
check "the process inside reads the host's" eval 'inside "$A" cat /proc/uptime | cmp -n 3 - /proc/uptime'
check "detach: the view is unmounted" eval '! grep -q "$RUN/views/web-1 " /proc/self/mountinfo'
check "detach again" exits 3 detach web-1
ctl --json detach "pid:$B"
check "detach --json by pid:N" json ".id == \"pid-$B\""
check "attach after detach" exits 0 attach --pid "$A" --id web-1
nsenter -t "$A" -m mount -t tmpfs none /sys/devices/system/cpu
check "detach where the container mounts over a directory" exits 0 detach web-1
check "... takes the rest away" eval '! bound "$A" | grep -q /proc'
kill -9 "$C"
for _ in $(seq 100); do
    ctl inspect web-2
    [ $RC = 3 ] && break
    sleep 0.05
done
check "a container that ended is gone" test $RC = 3

kill "$DAEMON"
wait "$DAEMON"
check "the daemon ends cleanly" test $? = 0
DAEMON=''
check "daemon gone" exits 4 inspect web-1
check "no view stays mounted" eval '! grep -q " $RUN/" /proc/self/mountinfo'

# -- policy

printf '[defaults]\nviews=-/proc,-/sys\n' >"$WORK/config"
check "the daemon starts with a configuration" start_daemon
ctl --json attach --pid "$B" --id none
check "attach where policy shows no file" eval '[ $RC = 0 ] && json ".attached == 0"'

echo "1..$COUNT"
[ $BAD = 0 ]
