/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of providers, made from providers.def.
 */

#include "daemon/provider/provider.h"

#include <string.h>

#define SF_PROVIDER(file, file_path) extern const SfProviderOps sf_provider_##file##_ops;
#include "daemon/provider/providers.def"
#undef SF_PROVIDER

static const SfProvider providers[] = {
#define SF_PROVIDER(file, file_path) {#file, file_path, &sf_provider_##file##_ops},
#include "daemon/provider/providers.def"
#undef SF_PROVIDER
};

unsigned sf_provider_count(void)
{
    return sizeof(providers) / sizeof(providers[0]);
}

const SfProvider *sf_provider_get(unsigned index)
{
    return &providers[index];
}

bool sf_provider_shown(const SfProvider *provider, SfContainer *container, unsigned *ret_mode)
{
    unsigned mode;

    if (provider->ops->mode)
        mode = provider->ops->mode(container);
    else if (sf_host_file_mode(sf_container_host(container), provider->path, &mode) < 0)
        return false; /* not in this kernel, so not in a container either */
    if (provider->ops->available && !provider->ops->available(container))
        return false;
    *ret_mode = mode & 0777;
    return true;
}

const SfProvider *sf_provider_find(const char *path)
{
    for (unsigned i = 0; i < sf_provider_count(); i++) {
        if (strcmp(providers[i].path, path) == 0)
            return &providers[i];
    }
    return NULL;
}

const SfProvider *sf_provider_named(const char *name)
{
    for (unsigned i = 0; i < sf_provider_count(); i++) {
        if (strcmp(providers[i].name, name) == 0)
            return &providers[i];
    }
    return NULL;
}
