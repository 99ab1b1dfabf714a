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
    /* What follows from it, for whoever did it. */
    const char *if_disabled, *if_removed;
    /* What is told behind "what Redis has of batch acme/a is no valid record"; NULL: as cli_judge does. */
    const char *if_damaged;
};

/* --json, and no other option. */
extern const struct cli_option thing_json_options[];

/* As cli_judge, in the words of the kind. */
int thing_judge(const struct cli *cli, const struct thing_kind *kind, enum accounts_result result, const char *name);

/* The kind is cli->group->things; these return an exit status, having said why. */

/* One that is removed meanwhile is passed over; one that is damaged is told of, and the others follow. */
int thing_list(struct cli *cli);
/* The same of another kind than the group's. */
int thing_list_kind(struct cli *cli, const struct thing_kind *kind);
/* The same of those of ids, which it frees; tenant is for kind->print. */
int thing_list_ids(struct cli *cli, const struct thing_kind *kind, const char *tenant, struct accounts_ids *ids);
int thing_show(struct cli *cli);
int thing_disable(struct cli *cli);
int thing_enable(struct cli *cli);
int thing_remove(struct cli *cli);
/* Any other act on the one that the first operand names. */
int thing_do(struct cli *cli, enum accounts_result (*act)(struct cli *cli, struct bytes tenant, struct bytes id));
