# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034 # the lists are used by those who source this
# Shared by scripts/demo and scripts/test: what has to be installed on a Debian 12, and how the tree is built.

BUILD_PACKAGES=(gcc libc6-dev meson ninja-build pkg-config libfuse3-dev libglib2.0-dev libcap-dev libjansson-dev
    libsystemd-dev libcmocka-dev python3)
# runc and a static busybox make the containers; mount and procps are how a person looks at them.
RUN_PACKAGES=(runc busybox-static procps util-linux mount bsdextrautils diffutils jq)
# crun, lxcfs, the VM's tools and the programs that judge are for the tests alone.
TEST_PACKAGES=(crun lxcfs liburing-dev strace clang libclang-rt-14-dev clang-format shellcheck libcap2-bin uidmap bsdutils perl-base
    debootstrap qemu-system-x86 qemu-utils e2fsprogs cpio kmod
    sysstat htop numactl openjdk-17-jre-headless nodejs python3-psutil stress-ng)

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

need_root() {
    [ "$(id -u)" = 0 ] || die "must run as root: it installs packages, mounts and makes cgroups"
}

# install_packages NAME...: only what is missing, so that a second run needs no network.
install_packages() {
    local missing=() name
    for name in "$@"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "no apt-get here; install by hand: ${missing[*]}"
    echo "installing: ${missing[*]}"
    local log
    log=$(mktemp)
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install ${missing[*]}"
    fi
    rm -f "$log"
}

# build DIR [MESON-OPTION...]: configures if need be, and compiles (BUILD_TARGETS alone where it is set). Says why and returns 1
# when it could not.
build() {
    local dir=$1 log=$1/build.log
    shift
    mkdir -p "$dir"
    if [ ! -f "$dir/build.ninja" ]; then
        meson setup "$@" "$dir" "$TOP" >"$log" 2>&1 || {
            tail -n 30 "$log" >&2
            echo "meson setup failed; all of it is in $log" >&2
            return 1
        }
    fi
    # shellcheck disable=SC2086 # a list
    ninja -C "$dir" ${BUILD_TARGETS:-} >"$log" 2>&1 || {
        grep -E 'error|warning|FAILED' "$log" | head -n 30 >&2
        echo "the build failed; all of it is in $log" >&2
        return 1
    }
}
