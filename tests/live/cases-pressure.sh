# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154 # set or read in the other files
#
# The pressure of a container: its cgroup's, on v2 and in the unified tree of a hybrid host.

# The directory of a container that has pressure files; nothing on v1.
pressure_dir() { # ID
    if on_v2; then
        echo "/sys/fs/cgroup/$TAG/$1"
    elif grep -q ' /sys/fs/cgroup/unified cgroup2 ' /proc/self/mounts; then
        echo "/sys/fs/cgroup/unified/$TAG/$1"
    fi
}

# Microseconds of the lines "some" and "full"; 0 without the line.
pressure_totals() { # FILE
    awk '{ sub("total=", "", $5); total[$1] = $5 } END { print total["some"] + 0, total["full"] + 0 }' "$1"
}

# The view's text is the file's: its totals lie between those before and after.
check_pressure_file() { # DIR VIEW NAME
    local before after some full
    read -r -a before < <(pressure_totals "$1/$3.pressure")
    read -r some full < <(pressure_totals "$2/$3")
    read -r -a after < <(pressure_totals "$1/$3.pressure")
    check_range "some of $3 pressure" "$some" "${before[0]}" "${after[0]}"
    check_range "full of $3 pressure" "$full" "${before[1]}" "${after[1]}"
    check_eq "lines of $3 pressure" "$(cut -d' ' -f1 "$2/$3" | paste -sd' ')" "$(cut -d' ' -f1 "$1/$3.pressure" | paste -sd' ')"
}

# Prints what poll(2) says of a trigger, at most 20 s later. A window of 2 s is what all may ask for (kernel/sched/psi.c).
trigger_says() { # FILE
    python3 -c '
import os, select, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NONBLOCK)
os.write(fd, b"some 50000 2000000\0")
poll = select.poll()
poll.register(fd, select.POLLPRI)
events = [event for _, event in poll.poll(20000)]
print("nothing" if not events else "error" if events[0] & select.POLLERR else "pressure")' "$1" 2>&1
}

pressure_grew() { # FILE SOME
    local some rest
    read -r some rest < <(pressure_totals "$1")
    [ "$some" -ge "$2" ]
}

# Four loops in 1.5 CPUs: there always is one that waits.
case_pressure() {
    local id=pressure dir view name some again rest calm
    load_run "$id" memory busy busy busy busy && load_run calm idle || return
    dir=$(pressure_dir "$id") view=$(view_of "$id")/proc/pressure
    freezer_of "$id"
    check_start "$id" "$(view_of "$id")" --freeze "$CGROUP_FILE"
    check_end
    for name in cpu memory io irq; do
        if [ -e "$dir/$name.pressure" ] && [ -e "/proc/pressure/$name" ]; then
            check_pressure_file "$dir" "$view" $name
            check_pressure_file "$(pressure_dir calm)" "$(view_of calm)/proc/pressure" $name
        fi
    done
    read -r some rest < <(pressure_totals "$view/cpu")
    read -r calm rest < <(pressure_totals "$(view_of calm)/proc/pressure/cpu")
    # The kernel brings the totals up to date every 2 s.
    eventually 20 pressure_grew "$view/cpu" $((some + 1000000)) || fail 'the pressure of four loops does not grow'
    read -r again rest < <(pressure_totals "$(view_of calm)/proc/pressure/cpu")
    check_range 'microseconds in which some of a calm container waited meanwhile' $((again - calm)) 0 100000
    check_eq 'what a trigger says' "$(trigger_says "/proc/$(container_pid "$id")/root/proc/pressure/cpu")" pressure
}

pressure_cases() {
    [ -z "$(pressure_dir x)" ] || run_case pressure case_pressure
}
