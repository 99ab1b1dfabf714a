// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What commands about the things of a tenant have in common, whatever the things are: `list TENANT`, and
 * `show`, `remove`, `disable` and `enable TENANT/NAME`. A group of commands (cmd/cli.h) names its kind, and
 * its table names these.
 */
#pragma once

#include "cmd/cli.h"

enum thing_shape {
    THING_LINE,  /* one of a list */
    THING_WHOLE, /* what `show` tells */
    THING_JSON,  /* an object, without a new line behind it */
};

struct thing_form {
    enum thing_shape shape;
    const char *before; /* it is printed first */
};

struct thing_kind {
    const char *name; /* "group", as messages call it */
    const char *all;  /* "groups of": the tenant stands behind it */
    bool (*split)(const struct cli *cli, const char *text, struct cli_name *ret);
    enum accounts_result (*list)(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret);
    /* Reads one and prints it; nothing if it is not ACCOUNTS_DONE. */
    enum accounts_result (*print)(struct cli *cli, struct bytes tenant, struct bytes id, struct thing_form form);
    enum accounts_result (*set_disabled)(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                         bool disabled);
    enum accounts_result (*remove)(struct accounts *accounts, struct bytes tenant, struct bytes id);
    /* What follows from it, for whoever did it; NULL: success is silent. */
    const char *if_disabled, *if_removed;
};

/* The kind is cli->group->things; these return an exit status, having said why. */

/* One that is removed meanwhile is passed over; one that is damaged is told of, and the others follow. */
int thing_list(struct cli *cli);
int thing_show(struct cli *cli);
int thing_disable(struct cli *cli);
int thing_enable(struct cli *cli);
int thing_remove(struct cli *cli);
/* Any other act on the one that the first operand names. */
int thing_do(struct cli *cli, enum accounts_result (*act)(struct cli *cli, struct bytes tenant, struct bytes id));
