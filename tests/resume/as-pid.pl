#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# as-pid.pl PID COMMAND...: runs the command as the process of that number, which must be free (clone3(2), set_tid).
use strict;
use warnings;

my $pid = shift;
my $tids = pack('l', $pid);
# struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup
my $args = pack('Q8 J Q2', (0) x 4, 17, (0) x 3, unpack('J', pack('p', $tids)), 1, 0);
my $child = syscall(435, $args, length $args);
die "clone3: $!\n" if $child < 0;
exec @ARGV or die "$ARGV[0]: $!\n" if $child == 0;
waitpid $child, 0;
