/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading sysfsd.conf. Strict: a key that is not known or a value that does not fit is an error
 * with file, line and key, since a misspelt limit that is silently ignored is worse than a daemon
 * that does not start. Worse than both is one that does not start again while readers wait for it:
 * then what is right in the file counts.
 */

#include "daemon/config.h"

#include <string.h>

#include "daemon/view/view.h"
#include "lib/base/number.h"

#define CONFIG_ERROR g_quark_from_static_string("sysfsd-config")

/* Without it "key[LANGUAGE]" is left out, and nobody says so. */
#define LOAD_FLAGS G_KEY_FILE_KEEP_TRANSLATIONS

typedef bool (*ApplyKey)(SfConfig *config, const char *value, char *error, size_t error_size);

bool sf_config_log_level(const char *word, GLogLevelFlags *ret_level)
{
    static const struct {
        const char *word;
        GLogLevelFlags level;
    } levels[] = {{"error", G_LOG_LEVEL_CRITICAL},
                  {"warning", G_LOG_LEVEL_WARNING},
                  {"info", G_LOG_LEVEL_INFO},
                  {"debug", G_LOG_LEVEL_DEBUG}};

    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        if (strcmp(levels[i].word, word) == 0) {
            *ret_level = levels[i].level;
            return true;
        }
    }
    return false;
}

static bool apply_log_level(SfConfig *config, const char *value, char *error, size_t error_size)
{
    if (sf_config_log_level(value, &config->log_level))
        return true;
    (void)g_snprintf(error, error_size, "%s is none of error, warning, info, debug", value);
    return false;
}

static bool apply_number(const char *value, unsigned least, unsigned most, unsigned *ret_number,
                         char *error, size_t error_size)
{
    uint64_t number;

    if (sf_slice_u64(sf_slice_str(value), &number) < 0 || number < least || number > most) {
        (void)g_snprintf(error, error_size, "%s is not a number from %u to %u", value, least, most);
        return false;
    }
    *ret_number = (unsigned)number;
    return true;
}

static bool apply_workers(SfConfig *config, const char *value, char *error, size_t error_size)
{
    return apply_number(value, 0, 48, &config->workers, error, error_size);
}

static bool apply_max_containers(SfConfig *config, const char *value, char *error,
                                 size_t error_size)
{
    return apply_number(value, 1, SF_CONFIG_MAX_CONTAINERS, &config->max_containers, error,
                        error_size);
}

static bool apply_default(SfConfig *config, const char *name, const char *value, char *error,
                          size_t error_size)
{
    const char *what;

    if (sf_policy_set(&config->defaults, name, value, &what) >= 0)
        return true;
    (void)g_snprintf(error, error_size, "%.100s: %s", value, what);
    return false;
}

static bool apply_cpu(SfConfig *config, const char *value, char *error, size_t error_size)
{
    return apply_default(config, "cpu", value, error, error_size);
}

static bool apply_views(SfConfig *config, const char *value, char *error, size_t error_size)
{
    if (!apply_default(config, "views", value, error, error_size))
        return false;
    const SfViewRule *idle = sf_view_idle_rule(&config->defaults, 0);
    if (idle)
        (void)g_snprintf(error, error_size, "%c%s: no file of a view is there",
                         idle->show ? '+' : '-', idle->path);
    return !idle;
}

static const struct {
    const char *group, *key;
    ApplyKey apply;
} keys[] = {
    {"daemon", "log-level", apply_log_level},
    {"daemon", "workers", apply_workers},
    {"daemon", "max-containers", apply_max_containers},
    {"defaults", "cpu", apply_cpu},
    {"defaults", "views", apply_views},
};

void sf_config_init(SfConfig *config)
{
    *config = (SfConfig){.log_level = G_LOG_LEVEL_INFO, .max_containers = 5000};
    sf_policy_init(&config->defaults);
}

/* GKeyFile does not tell lines: the number of the line that has the key (the last one, which
 * counts) or, without one, the header of the group. 0: none. */
static unsigned find_line(const char *text, const char *group, const char *key)
{
    SfSlice rest = sf_slice_str(text), line;
    bool inside = false;
    unsigned found = 0;

    for (unsigned number = 1; sf_slice_next_line(&rest, &line); number++) {
        line = sf_slice_trim(line);
        const char *equals = memchr(line.data, '=', line.len);
        bool header = line.len > 2 && line.data[0] == '[' && line.data[line.len - 1] == ']';
        if (line.len == 0 || line.data[0] == '#')
            continue;
        if (header) {
            inside = sf_slice_eq(sf_slice(line.data + 1, line.len - 2), group);
            if (inside && !key)
                return number;
        } else if (inside && equals &&
                   sf_slice_eq(sf_slice_trim(sf_slice(line.data, (size_t)(equals - line.data))),
                               key)) {
            found = number;
        }
    }
    return found;
}

static const char *after_line(const char *text)
{
    const char *end = strchr(text, '\n');

    return end ? end + 1 : text + strlen(text);
}

static bool is_well_formed(const char *text, unsigned lines)
{
    g_autoptr(GKeyFile) keyfile = g_key_file_new();
    const char *end = text;

    while (lines-- > 0)
        end = after_line(end);
    return g_key_file_load_from_data(keyfile, text, (gsize)(end - text), LOAD_FLAGS, NULL);
}

/* The first line that GKeyFile does not take, in a text that it does not take. */
static unsigned find_malformed(const char *text)
{
    unsigned good = 0, bad = 0;

    for (const char *rest = text; *rest; rest = after_line(rest))
        bad++;
    while (bad - good > 1) {
        unsigned middle = good + (bad - good) / 2;
        if (is_well_formed(text, middle))
            good = middle;
        else
            bad = middle;
    }
    return bad;
}

/* The first line with a byte that is in no text, or 0. */
static unsigned find_no_text(const char *text, size_t len)
{
    const char *end;

    if (g_utf8_validate(text, (gssize)len, &end))
        return 0;
    unsigned line = 1;
    for (const char *c = text; c < end; c++)
        line += *c == '\n';
    return line;
}

static bool apply_key(SfConfig *config, const char *file, const char *text, GKeyFile *keyfile,
                      const char *group, const char *key, GError **error)
{
    char sentence[512] = "no such key";
    g_autofree char *value = g_key_file_get_value(keyfile, group, key, NULL);
    const SfConfig before = *config;

    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (strcmp(keys[i].group, group) != 0 || strcmp(keys[i].key, key) != 0)
            continue;
        if (value && keys[i].apply(config, g_strchomp(value), sentence, sizeof(sentence)))
            return true;
        *config = before; /* part of a value may have been taken */
        break;
    }
    g_set_error(error, CONFIG_ERROR, 0, "%s:%u: %s in [%s]: %s", file, find_line(text, group, key),
                key, group, sentence);
    return false;
}

static bool known_group(const char *group)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (strcmp(keys[i].group, group) == 0)
            return true;
    }
    return false;
}

/* Takes all that is right; false with the first thing that is not. */
static bool apply_all(SfConfig *config, const char *file, const char *text, GKeyFile *keyfile,
                      GError **error)
{
    g_auto(GStrv) groups = g_key_file_get_groups(keyfile, NULL);
    g_autoptr(GError) first = NULL;

    for (unsigned g = 0; groups[g]; g++) {
        if (!known_group(groups[g])) {
            if (!first)
                g_set_error(&first, CONFIG_ERROR, 0, "%s:%u: no such group: [%s]", file,
                            find_line(text, groups[g], NULL), groups[g]);
            continue;
        }
        g_auto(GStrv) names = g_key_file_get_keys(keyfile, groups[g], NULL, NULL);
        for (unsigned k = 0; names && names[k]; k++)
            (void)apply_key(config, file, text, keyfile, groups[g], names[k],
                            first ? NULL : &first); /* false is in first */
    }
    if (!first)
        return true;
    g_propagate_error(error, g_steal_pointer(&first));
    return false;
}

bool sf_config_load_parts(SfConfig *config, const char *file, bool required, GError **error)
{
    g_autoptr(GKeyFile) keyfile = g_key_file_new();
    g_autoptr(GError) local = NULL;
    g_autofree char *text = NULL;
    size_t len;

    if (!g_file_get_contents(file, &text, &len, &local)) {
        if (!required && g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            return true;
        g_propagate_error(error, g_steal_pointer(&local)); /* names the file and why */
        return false;
    }
    unsigned no_text = find_no_text(text, len);
    if (no_text > 0) {
        g_set_error(error, CONFIG_ERROR, 0, "%s:%u: not UTF-8 text", file, no_text);
        return false;
    }
    if (len > 0 && !g_key_file_load_from_data(keyfile, text, len, LOAD_FLAGS, &local)) {
        g_set_error(error, CONFIG_ERROR, 0, "%s:%u: %s", file, find_malformed(text),
                    local->message);
        return false;
    }
    return apply_all(config, file, text, keyfile, error);
}

bool sf_config_load(SfConfig *config, const char *file, bool required, GError **error)
{
    SfConfig changed = *config;

    if (!sf_config_load_parts(&changed, file, required, error))
        return false;
    *config = changed;
    return true;
}
