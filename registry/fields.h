// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The fields of a record, as a hash of Redis holds them: a column of puts to write them, and reads by name that take
 * only what a put would have written (registry/record, registry/commission). Secrets are wrapped by the record's vault.
 * Pure: no memory of its own, nothing but what it is given.
 */
#pragma once

#include "registry/record.h"

/* Writing. Empty values are left out, so a hash holds only what the thing has. Room for RECORD_FIELDS_MAX fields and
 * RECORD_TEXT_MAX of text; that what is put fits is asserted where records are defined. */
struct fields_writer {
    struct record_field *fields;
    size_t count;
    char *text;
    size_t used;
};

/* The value is borrowed. */
void fields_put(struct fields_writer *w, const char *name, struct bytes value);
void fields_put_text(struct fields_writer *w, const char *name, const char *value);
void fields_put_flag(struct fields_writer *w, const char *name, bool flag);
void fields_put_number(struct fields_writer *w, const char *name, int64_t number);
void fields_put_hex(struct fields_writer *w, const char *name, const uint8_t *octets, size_t len);
/* Parts of a value that is put together, in the writer's text. */
struct bytes fields_add(struct fields_writer *w, struct bytes text);
struct bytes fields_add_hex(struct fields_writer *w, const uint8_t *octets, size_t len);

/* Whose a secret is, for its vault. */
struct fields_owner {
    const struct record_vault *vault; /* NULL: secrets stand as they are */
    struct bytes tenant, id;
};

/* Wrapped, or without a vault as hexadecimal. Empty: it could not be wrapped. */
struct bytes fields_add_secret(struct fields_writer *w, const struct fields_owner *owner, struct bytes label,
                               const struct secret *secret);
/* False: it could not be wrapped. */
bool fields_put_secret(struct fields_writer *w, const struct fields_owner *owner, const char *name, const char *label,
                       const struct secret *secret);

/* Reading. Each read says whether the field is valid or absent; absent is what is empty: false, 0, no text. */
struct fields_reader {
    const struct record_field *fields;
    size_t count;
};

/* The value; empty if absent. A name that comes twice cannot happen in a hash; the first counts. */
struct bytes fields_find(const struct fields_reader *r, const char *name);
bool fields_read_flag(const struct fields_reader *r, const char *name, bool *ret);
/* At most 12 digits, no sign: a count, or Unix seconds. */
bool fields_read_number(const struct fields_reader *r, const char *name, int64_t *ret);
bool fields_parse_number(struct bytes text, int64_t *ret);
/* ret: room for max characters and a NUL. */
bool fields_read_text(const struct fields_reader *r, const char *name, size_t max, bool (*is_valid)(struct bytes),
                      char *ret);
/* At most max octets. */
bool fields_read_hex(const struct fields_reader *r, const char *name, size_t max, uint8_t *ret, size_t *ret_len);

enum fields_secret {
    FIELDS_SECRET_OPEN,
    FIELDS_SECRET_CLOSED, /* it is wrapped, and the vault does not open it */
    FIELDS_SECRET_BAD,    /* neither wrapped nor hexadecimal */
};
/* A secret as it stands in Redis: wrapped, or as an older weir wrote it. */
enum fields_secret fields_open_secret(const struct fields_owner *owner, struct bytes label, struct bytes text,
                                      struct secret *ret);
