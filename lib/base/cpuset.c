/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Sets of CPU and memory-node numbers, and the kernel's two texts for them (lib/bitmap-str.c:
 * bitmap_print_list_str, bitmap_print_bitmask_to_buf). Pure; knows nothing of which CPUs exist.
 */

#include "lib/base/cpuset.h"

#include <string.h>

#include "lib/base/number.h"

#define WORDS (SF_CPUSET_MAX / 64)

void sf_cpuset_clear(SfCpuSet *set)
{
    memset(set, 0, sizeof(*set));
}

bool sf_cpuset_has(const SfCpuSet *set, unsigned cpu)
{
    return cpu < SF_CPUSET_MAX && (set->bits[cpu / 64] >> (cpu % 64) & 1);
}

void sf_cpuset_add(SfCpuSet *set, unsigned cpu)
{
    if (cpu < SF_CPUSET_MAX)
        set->bits[cpu / 64] |= UINT64_C(1) << (cpu % 64);
}

void sf_cpuset_remove(SfCpuSet *set, unsigned cpu)
{
    if (cpu < SF_CPUSET_MAX)
        set->bits[cpu / 64] &= ~(UINT64_C(1) << (cpu % 64));
}

unsigned sf_cpuset_count(const SfCpuSet *set)
{
    unsigned count = 0;

    for (unsigned i = 0; i < WORDS; i++) {
        if (set->bits[i]) /* most are empty, and counting is a call where the CPU has no such
                             instruction for sure */
            count += (unsigned)__builtin_popcountll(set->bits[i]);
    }
    return count;
}

bool sf_cpuset_empty(const SfCpuSet *set)
{
    return sf_cpuset_next(set, 0) < 0;
}

bool sf_cpuset_equal(const SfCpuSet *a, const SfCpuSet *b)
{
    return memcmp(a->bits, b->bits, sizeof(a->bits)) == 0;
}

void sf_cpuset_and(SfCpuSet *set, const SfCpuSet *other)
{
    for (unsigned i = 0; i < WORDS; i++)
        set->bits[i] &= other->bits[i];
}

void sf_cpuset_subtract(SfCpuSet *set, const SfCpuSet *other)
{
    for (unsigned i = 0; i < WORDS; i++)
        set->bits[i] &= ~other->bits[i];
}

void sf_cpuset_keep_lowest(SfCpuSet *set, unsigned n)
{
    for (unsigned i = 0; i < WORDS; i++) {
        unsigned here = set->bits[i] ? (unsigned)__builtin_popcountll(set->bits[i]) : 0;

        if (here <= n) {
            n -= here;
            continue;
        }
        uint64_t kept = 0;
        for (; n > 0; n--) {
            kept |= set->bits[i] & -set->bits[i];
            set->bits[i] &= set->bits[i] - 1;
        }
        set->bits[i] = kept;
    }
}

int sf_cpuset_next(const SfCpuSet *set, unsigned from)
{
    if (from >= SF_CPUSET_MAX)
        return -1;

    uint64_t word = set->bits[from / 64] & (UINT64_MAX << (from % 64));
    for (unsigned i = from / 64;;) {
        if (word)
            return (int)(i * 64 + (unsigned)__builtin_ctzll(word));
        if (++i == WORDS)
            return -1;
        word = set->bits[i];
    }
}

/* The kernel ends a list with one newline; a captured text may have none. Other blanks it never
 * prints. */
static SfSlice strip_newline(const char *text, size_t len)
{
    if (len > 0 && text[len - 1] == '\n')
        len--;
    return sf_slice(text, len);
}

static int parse_range(SfSlice item, SfCpuSet *set)
{
    uint64_t first, last;
    SfSlice from;
    bool is_range = item.len > 0 && memchr(item.data, '-', item.len);

    if (!sf_slice_next_field(&item, '-', &from))
        return -EINVAL;
    int r = sf_slice_u64(from, &first);
    if (r < 0)
        return r;
    last = first;
    if (is_range) {
        r = sf_slice_u64(item, &last);
        if (r < 0)
            return r;
    }
    if (last < first)
        return -EINVAL;
    if (last >= SF_CPUSET_MAX)
        return -ERANGE;
    for (uint64_t cpu = first; cpu <= last; cpu++)
        sf_cpuset_add(set, (unsigned)cpu);
    return 0;
}

int sf_cpuset_parse_list(const char *text, size_t len, SfCpuSet *ret_set)
{
    SfSlice rest = strip_newline(text, len);
    SfSlice item;
    SfCpuSet set = {0};

    if (rest.len > 0 && rest.data[rest.len - 1] == ',')
        return -EINVAL;
    while (sf_slice_next_field(&rest, ',', &item)) {
        int r = parse_range(item, &set);
        if (r < 0)
            return r;
    }
    *ret_set = set;
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static int parse_mask_group(SfSlice group, uint32_t *ret_bits)
{
    uint32_t bits = 0;

    if (group.len == 0 || group.len > 8)
        return -EINVAL;
    for (size_t i = 0; i < group.len; i++) {
        int digit = hex_digit(group.data[i]);
        if (digit < 0)
            return -EINVAL;
        bits = bits << 4 | (uint32_t)digit;
    }
    *ret_bits = bits;
    return 0;
}

/* Takes the group after the last comma off *rest: groups count from the right. */
static bool take_last_group(SfSlice *rest, SfSlice *ret_group)
{
    if (rest->len == 0)
        return false;

    const char *comma = memrchr(rest->data, ',', rest->len);
    if (!comma) {
        *ret_group = *rest;
        rest->len = 0;
        return true;
    }
    size_t start = (size_t)(comma - rest->data) + 1;
    *ret_group = sf_slice(rest->data + start, rest->len - start);
    rest->len = start - 1;
    return true;
}

int sf_cpuset_parse_mask(const char *text, size_t len, SfCpuSet *ret_set)
{
    SfSlice rest = strip_newline(text, len);
    SfSlice group;
    SfCpuSet set = {0};

    /* ",ff" would otherwise end the loop as if nothing stood before the comma. */
    if (rest.len > 0 && rest.data[0] == ',')
        return -EINVAL;
    for (unsigned position = 0; take_last_group(&rest, &group); position++) {
        uint32_t bits;
        int r = parse_mask_group(group, &bits);
        if (r < 0)
            return r;
        if (bits == 0)
            continue;
        if (position >= SF_CPUSET_MAX / 32)
            return -ERANGE;
        set.bits[position / 2] |= (uint64_t)bits << (position % 2 * 32);
    }
    *ret_set = set;
    return 0;
}

/* Writes into a fixed buffer without ever passing its end; one byte is kept for the NUL. */
typedef struct Writer {
    char *data;
    size_t size, len;
} Writer;

static bool writer_put(Writer *writer, char c)
{
    if (writer->len + 1 >= writer->size)
        return false;
    writer->data[writer->len++] = c;
    return true;
}

static bool writer_number(Writer *writer, unsigned value)
{
    char digits[10];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (n > 0) {
        if (!writer_put(writer, digits[--n]))
            return false;
    }
    return true;
}

static unsigned run_end(const SfCpuSet *set, unsigned cpu)
{
    while (sf_cpuset_has(set, cpu + 1))
        cpu++;
    return cpu;
}

int sf_cpuset_format_list(const SfCpuSet *set, char *buffer, size_t size)
{
    Writer writer = {buffer, size, 0};

    if (size == 0)
        return -ENOBUFS;
    for (int next = sf_cpuset_next(set, 0); next >= 0;) {
        unsigned first = (unsigned)next;
        unsigned last = run_end(set, first);

        if (writer.len > 0 && !writer_put(&writer, ','))
            return -ENOBUFS;
        if (!writer_number(&writer, first))
            return -ENOBUFS;
        /* Two neighbours are a range too, "0-1", as the kernel prints them. */
        if (last > first && (!writer_put(&writer, '-') || !writer_number(&writer, last)))
            return -ENOBUFS;
        next = sf_cpuset_next(set, last + 1);
    }
    buffer[writer.len] = '\0';
    return (int)writer.len;
}

int sf_cpuset_format_mask(const SfCpuSet *set, unsigned width, char *buffer, size_t size)
{
    static const char HEX[] = "0123456789abcdef";
    Writer writer = {buffer, size, 0};

    if (size == 0)
        return -ENOBUFS;
    if (width > SF_CPUSET_MAX)
        width = SF_CPUSET_MAX;
    /* vsprintf's bitmap_string(): groups of 32 bits from the left, the first padded to the digits
     * that width needs. */
    for (unsigned digit = (width + 3) / 4; digit-- > 0;) {
        unsigned value = 0;

        for (unsigned bit = 0; bit < 4; bit++) {
            if (digit * 4 + bit < width && sf_cpuset_has(set, digit * 4 + bit))
                value |= 1u << bit;
        }
        if (!writer_put(&writer, HEX[value]))
            return -ENOBUFS;
        if (digit > 0 && digit % 8 == 0 && !writer_put(&writer, ','))
            return -ENOBUFS;
    }
    buffer[writer.len] = '\0';
    return (int)writer.len;
}
