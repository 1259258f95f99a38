#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# trigger-flood.pl FILE PROCESSES: each opens the pressure file, arms a trigger and closes it, without a pause, until
# SIGTERM; then it says how many there were.
use strict;
use warnings;
use Fcntl;

my ($file, $processes) = @ARGV;
my ($end, $count, $refused, @children) = (0, 0, 0);
$| = 1;
$SIG{TERM} = sub { $end = 1; kill 'TERM', @children };
for (2 .. $processes) {
    my $child = fork // die "fork: $!\n";
    @children = (), last if $child == 0;
    push @children, $child;
}
print "begun\n";
until ($end) {
    sysopen my $pressure, $file, O_RDWR or die "$file: $!\n";
    (syswrite $pressure, "some 500000 2000000\0") ? $count++ : $refused++;
}
print "$count triggers, $refused refused\n";
waitpid $_, 0 for @children;
