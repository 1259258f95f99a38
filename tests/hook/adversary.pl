#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Peers of the control socket that mean no good. perl-base only.
#   adversary.pl serve PATH UID      a server of that user that accepts and never answers
#   adversary.pl attack PATH COUNT   COUNT connections of each kind: silent, half a frame, garbage, too
#                                    long a frame, valid calls whose replies are never read; exits 0
#                                    when the daemon has cut off all that sent no whole call

use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);

$SIG{PIPE} = 'IGNORE';
my ($mode, $path, $argument) = @ARGV;

sub serve {
    $> = $argument if $argument;
    my $server = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $path, Listen => 5)
        or die "adversary.pl: $path: $!\n";
    my @peers;
    while (my $peer = $server->accept) {
        push @peers, $peer;
    }
    return 0;
}

sub open_many {
    my ($count, $bytes) = @_;
    my @peers;
    for (1 .. $count) {
        my $peer = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $path) or next;
        $peer->blocking(0);
        syswrite($peer, $bytes) if length $bytes;
        push @peers, $peer;
    }
    return @peers;
}

# Whether the other side closes every peer in time; replies before that are read.
sub all_closed {
    my ($seconds, @peers) = @_;
    my $select = IO::Select->new(@peers);
    my $end = time + $seconds;
    while ($select->count && time < $end) {
        for my $peer ($select->can_read(0.2)) {
            my $n = sysread($peer, my $bytes, 65536);
            $select->remove($peer) if !$n && !$!{EAGAIN};
        }
    }
    return $select->count;
}

sub attack {
    my $call = qq({"method":"io.sysfsd.Control.Status","parameters":{}}\0);
    my @deaf = open_many($argument, $call x 2000);
    my @silent = open_many($argument, '');
    my @half = open_many($argument, '{"method":"io.sysfsd.Control.Reg');
    my @garbage = open_many($argument, join('', map { chr(rand 256) } 1 .. 4096) . "\0");
    my @long = open_many($argument, 'x' x 65536);
    my $end = time + 4;
    while (time < $end) {
        syswrite($_, 'x' x 65536) for @long;
        syswrite($_, $call) for @deaf;
        select(undef, undef, undef, 0.01);
    }
    my $left = all_closed(8, @silent, @half, @garbage, @long);
    print STDERR "adversary.pl: $left connections are still open\n" if $left;
    return $left ? 1 : 0;
}

exit($mode eq 'serve' ? serve() : attack());
