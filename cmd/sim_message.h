// SPDX-License-Identifier: GPL-3.0-or-later
/* The one request of the simulator, and what its answers say. Pure: the same (device, seq) makes the same bytes. */
#pragma once

#include "gateway/message.h"

/* What all requests of a run have in common; borrowed texts. */
struct sim_message_shape {
    const char *run_name; /* name of the observation */
    bool cbor, non;
    bool names_device;    /* ?d=: on a mapped network nothing else says who it is */
};

struct bytes sim_message_request(struct message_writer *writer, const struct sim_message_shape *shape, uint32_t device,
                                 uint32_t seq, uint16_t mid);

/* The answer to (device, seq): its token is these two. False: it is of another request. */
bool sim_message_matches(const struct message *answer, uint32_t device, uint32_t seq);
