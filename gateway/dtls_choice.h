// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Which of several pre-shared keys a device means, when its identity names none (dtls_identity). The library
 * takes one key per handshake, so they are tried one after the other: first the one that was proved last,
 * then the others.
 *
 * What was proved is remembered by device, because only who has a key can change it; which turn it is, by
 * device and source network, so that strangers who shake hands in a device's name do not spend its turns.
 * Fixed in size, shared by all workers, as a device's next hello may reach another one; touched once or twice
 * per handshake of a device that has several keys, hence a mutex. What falls out when a set is full is begun
 * anew.
 */
#pragma once

#include "codec/hash.h"

struct dtls_choice;

/* NULL: out of memory. */
struct dtls_choice *dtls_choice_new(const struct hash_key *key);
void dtls_choice_free(struct dtls_choice *choice);
/* With it those who share the choice hash what they tell it. */
const struct hash_key *dtls_choice_key(const struct dtls_choice *choice);

/* One device at one place. */
struct dtls_choice_who {
    uint64_t device, place;
};
struct dtls_choice_who dtls_choice_who(const struct dtls_choice *choice, struct bytes tenant, struct bytes device,
                                       uint64_t network);

/* The credential that was proved last, as the caller counts them (0: none), and how many turns it had since. */
struct dtls_choice_state {
    uint64_t proved;
    unsigned turn;
};
struct dtls_choice_state dtls_choice_read(struct dtls_choice *choice, struct dtls_choice_who who);
/* A key was given out: the next handshake has the next turn, unless this one is proved. */
void dtls_choice_tried(struct dtls_choice *choice, struct dtls_choice_who who);
void dtls_choice_proved(struct dtls_choice *choice, struct dtls_choice_who who, uint64_t credential);
