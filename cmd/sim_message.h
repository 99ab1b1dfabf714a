// SPDX-License-Identifier: GPL-3.0-or-later
/* The one request of the simulator, and what its answers say. Pure: the same (device, seq) makes the same bytes. */
#pragma once

#include "cmd/sim_options.h"
#include "gateway/message.h"

/* What all requests of a run have in common; borrowed texts. */
struct sim_message_shape {
    const char *run_name; /* name of the observation */
    bool cbor, non;
    bool names_device;    /* ?d=: on a mapped network nothing else says who it is */
    enum sim_sequence sequence;
    uint32_t epoch;
    const char *level; /* ?level=; NULL or empty: not asked */
};

struct bytes sim_message_request(struct message_writer *writer, const struct sim_message_shape *shape, uint32_t device,
                                 uint32_t seq, uint16_t mid);

/* The answer to (device, seq): its token is these two. False: it is of another request. */
bool sim_message_matches(const struct message *answer, uint32_t device, uint32_t seq);

/* What the body of an answer to ?level= says. False: it has none. */
struct sim_receipt {
    enum delivery_level level;
    bool duplicate;
};
bool sim_message_receipt(const struct message *answer, struct sim_receipt *ret);
