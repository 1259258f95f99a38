/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether a connection is flooded, how long its turns are then, and for how long it rests after
 * one, so that others find a CPU. Touched by who serves the connection only, and handed on by epoll
 * (connection.h).
 */

#include <stdbool.h>
#include <stdint.h>

/* Requests of one connection before others in the lane have their turn. */
#define SF_TURN 16u
/* Readers that are told from each other. */
#define SF_FLOOD_READERS 24u

typedef struct SfFlood {
    _Atomic unsigned turns; /* short ones since it was looked at; 0: it is not flooded */
    _Atomic unsigned full;  /* turns of many readers that were full */
    /* Requests of other containers when that was looked at last, and 1; when they were more than
     * before. */
    _Atomic uint64_t seen_others, others_nsec;
} SfFlood;

void sf_flood_reset(SfFlood *flood);

bool sf_flood_is_on(const SfFlood *flood);
/* Requests of the next turn. */
unsigned sf_flood_turn(const SfFlood *flood);
/* After a turn of that many, which was full: of how many it is to be instead. readers: different
 * threads among it. */
unsigned sf_flood_longer_turn(SfFlood *flood, unsigned turn, unsigned readers);
/* A turn of that many has ended. full: it had so many. True when the connection is flooded. */
bool sf_flood_end_turn(SfFlood *flood, unsigned turn, bool full, unsigned readers);

/* How long to rest after a turn of a flooded connection. own, all: requests that its container and
 * all containers have been served so far. now_nsec: of a clock that only goes on. */
uint64_t sf_flood_rest_nsec(SfFlood *flood, uint64_t turn_nsec, uint64_t own, uint64_t all,
                            uint64_t now_nsec);
