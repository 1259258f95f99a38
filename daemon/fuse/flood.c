/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flood is more threads at a time than programs have that read such files: a turn that is longer
 * than others tells them apart. It is looked at now and then only, as others wait meanwhile.
 */

#include "daemon/fuse/flood.h"

#include <glib.h>
#include <stdatomic.h>

#include "daemon/fuse/relaxed.h"

#define TURN_SHORT 2u /* is as long as another reader on that CPU waits */
#define TURN_LONG 64u
#define SUSPECT_READERS 7u /* of SF_TURN requests */
#define LOOK_EVERY 256u    /* turns */
#define LOOK_AGAIN 4096u   /* short ones, some seconds; others' p99 is not to know of it */
#define REST_TIMES 8u      /* the length of the turn */
#define REST_MOST_NSEC 10000000u
/* Who was served so lately may come back. */
#define OTHERS_NSEC (UINT64_C(2) * 1000000000)

void sf_flood_reset(SfFlood *flood)
{
    sf_relaxed_put(&flood->turns, 0);
    sf_relaxed_put(&flood->full, 0);
    atomic_store(&flood->seen_others, 0);
    atomic_store(&flood->others_nsec, 0);
}

bool sf_flood_is_on(const SfFlood *flood)
{
    return sf_relaxed_get(&flood->turns) > 0;
}

unsigned sf_flood_turn(const SfFlood *flood)
{
    return sf_relaxed_get(&flood->turns) % LOOK_AGAIN > 0 ? TURN_SHORT : SF_TURN;
}

unsigned sf_flood_longer_turn(SfFlood *flood, unsigned turn, unsigned readers)
{
    unsigned full = sf_relaxed_get(&flood->full);

    if (turn != SF_TURN || readers < SUSPECT_READERS)
        return turn;
    sf_relaxed_put(&flood->full, full + 1);
    return sf_relaxed_get(&flood->turns) > 0 || full % LOOK_EVERY == 0 ? TURN_LONG : turn;
}

bool sf_flood_end_turn(SfFlood *flood, unsigned turn, bool full, unsigned readers)
{
    unsigned turns = sf_relaxed_get(&flood->turns);

    if (full && turn == TURN_SHORT)
        turns++;
    else
        turns = full && turn == TURN_LONG && readers >= SF_FLOOD_READERS;
    sf_relaxed_put(&flood->turns, turns);
    return turns > 0;
}

/* Nobody is kept waiting for nobody. Both numbers are read while others count: one request more is
 * nobody yet. */
uint64_t sf_flood_rest_nsec(SfFlood *flood, uint64_t turn_nsec, uint64_t own, uint64_t all,
                            uint64_t now_nsec)
{
    uint64_t others = all > own ? all - own : 0, seen = atomic_load(&flood->seen_others);

    if (seen > 0 && others > seen)
        atomic_store(&flood->others_nsec, now_nsec);
    if (seen == 0 || others > seen)
        atomic_store(&flood->seen_others, others + 1);
    if (now_nsec - atomic_load(&flood->others_nsec) >= OTHERS_NSEC)
        return 0;
    return MIN(turn_nsec * REST_TIMES, REST_MOST_NSEC);
}
