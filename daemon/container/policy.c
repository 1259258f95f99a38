/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses "io.sysfsd.*" annotations into a policy and answers whether a path is shown. Pure: it
 * reads nothing, logs nothing and does not know which files exist.
 */

#include "daemon/container/policy.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/number.h"

#define KEY_PREFIX "io.sysfsd."

/* What a message quotes of a foreign key or value at most. */
#define QUOTE_MAX 100

/* Annotations come from other people's files: a message stays one line of text whatever they hold.
 */
static const char *quote(const char *text, char *buffer, size_t size)
{
    size_t n = 0;

    for (; text[n] != '\0' && n + 1 < size; n++) {
        unsigned char c = (unsigned char)text[n];
        buffer[n] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    buffer[n] = '\0';
    return buffer;
}

static int refuse(int error_code, char *error, size_t error_size, const char *key,
                  const char *value, const char *what)
{
    char shown_key[QUOTE_MAX], shown_value[QUOTE_MAX];

    if (error != NULL && error_size > 0)
        (void)snprintf(error, error_size, "annotation %s=%s: %s", /* cut short is good enough */
                       quote(key, shown_key, sizeof(shown_key)),
                       quote(value, shown_value, sizeof(shown_value)), what);
    return error_code;
}

static const char *const cpu_policy_names[] = {
    [SF_CPU_POLICY_QUOTA] = "quota",
    [SF_CPU_POLICY_CPUSET] = "cpuset",
    [SF_CPU_POLICY_HOST] = "host",
};

const char *sf_cpu_policy_name(SfCpuPolicy policy)
{
    return cpu_policy_names[policy];
}

void sf_policy_init(SfPolicy *policy)
{
    *policy = (SfPolicy){.enable = true, .cpu = SF_CPU_POLICY_QUOTA};
}

static int parse_bool(const char *value, bool *ret_flag)
{
    if (strcmp(value, "true") == 0)
        *ret_flag = true;
    else if (strcmp(value, "false") == 0)
        *ret_flag = false;
    else
        return -EINVAL;
    return 0;
}

static int parse_cpu(const char *value, SfCpuPolicy *ret_cpu)
{
    for (size_t i = 0; i < sizeof(cpu_policy_names) / sizeof(cpu_policy_names[0]); i++) {
        if (strcmp(value, cpu_policy_names[i]) == 0) {
            *ret_cpu = (SfCpuPolicy)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* "/proc", "/sys" or something below, in the one form that sf_policy_shows() compares with: nothing
 * that could never match is taken silently. */
static bool path_valid(SfSlice path)
{
    SfSlice rest = path, component;

    if (path.len == 0 || path.len >= SF_POLICY_PATH_MAX || path.data[0] != '/' ||
        path.data[path.len - 1] == '/')
        return false;
    rest.data++;
    rest.len--;
    for (unsigned depth = 0; sf_slice_next_field(&rest, '/', &component); depth++) {
        if (component.len == 0 || sf_slice_eq(component, ".") || sf_slice_eq(component, ".."))
            return false;
        if (depth == 0 && !sf_slice_eq(component, "proc") && !sf_slice_eq(component, "sys"))
            return false;
        for (size_t i = 0; i < component.len; i++) {
            if ((unsigned char)component.data[i] <= 0x20 || component.data[i] == 0x7f)
                return false;
        }
    }
    return true;
}

/* Appends the rules, so that an annotation's are looked at after the configuration's. */
static int parse_views(SfPolicy *policy, const char *value, const char **ret_what)
{
    SfSlice rest = sf_slice_str(value);

    *ret_what = "expected a comma list of +PATH and -PATH below /proc or /sys";
    if (rest.len == 0 || rest.data[rest.len - 1] == ',')
        return -EINVAL;
    for (SfSlice field; sf_slice_next_field(&rest, ',', &field);) {
        SfSlice item = sf_slice_trim(field);
        if (item.len < 2 || (item.data[0] != '+' && item.data[0] != '-'))
            return -EINVAL;
        SfSlice path = sf_slice(item.data + 1, item.len - 1);
        if (!path_valid(path))
            return -EINVAL;
        if (policy->rule_count >= SF_POLICY_MAX_RULES) {
            *ret_what = "too many rules";
            return -EINVAL;
        }
        SfViewRule *rule = &policy->rules[policy->rule_count++];
        *rule = (SfViewRule){.show = item.data[0] == '+'};
        memcpy(rule->path, path.data, path.len);
    }
    return 0;
}

int sf_policy_set(SfPolicy *policy, const char *name, const char *value, const char **ret_what)
{
    const char *what;
    SfPolicy changed = *policy;
    int r;

    if (strcmp(name, "enable") == 0) {
        what = "expected true or false";
        r = parse_bool(value, &changed.enable);
    } else if (strcmp(name, "required") == 0) {
        what = "expected true or false";
        r = parse_bool(value, &changed.required);
    } else if (strcmp(name, "cpu") == 0) {
        what = "expected quota, cpuset or host";
        r = parse_cpu(value, &changed.cpu);
    } else if (strcmp(name, "views") == 0) {
        r = parse_views(&changed, value, &what);
    } else {
        what = "no such annotation";
        r = -ENOENT;
    }
    if (r < 0)
        *ret_what = what;
    else
        *policy = changed;
    return r;
}

int sf_policy_apply(SfPolicy *policy, const char *key, const char *value, char *error,
                    size_t error_size)
{
    const char *what;

    if (strncmp(key, KEY_PREFIX, strlen(KEY_PREFIX)) != 0)
        return 0;
    int r = sf_policy_set(policy, key + strlen(KEY_PREFIX), value, &what);
    return r < 0 ? refuse(r, error, error_size, key, value, what) : 0;
}

bool sf_policy_shows(const SfPolicy *policy, const char *path)
{
    bool shown = true;

    for (unsigned i = 0; i < policy->rule_count; i++) {
        const SfViewRule *rule = &policy->rules[i];
        size_t len = strlen(rule->path);
        if (strncmp(path, rule->path, len) == 0 && (path[len] == '\0' || path[len] == '/'))
            shown = rule->show;
    }
    return shown;
}
