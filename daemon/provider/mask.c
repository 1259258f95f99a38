/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cutting sets of numbers out of the host's texts. Must not know which file is asked for.
 */

#include "daemon/provider/mask.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/provider/shared.h"

int sf_mask_list(SfText *text, SfSlice host, const SfCpuSet *visible)
{
    SfCpuSet set;

    int r = sf_cpuset_parse_list(host.data, host.len, &set);
    if (r < 0)
        return r;
    sf_cpuset_and(&set, visible);
    sf_format_cpulist(text, &set);
    return 0;
}

int sf_mask_map(SfText *text, SfSlice host, const SfCpuSet *visible)
{
    SfSlice digits = sf_slice_trim(host);
    SfCpuSet set;
    unsigned bit = 0;

    int r = sf_cpuset_parse_mask(digits.data, digits.len, &set);
    if (r < 0)
        return r;
    for (size_t i = 0; i < digits.len; i++)
        bit += digits.data[i] == ',' ? 0 : 4;
    sf_cpuset_and(&set, visible);
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] == ',') {
            sf_text_putc(text, ',');
            continue;
        }
        unsigned value = 0;
        bit -= 4;
        for (unsigned n = 0; n < 4; n++)
            value |= (unsigned)sf_cpuset_has(&set, bit + n) << n;
        sf_text_putc(text, "0123456789abcdef"[value]);
    }
    sf_text_append(text, digits.data + digits.len,
                   (size_t)(host.data + host.len - digits.data - digits.len));
    return 0;
}

int sf_mask_words(SfText *text, SfSlice host, const SfCpuSet *visible)
{
    SfSlice words = sf_slice_trim(host), word;
    bool first = true;

    while (sf_slice_next_word(&words, &word)) {
        uint64_t cpu;
        int r = sf_slice_u64(word, &cpu);
        if (r < 0)
            return r;
        if (cpu >= SF_CPUSET_MAX || !sf_cpuset_has(visible, (unsigned)cpu))
            continue;
        if (!first)
            sf_text_putc(text, ' ');
        first = false;
        sf_text_slice(text, word);
    }
    sf_text_putc(text, '\n');
    return 0;
}

const char *sf_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

int sf_path_number(const char *path, const char *prefix)
{
    uint64_t number;

    if (!g_str_has_prefix(path, prefix))
        return -1;
    const char *digits = path + strlen(prefix);
    size_t len = strcspn(digits, "/");
    if (sf_slice_u64(sf_slice(digits, len), &number) < 0 || number >= SF_CPUSET_MAX ||
        (digits[0] == '0' && len > 1))
        return -1;
    return (int)number;
}
