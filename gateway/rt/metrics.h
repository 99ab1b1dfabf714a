// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Counters and gauges: one table, one block of plain numbers per thread, written by that thread only, summed when
 * somebody asks. No lock and no allocation where they are counted. Labels are fixed in the table, so that peers
 * cannot make new ones; device and tenant names never become labels.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "codec/arena.h"
#include "codec/outcome.h"

/* X(id, type, name, labels, help); rows of one name stand together. */
#define METRICS_TABLE(X)                                                                                               \
    X(METRIC_DATAGRAMS_IN, counter, "weir_datagrams_received_total", "", "Datagrams received.")                       \
    X(METRIC_DATAGRAMS_OUT, counter, "weir_datagrams_sent_total", "", "Datagrams sent.")                              \
    X(METRIC_DATAGRAM_SEND_FAILED, counter, "weir_datagrams_send_failed_total", "",                                    \
      "Datagrams that could not be sent.")                                                                             \
    X(METRIC_DROP_KERNEL, counter, "weir_datagrams_dropped_total", "reason=\"kernel\"",                                \
      "Datagrams dropped, by reason.")                                                                                 \
    X(METRIC_DROP_FIRST_BYTE, counter, "weir_datagrams_dropped_total", "reason=\"first-byte\"", "")                    \
    X(METRIC_DROP_TRUNCATED, counter, "weir_datagrams_dropped_total", "reason=\"truncated\"", "")                      \
    X(METRIC_DROP_UNKNOWN_CID, counter, "weir_datagrams_dropped_total", "reason=\"unknown-cid\"", "")                  \
    X(METRIC_DROP_NO_SESSION, counter, "weir_datagrams_dropped_total", "reason=\"no-session\"", "")                    \
    X(METRIC_DROP_BAD_RECORD, counter, "weir_datagrams_dropped_total", "reason=\"bad-record\"", "")                    \
    X(METRIC_DROP_PEER_LIMIT, counter, "weir_datagrams_dropped_total", "reason=\"peer-limit\"", "")                    \
    X(METRIC_DROP_FORMAT, counter, "weir_datagrams_dropped_total", "reason=\"format\"", "")                            \
    X(METRIC_DROP_HANDOVER, counter, "weir_datagrams_dropped_total", "reason=\"handover-full\"", "")                   \
    X(METRIC_DROP_RATE, counter, "weir_datagrams_dropped_total", "reason=\"rate\"", "")                                \
    X(METRIC_HANDED_OVER, counter, "weir_records_handed_over_total", "",                                               \
      "DTLS records passed to the worker that owns the CID.")                                                          \
    X(METRIC_HELLO_CHALLENGED, counter, "weir_dtls_hellos_challenged_total", "",                                       \
      "ClientHellos answered with a cookie.")                                                                          \
    X(METRIC_HANDSHAKE_DONE, counter, "weir_dtls_handshakes_total", "result=\"done\"", "DTLS handshakes, by result.")  \
    X(METRIC_HANDSHAKE_FAILED, counter, "weir_dtls_handshakes_total", "result=\"failed\"", "")                         \
    X(METRIC_HANDSHAKE_EXPIRED, counter, "weir_dtls_handshakes_total", "result=\"expired\"", "")                       \
    X(METRIC_HANDSHAKE_LIMITED, counter, "weir_dtls_handshakes_total", "result=\"limited\"", "")                       \
    X(METRIC_SESSIONS_DTLS, gauge, "weir_sessions", "kind=\"dtls\"", "Live sessions.")                                 \
    X(METRIC_SESSIONS_HALF_OPEN, gauge, "weir_sessions", "kind=\"half-open\"", "")                                     \
    X(METRIC_SESSIONS_PLAIN, gauge, "weir_sessions", "kind=\"plain\"", "")                                             \
    X(METRIC_SESSION_MOVED, counter, "weir_sessions_moved_total", "", "Address changes of DTLS sessions by CID.")      \
    X(METRIC_SESSION_EVICTED, counter, "weir_sessions_evicted_total", "", "Sessions dropped to make room.")            \
    X(METRIC_SESSION_REVOKED, counter, "weir_sessions_revoked_total", "",                                              \
      "Sessions ended because the device may no longer speak.")                                                        \
    X(METRIC_APPEARED, counter, "weir_devices_appeared_total", "result=\"done\"",                                      \
      "Records made for devices with a key of their group, by result.")                                                \
    X(METRIC_APPEAR_FAILED, counter, "weir_devices_appeared_total", "result=\"failed\"", "")                           \
    X(METRIC_COAP_REQUESTS, counter, "weir_coap_requests_total", "", "CoAP requests that reached a route.")            \
    X(METRIC_COAP_DUPLICATES, counter, "weir_coap_duplicates_total", "",                                               \
      "Repeated CoAP messages answered from memory.")                                                                  \
    X(METRIC_COAP_MID_REUSED, counter, "weir_coap_mid_reused_total", "", "Message IDs seen again with other bytes.")   \
    X(METRIC_COAP_EXCHANGE_EVICTED, counter, "weir_coap_exchanges_evicted_total", "",                                  \
      "Remembered answers dropped before their time.")                                                                 \
    X(METRIC_COAP_EMPTY_ACK, counter, "weir_coap_empty_acks_total", "", "Requests acknowledged before their answer.")  \
    X(METRIC_COAP_RETRANSMITTED, counter, "weir_coap_retransmissions_total", "", "Confirmable messages sent again.")   \
    X(METRIC_COAP_GIVEN_UP, counter, "weir_coap_given_up_total", "", "Confirmable messages never acknowledged.")       \
    X(METRIC_COAP_RESET_SENT, counter, "weir_coap_resets_sent_total", "", "RST sent.")                                 \
    X(METRIC_COAP_PING, counter, "weir_coap_pings_total", "", "CoAP pings.")                                           \
    X(METRIC_BLOCK_BODIES, counter, "weir_coap_bodies_total", "result=\"done\"", "Block1 bodies, by result.")          \
    X(METRIC_BLOCK_ABORTED, counter, "weir_coap_bodies_total", "result=\"aborted\"", "")                               \
    X(METRIC_OBSERVERS, gauge, "weir_observers", "", "Observe registrations.")                                         \
    X(METRIC_NOTIFICATIONS, counter, "weir_notifications_total", "", "Observe notifications sent.")                    \
    X(METRIC_HTTP_REQUESTS, counter, "weir_http_requests_total", "", "HTTP requests that reached a route.")            \
    X(METRIC_HTTP_REFUSED, counter, "weir_http_refused_total", "",                                                     \
      "HTTP requests refused before a route (framing, limits).")                                                       \
    X(METRIC_HTTP_CONNECTIONS, gauge, "weir_http_connections", "", "Open HTTP connections.")                           \
    X(METRIC_RECORDS_STORED, counter, "weir_records_stored_total", "", "Records appended and confirmed.")              \
    X(METRIC_MESSAGES_STORED, counter, "weir_messages_stored_total", "", "Messages whose records were all confirmed.") \
    X(METRIC_SINK_IN_FLIGHT, gauge, "weir_sink_in_flight", "", "Messages sent to the store and not yet confirmed.")    \
    X(METRIC_SINK_FAILED, counter, "weir_sink_failed_total", "", "Messages that the store did not confirm.")           \
    X(METRIC_STORE_CONNECTS, counter, "weir_store_connects_total", "", "Connections made to the store.")               \
    X(METRIC_STORE_CONNECTED, gauge, "weir_store_connected", "", "Connections to the store that are up.")              \
    X(METRIC_STREAM_TRIMMED, counter, "weir_stream_trimmed_total", "",                                                 \
      "Entries removed from streams by retention.")                                                                    \
    X(METRIC_STREAM_TRIM_BLOCKED, gauge, "weir_stream_trim_blocked", "",                                               \
      "Streams whose retention waits for a consumer group.")                                                           \
    X(METRIC_REDIS_MEMORY_USED, gauge, "weir_redis_memory_bytes", "kind=\"used\"",                                     \
      "Memory of Redis: what it uses, and its maxmemory or else that of its machine.")                                 \
    X(METRIC_REDIS_MEMORY_MAX, gauge, "weir_redis_memory_bytes", "kind=\"max\"",                                       \
      "")                                                                                                              \
    X(METRIC_REDIS_MEMORY_FULL_S, gauge, "weir_redis_memory_full_seconds", "",                                         \
      "Seconds until Redis is full if it goes on growing as it does; -1: it does not grow, or not known.")             \
    X(METRIC_SINK_DUPLICATES, counter, "weir_sink_duplicates_total", "",                                               \
      "Messages answered as duplicates from memory.")                                                                  \
    X(METRIC_SINK_CONFLICTS, counter, "weir_sink_conflicts_total", "",                                                 \
      "Messages refused: their sequence number was used for other content.")                                           \
    X(METRIC_SINK_EXACT, counter, "weir_sink_messages_total", "class=\"exact\"",                                       \
      "Messages taken, by how a repetition of them is recognised.")                                                    \
    X(METRIC_SINK_WINDOWED, counter, "weir_sink_messages_total", "class=\"windowed\"",                                 \
      "")                                                                                                              \
    X(METRIC_SINK_TRANSPORT, counter, "weir_sink_messages_total", "class=\"transport\"",                               \
      "")                                                                                                              \
    X(METRIC_SPOOL_COMMITS, counter, "weir_spool_commits_total", "",                                                   \
      "Groups of messages written to the spool and synced.")                                                           \
    X(METRIC_SPOOL_RECORDS, counter, "weir_spool_messages_total", "",                                                  \
      "Messages made durable in the spool.")                                                                           \
    X(METRIC_SPOOL_FAILED, counter, "weir_spool_failed_total", "",                                                     \
      "Messages that the spool could not make durable.")                                                               \
    X(METRIC_SPOOL_UNPUSHED, gauge, "weir_spool_unpushed_records", "",                                                 \
      "Messages in the spool that Redis has not confirmed.")                                                           \
    X(METRIC_SPOOL_OLDEST, gauge, "weir_spool_oldest_seconds", "",                                                     \
      "Age of the oldest of them.")                                                                                    \
    X(METRIC_SPOOL_BYTES, gauge, "weir_spool_bytes", "",                                                               \
      "Size of the spool on disk, with the safety tail.")                                                              \
    X(METRIC_SPOOL_FILL, gauge, "weir_spool_fill_percent", "",                                                         \
      "Share of spool_max_bytes that waits for Redis.")                                                                \
    X(METRIC_SPOOL_PRESSURE, gauge, "weir_spool_pressure", "",                                                         \
      "What is shed: 0 nothing, 1 handshakes, 2 new bodies, 3 NON, 4 telemetry, 5 alarms, 6 all.")                     \
    X(METRIC_SHED_HANDSHAKE, counter, "weir_shed_total", "what=\"handshake\"",                                         \
      "Refused because the spool fills up, by what.")                                                                  \
    X(METRIC_SHED_BODY, counter, "weir_shed_total", "what=\"body\"", "")                                              \
    X(METRIC_SHED_NON, counter, "weir_shed_total", "what=\"non\"", "")                                                \
    X(METRIC_SHED_TELEMETRY, counter, "weir_shed_total", "what=\"telemetry\"", "")                                    \
    X(METRIC_SHED_ALARM, counter, "weir_shed_total", "what=\"alarm\"", "")                                            \
    X(METRIC_SHED_ACTION, counter, "weir_shed_total", "what=\"action\"", "")                                          \
    X(METRIC_SPOOL_DAMAGED, counter, "weir_spool_damaged_total", "",                                                   \
      "Messages of the spool that could not be read any more.")                                                        \
    X(METRIC_PUSH_RECORDS, counter, "weir_push_records_total", "",                                                     \
      "Messages that Redis has appended.")                                                                             \
    X(METRIC_PUSH_DUPLICATES, counter, "weir_push_duplicates_total", "",                                               \
      "Messages that Redis had seen before.")                                                                          \
    X(METRIC_PUSH_CONFLICTS, counter, "weir_push_conflicts_total", "",                                                 \
      "Messages kept in conflicts: a known sequence number with other content.")                                       \
    X(METRIC_PUSH_REPEATED, counter, "weir_push_repeated_total", "",                                                   \
      "Messages pushed again that Redis had executed.")                                                                \
    X(METRIC_PUSH_REWINDS, counter, "weir_push_rewinds_total", "",                                                     \
      "Lanes pushed again because Redis went back in time.")                                                           \
    X(METRIC_PUSH_REFUSED, counter, "weir_push_refused_total", "",                                                     \
      "Batches that Redis refused; they are tried again.")                                                             \
    X(METRIC_PUSH_BLOCKED, gauge, "weir_push_blocked_lanes", "",                                                       \
      "Lanes whose messages Redis refuses; they are tried again.")                                                     \
    X(METRIC_PUSH_BATCHES, counter, "weir_push_batches_total", "",                                                     \
      "Calls of the Redis Function.")                                                                                  \
    X(METRIC_PUSH_CIRCUIT, gauge, "weir_push_circuit_open", "",                                                        \
      "1: no connection on which Redis takes what is pushed.")                                                         \
    X(METRIC_SEQUENCE_MISSING, counter, "weir_sequence_missing_total", "",                                             \
      "Sequence numbers of devices that were jumped over.")                                                            \
    X(METRIC_SEQUENCE_LATE, counter, "weir_sequence_late_total", "",                                                   \
      "Those of them that came later.")                                                                                \
    X(METRIC_CLOCK_CORRECTED, counter, "weir_clock_corrected_total", "",                                               \
      "Messages whose times were moved by the error of the clock of their device.")                                    \
    X(METRIC_CLOCK_REPLACED, counter, "weir_clock_replaced_total", "",                                                 \
      "Messages whose times were replaced by that of their receipt.")                                                  \
    X(METRIC_CLOCK_REFUSED, counter, "weir_clock_refused_total", "",                                                   \
      "Messages refused: a time too far from that of their receipt.")                                                  \
    X(METRIC_CODEC_FAILURES, counter, "weir_codec_failures_total", "",                                                 \
      "Messages that the codec, or the format of the profile, of their device refused.")                               \
    X(METRIC_SIGNATURES_JWS_GOOD, counter, "weir_signatures_total", "form=\"jws\",result=\"good\"",                    \
      "Signed messages, by form and by whether the signature held, did not, or was not looked at after many "          \
      "that did not.")                                                                                                 \
    X(METRIC_SIGNATURES_JWS_FAILED, counter, "weir_signatures_total", "form=\"jws\",result=\"failed\"", "")            \
    X(METRIC_SIGNATURES_JWS_HELD, counter, "weir_signatures_total", "form=\"jws\",result=\"held\"", "")                \
    X(METRIC_SIGNATURES_COSE_GOOD, counter, "weir_signatures_total", "form=\"cose\",result=\"good\"", "")              \
    X(METRIC_SIGNATURES_COSE_FAILED, counter, "weir_signatures_total", "form=\"cose\",result=\"failed\"", "")          \
    X(METRIC_SIGNATURES_COSE_HELD, counter, "weir_signatures_total", "form=\"cose\",result=\"held\"", "")              \
    X(METRIC_SIGNATURES_HMAC_GOOD, counter, "weir_signatures_total", "form=\"hmac\",result=\"good\"", "")              \
    X(METRIC_SIGNATURES_HMAC_FAILED, counter, "weir_signatures_total", "form=\"hmac\",result=\"failed\"", "")          \
    X(METRIC_SIGNATURES_HMAC_HELD, counter, "weir_signatures_total", "form=\"hmac\",result=\"held\"", "")              \
    X(METRIC_SECRETS_NOT_OPENED, counter, "weir_secrets_not_opened_total", "",                                         \
      "Secrets in Redis that were read and cannot be opened with this key-encryption key.")                            \
    X(METRIC_QUARANTINE_KEPT, counter, "weir_quarantine_messages_total", "result=\"kept\"",                            \
      "Messages that no codec read, by whether they are in the quarantine of their tenant.")                           \
    X(METRIC_QUARANTINE_LOST, counter, "weir_quarantine_messages_total", "result=\"lost\"", "")                       \
    X(METRIC_OBS_POST, counter, "weir_route_requests_total", "route=\"obs-post\"", "Requests by route.")               \
    X(METRIC_OBS_GET, counter, "weir_route_requests_total", "route=\"obs-get\"", "")                                   \
    X(METRIC_OBS_FETCH, counter, "weir_route_requests_total", "route=\"obs-fetch\"", "")                               \
    X(METRIC_OBS_PATCH, counter, "weir_route_requests_total", "route=\"obs-patch\"", "")                               \
    X(METRIC_OBS_IPATCH, counter, "weir_route_requests_total", "route=\"obs-ipatch\"", "")                             \
    X(METRIC_DEVICES_GET, counter, "weir_route_requests_total", "route=\"devices\"", "")                              \
    X(METRIC_DEVICE_GET, counter, "weir_route_requests_total", "route=\"device\"", "")                                \
    X(METRIC_ENROLL_GET, counter, "weir_route_requests_total", "route=\"enroll-get\"", "")                             \
    X(METRIC_ENROLL_POST, counter, "weir_route_requests_total", "route=\"enroll\"", "")                                \
    X(METRIC_ENROLLMENTS_GET, counter, "weir_route_requests_total", "route=\"enrollments\"", "")                       \
    X(METRIC_ENROLLMENT_APPROVE, counter, "weir_route_requests_total", "route=\"enrollment-approve\"", "")             \
    X(METRIC_ENROLLMENT_REJECT, counter, "weir_route_requests_total", "route=\"enrollment-reject\"", "")               \
    X(METRIC_ENROLLMENT_FORGET, counter, "weir_route_requests_total", "route=\"enrollment-forget\"", "")               \
    X(METRIC_AUDIT_GET, counter, "weir_route_requests_total", "route=\"audit\"",                                       \
      "")                                                                                                              \
    X(METRIC_DEVICE_LOG, counter, "weir_route_requests_total", "route=\"device-log\"",                                 \
      "")                                                                                                              \
    X(METRIC_DEVICES_POST, counter, "weir_route_requests_total", "route=\"devices-post\"", "")                        \
    X(METRIC_DEVICE_CHANGE, counter, "weir_route_requests_total", "route=\"device-change\"", "")                      \
    X(METRIC_KEYS, counter, "weir_route_requests_total", "route=\"keys\"", "")                                       \
    X(METRIC_TOKENS, counter, "weir_route_requests_total", "route=\"tokens\"", "")                                   \
    X(METRIC_GROUPS, counter, "weir_route_requests_total", "route=\"groups\"", "")                                   \
    X(METRIC_TENANTS, counter, "weir_route_requests_total", "route=\"tenants\"", "")                                 \
    X(METRIC_CODECS_GET, counter, "weir_route_requests_total", "route=\"codecs\"", "")                                \
    X(METRIC_CODEC_GET, counter, "weir_route_requests_total", "route=\"codec\"", "")                                  \
    X(METRIC_CODEC_PUT, counter, "weir_route_requests_total", "route=\"codec-put\"", "")                              \
    X(METRIC_CODEC_DELETE, counter, "weir_route_requests_total", "route=\"codec-delete\"", "")                        \
    X(METRIC_CODEC_RELEASE, counter, "weir_route_requests_total", "route=\"codec-release\"", "")                      \
    X(METRIC_TIME_GET, counter, "weir_route_requests_total", "route=\"time\"", "")                                     \
    X(METRIC_CORE_GET, counter, "weir_route_requests_total", "route=\"well-known-core\"", "")                          \
    X(METRIC_HABIT_EMONCMS, counter, "weir_route_requests_total", "route=\"emoncms\"", "")                            \
    X(METRIC_HABIT_ULTRALIGHT, counter, "weir_route_requests_total", "route=\"ultralight\"", "")                      \
    X(METRIC_HABIT_INFLUX, counter, "weir_route_requests_total", "route=\"influx\"", "")                              \
    X(METRIC_HABIT_RKDAP, counter, "weir_route_requests_total", "route=\"rkdap\"", "")                                \
    X(METRIC_HABIT_SGMP, counter, "weir_route_requests_total", "route=\"sgmp\"", "")                                  \
    X(METRIC_HEALTH_GET, counter, "weir_route_requests_total", "route=\"health\"", "")                                 \
    X(METRIC_READY_GET, counter, "weir_route_requests_total", "route=\"ready\"", "")                                   \
    X(METRIC_METRICS_GET, counter, "weir_route_requests_total", "route=\"metrics\"", "")

enum metric {
#define X(id, type, name, labels, help) id,
    METRICS_TABLE(X)
#undef X
    METRIC_COUNT
};

/* One thread's numbers; written by its thread with relaxed atomics, read by any. Zero-initialised. */
struct metrics {
    _Atomic uint64_t values[METRIC_COUNT];
    _Atomic uint64_t outcomes[OUTCOME_COUNT]; /* weir_outcomes_total{outcome="slug"} */
};

static inline void metrics_add(struct metrics *metrics, enum metric metric, int64_t n)
{
    /* Single writer: a load and a store are enough and cheaper than a locked add. */
    uint64_t old = __atomic_load_n((uint64_t *)&metrics->values[metric], __ATOMIC_RELAXED);
    __atomic_store_n((uint64_t *)&metrics->values[metric], old + (uint64_t)n, __ATOMIC_RELAXED);
}

/* A gauge of which the writer knows the whole value; negative ones are fine. */
static inline void metrics_set(struct metrics *metrics, enum metric metric, int64_t n)
{
    __atomic_store_n((uint64_t *)&metrics->values[metric], (uint64_t)n, __ATOMIC_RELAXED);
}

static inline void metrics_outcome(struct metrics *metrics, enum outcome outcome)
{
    uint64_t old = __atomic_load_n((uint64_t *)&metrics->outcomes[outcome], __ATOMIC_RELAXED);
    __atomic_store_n((uint64_t *)&metrics->outcomes[outcome], old + 1, __ATOMIC_RELAXED);
}

/* Prometheus text (version 0.0.4) of the sum of count blocks. False: arena is full. */
bool metrics_text(const struct metrics *const *blocks, size_t count, struct arena *arena, struct bytes *ret);
uint64_t metrics_sum(const struct metrics *const *blocks, size_t count, enum metric metric);
