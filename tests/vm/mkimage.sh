#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# mkimage.sh - build the test machine's kernel, initrd and root image from Debian packages
#
# Usage: mkimage.sh
#
# Prints the directory that holds vmlinux, initrd.img and base.ext4. Its name is the hash of the
# recipe (this file and guest/), so that an image is built once per recipe and two checkouts do
# not disturb each other. Nothing is installed on the host. Exit 125: cannot be built here.
#
# SYSFSD_VM_DIR   the cache (default: ${XDG_CACHE_HOME:-~/.cache}/sysfsd-vm)
set -euo pipefail

here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
cache=${SYSFSD_VM_DIR:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/sysfsd-vm}

suite=bookworm
packages_base=systemd,systemd-sysv,dbus,udev,kmod,procps,iproute2,ca-certificates
packages=(
    runc crun podman conmon uidmap lxc lxcfs systemd-container docker.io containerd apparmor
    busybox-static fuse3 libfuse3-3 libglib2.0-0 libjansson4 libsystemd0 libcap2 libcap2-bin libcmocka0
    jq util-linux strace python3 python3-psutil sysstat htop numactl stress-ng openjdk-17-jre-headless nodejs
)
# What finds the root file system, and what the machine has besides.
modules_initrd=(virtio_pci virtio_blk ext4 crc32c_generic)
modules_root=(
    virtio_console virtio_net 9p 9pnet_virtio fuse overlay loop tun veth bridge dummy autofs4
    br_netfilter nf_tables nft_compat nft_chain_nat nf_nat nf_conntrack xt_conntrack xt_MASQUERADE
    xt_addrtype xt_comment xt_mark xt_multiport ip_tables iptable_filter iptable_nat
)
# Not started at boot; "systemctl start docker" works.
units_disabled=(
    lxc.service lxc-net.service lxcfs.service podman.service podman.socket podman-restart.service
    docker.service docker.socket containerd.service
)
# Nothing a test machine has a use for; each costs boot time under emulation.
units_masked=(
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer
    e2scrub_reap.service fstrim.timer podman-auto-update.timer podman-auto-update.service
    systemd-timesyncd.service systemd-networkd.service systemd-networkd.socket
    systemd-resolved.service systemd-update-utmp.service systemd-update-utmp-runlevel.service
    systemd-pstore.service systemd-binfmt.service systemd-random-seed.service
    systemd-hwdb-update.service systemd-machine-id-commit.service kmod-static-nodes.service
    sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount dev-mqueue.mount
    proc-sys-fs-binfmt_misc.automount modprobe@drm.service ldconfig.service
    getty@tty1.service serial-getty@ttyS0.service console-getty.service
)

start=$SECONDS
say() { echo "mkimage.sh: [$((SECONDS - start)) s] $*" >&2; }
die() {
    echo "mkimage.sh: $*" >&2
    exit 125
}

check_host() {
    local tool missing=()
    for tool in debootstrap qemu-system-x86_64 qemu-img mke2fs python3 unshare flock; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    [ ${#missing[@]} = 0 ] || die "cannot build the image here, missing: ${missing[*]}" \
        "(Debian: debootstrap qemu-system-x86 qemu-utils e2fsprogs python3-minimal util-linux)"
    [ "$(uname -m)" = x86_64 ] || die "the image is built on x86_64 only"
    [ "$(id -u)" = 0 ] || die "building the image needs root (debootstrap)"
}

# Prints the Debian sources of this host's apt, one "deb ..." line each.
host_sources() {
    # shellcheck disable=SC2016  # apt's own fields
    apt-get indextargets --format 'deb $(SITE) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' |
        awk -v suite="$suite" '$3 ~ "^" suite && $4 == "main"' | sort -u
}

# The root tree. The .deb files stay in the cache for the next recipe.
build_root() {
    local root=$1 mirror
    mirror=$(host_sources | awk -v suite="$suite" '$3 == suite { print $2; exit }')
    [ -n "$mirror" ] || die "this host's apt knows no Debian $suite (has apt-get update run?)"
    mkdir -p "$cache/debs"
    debootstrap --variant=minbase --cache-dir="$cache/debs" --include="$packages_base" \
        "$suite" "$root" "$mirror" >"$work/debootstrap.log" 2>&1 ||
        die "debootstrap failed: $(tail -n1 "$work/debootstrap.log")"
    say "debootstrap"

    host_sources >"$root/etc/apt/sources.list"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
    unshare -m --propagation private bash -s "$root" "$cache/debs" "${packages[@]}" \
        >"$work/install.log" 2>&1 <<'END' || die "installing packages failed: $(tail -n1 "$work/install.log")"
set -eu
root=$1 debs=$2
shift 2
mount -t proc proc "$root/proc"
mount --bind "$debs" "$root/var/cache/apt/archives"
mkdir -p "$debs/partial"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
chroot "$root" apt-get -q update
chroot "$root" apt-get -q -o APT::Keep-Downloaded-Packages=true install -y --no-install-recommends "$@"
# The kernel is unpacked only: its maintainer scripts would build an initramfs nobody boots.
kernel=$(chroot "$root" apt-cache depends linux-image-amd64 | awk '/Depends:/ { print $2; exit }')
cd "$root/var/cache/apt/archives"
[ -n "$(find . -maxdepth 1 -name "${kernel}_*.deb" -print -quit)" ] ||
    chroot "$root" sh -c "cd /var/cache/apt/archives && apt-get -q -o APT::Sandbox::User=root download $kernel"
newest=$(find . -maxdepth 1 -name "${kernel}_*.deb" | sort -V | tail -n1)
dpkg-deb -x "$newest" "$root/kernel"
END
    rm -rf "$root"/{usr/sbin/policy-rc.d,etc/resolv.conf,var/log/journal} \
        "$root"/usr/share/{doc,man,locale} "$root"/var/lib/apt/lists/*
    say "root tree $(du -sm "$root" | cut -f1) MiB"
}

# qemu boots the uncompressed ELF through its PVH note; unpacking bzImage under emulation costs 9 s.
extract_vmlinux() {
    python3 - "$1" "$2" <<'END'
import lzma
import sys

data = open(sys.argv[1], "rb").read()
at = data.find(b"\xfd7zXZ\0")
while at != -1:
    try:
        image = lzma.LZMADecompressor().decompress(data[at:])
    except lzma.LZMAError:
        image = b""
    if image[:4] == b"\x7fELF":
        open(sys.argv[2], "wb").write(image)
        sys.exit(0)
    at = data.find(b"\xfd7zXZ\0", at + 1)
sys.exit("no xz-compressed ELF in the kernel image")
END
}

# Prints the files of the named modules and of what they need, in loading order.
module_files() {
    local root=$1 version=$2 module
    shift 2
    for module; do
        chroot "$root" modprobe -d /kernel -S "$version" --show-depends "$module" 2>/dev/null
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

install_modules() {
    local root=$1 version=$2 file
    local to=lib/modules/$version
    chroot "$root" depmod -b /kernel "$version"
    module_files "$root" "$version" "${modules_initrd[@]}" "${modules_root[@]}" |
        while read -r file; do
            install -D -m644 "$root$file" "$root/$to/${file#*/"$to"/}"
        done
    cp "$root/kernel/$to"/modules.{builtin,builtin.modinfo,order} "$root/$to/"
    chroot "$root" depmod "$version"
}

configure_guest() {
    local root=$1 unit
    local system=$root/etc/systemd/system
    install -m755 "$here/guest/vm-agent" "$root/usr/local/sbin/vm-agent"
    install -D -m644 "$here/guest/vm-agent.service" "$system/vm-agent.service"
    install -D -m644 /dev/stdin "$root/etc/systemd/journald.conf.d/vm.conf" <<<$'[Journal]\nStorage=volatile'
    echo vm >"$root/etc/hostname"
    echo '127.0.0.1 localhost vm' >"$root/etc/hosts"
    echo b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0 >"$root/etc/machine-id"
    : >"$root/etc/fstab"
    chroot "$root" passwd -d root >/dev/null
    mkdir -p "$system/graphical.target.wants"
    ln -sf ../vm-agent.service "$system/graphical.target.wants/"
    ln -sf /lib/systemd/system/graphical.target "$system/default.target"
    for unit in "${units_disabled[@]}"; do
        rm -f "$system"/*.wants/"$unit"
    done
    for unit in "${units_masked[@]}"; do
        ln -sf /dev/null "$system/$unit"
    done
}

build_initrd() {
    local root=$1 version=$2 out=$3 file n=0
    mkdir -p "$work/initrd"/{bin,proc,sys,dev,new,mod}
    cp "$root/bin/busybox" "$work/initrd/bin/busybox"
    install -m755 "$here/guest/initrd-init" "$work/initrd/init"
    while read -r file; do
        cp "$root$file" "$work/initrd/mod/$(printf %02d $n)-${file##*/}"
        n=$((n + 1))
    done < <(module_files "$root" "$version" "${modules_initrd[@]}")
    [ "$n" -gt 0 ] || die "no modules for the initrd"
    (cd "$work/initrd" && find . | "$root/bin/busybox" cpio -o -H newc -R 0:0 2>/dev/null) >"$out"
}

build() {
    local root=$work/root version
    check_host
    say "building in $cache (once per recipe, about 2 minutes)"
    build_root "$root"
    version=$(basename "$root"/kernel/lib/modules/*)
    mkdir "$work/image"
    extract_vmlinux "$root/kernel/boot/vmlinuz-$version" "$work/image/vmlinux"
    install_modules "$root" "$version"
    configure_guest "$root"
    build_initrd "$root" "$version" "$work/image/initrd.img"
    rm -rf "$root/kernel"
    truncate -s 4G "$work/image/base.ext4"
    mke2fs -q -t ext4 -O ^has_journal,^metadata_csum -E lazy_itable_init=1,nodiscard -m 0 \
        -d "$root" "$work/image/base.ext4"
    say "kernel $version, image $(du -m "$work/image/base.ext4" | cut -f1) MiB"
}

# Images of other recipes that nobody has used for a day and nobody uses now.
prune() {
    local old
    while read -r old; do
        [ "$old" != "$image" ] || continue
        flock --nonblock "$old/use.lock" rm -rf "$old" || true
    done < <(find "$cache" -mindepth 1 -maxdepth 1 -type d -name 'image-*' -mmin +1440)
}

recipe=$(cd "$here" && cat mkimage.sh guest/* | sha256sum | cut -c1-16)
image=$cache/image-$recipe
mkdir -p "$cache" || die "no cache directory $cache"
exec 9>"$cache/lock"
flock 9
if [ ! -e "$image/base.ext4" ]; then
    rm -rf "$cache"/build.* # of a builder that was killed: the lock is ours
    work=$(mktemp -d "$cache/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    build
    : >"$work/image/use.lock"
    mv "$work/image" "$image"
    prune
fi
touch "$image"
echo "$image"
