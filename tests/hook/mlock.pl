#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# mlock.pl FILE MIB: fills FILE, maps it and locks the pages; says "locked" and stays.
# The system calls go by number because perl-base, which every Debian has, knows none.

use strict;
use warnings;

my ($path, $mib) = @ARGV;
my ($machine) = (POSIX_uname())[4];
my %numbers = (x86_64 => [9, 149], aarch64 => [222, 228]);
my $calls = $numbers{$machine} or die "mlock.pl: no system call numbers for $machine\n";

sub POSIX_uname { require POSIX; return POSIX::uname(); }

open(my $file, '+>', $path) or die "mlock.pl: $path: $!\n";
my $block = 'x' x (1 << 20);
for (1 .. $mib) {
    syswrite($file, $block) == length($block) or die "mlock.pl: $path: $!\n";
}
my $size = $mib << 20;
my $address = syscall($calls->[0], 0, $size, 3, 1, fileno($file), 0);
$address > 0 or die "mlock.pl: mmap: $!\n";
syscall($calls->[1], $address, $size) == 0 or die "mlock.pl: mlock: $!\n";
$| = 1;
print "locked\n";
sleep 1000;
