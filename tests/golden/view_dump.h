/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * All that is below a directory of a view, as one text: a line with the path of each file, sorted,
 * and its text below it with a tab before each line; "PATH -> TARGET" for a link, "PATH/" for an
 * empty directory, "PATH: reason" for a file that cannot be read.
 */

#include "daemon/view/view.h"

/* path: in the view, "/sys/devices/system/cpu". Negative errno where there is no such directory. */
int view_dump(SfView *view, const char *path, SfText *text) SF_WARN_UNUSED;
