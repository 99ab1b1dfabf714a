// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Every setting of weir: one table of name, type, range, default, unit and help. The table makes the parser of
 * `weir serve --name=value`, of the environment (WEIR_NAME), of a settings file (name = value lines), `--help` and
 * docs/settings.md. Order of precedence: command line, environment, file, default.
 */
#pragma once

#include "codec/bytes.h"
#include "gateway/store_target.h"

#include <stdio.h>

#define SETTINGS_TEXT_MAX 256

/* X(type, name, default, min, max, unit, help); type: uint, text or flag. min/max of a text: its length. */
#define SETTINGS_TABLE(X)                                                                                              \
    X(uint, workers, 0, 0, 64, "threads", "Worker threads; 0: one per core.")                                         \
    X(text, listen, "0.0.0.0,[::]", 0, 255, "addresses", "Addresses of the CoAP sockets, separated by commas.")       \
    X(uint, coap_port, 5683, 0, 65535, "port",                                                                        \
      "Port of coap:// (discovery, signed messages, mapped networks); 0: none.")                                      \
    X(uint, coaps_port, 5684, 0, 65535, "port", "Port of coaps:// (DTLS); 0: none.")                                  \
    X(text, http_listen, "127.0.0.1", 1, 255, "address", "Address of the HTTP listener.")                             \
    X(uint, http_port, 8080, 0, 65535, "port", "Port of HTTP; 0: none.")                                              \
    X(text, https_listen, "0.0.0.0", 1, 255, "address", "Address of the HTTPS listener.")                             \
    X(uint, https_port, 0, 0, 65535, "port", "Port of HTTPS, 8443 by habit; 0: none.")                                \
    X(text, ops_listen, "127.0.0.1", 1, 255, "address", "Address of the listener for /health, /ready, /metrics.")     \
    X(uint, ops_port, 9080, 0, 65535, "port", "Port of the ops listener; 0: none.")                                   \
    X(text, state_dir, "", 0, 255, "folder", "Folder for keys, certificate and the private Redis; empty: ./state.")   \
    X(text, kek, "", 0, 255, "file",                                                                                  \
      "Key that wraps the secrets in Redis: 32 octets or 64 hex digits, or several such lines (weir kek), "           \
      "readable by its owner only; empty: STATE/kek, made at the first start.")                                       \
    X(text, redis, "", 0, 255, "address",                                                                             \
      "unix:/path, host:port, several with commas (the primary is taken), sentinel:host:port,.../master, "            \
      "cluster:host:port,...; empty: a private Redis in state_dir.")                                                  \
    X(text, redis_user, "", 0, 255, "user", "ACL user in Redis; empty: the default user.")                            \
    X(text, redis_password_file, "", 0, 255, "file",                                                                  \
      "Its first line is the password for Redis; read at each connect. Empty: none.")                                 \
    X(flag, redis_tls, 0, 0, 1, "", "TLS towards Redis; its certificate is always verified.")                         \
    X(text, redis_tls_ca, "", 0, 255, "file", "PEM file of authorities that the certificate of Redis may come from.") \
    X(text, redis_tls_certificate, "", 0, 255, "file", "PEM certificate (chain) to show to Redis; empty: none.")      \
    X(text, redis_tls_key, "", 0, 255, "file", "PEM private key of redis_tls_certificate.")                           \
    X(text, redis_tls_name, "", 0, 255, "name",                                                                       \
      "Name or IP address that the certificate of Redis must carry; empty: the host of its address.")                 \
    X(text, redis_server, "redis-server", 1, 255, "program", "Program of the private Redis.")                         \
    X(uint, redis_connections, 2, 1, 16, "connections",                                                               \
      "Connections to Redis of each worker; large groups are spread over them.")                                      \
    X(uint, redis_timeout_ms, 2000, 100, 60000, "ms", "A request that Redis has not answered by then has failed.")    \
    X(uint, in_flight_max, 16384, 16, 1000000, "messages",                                                            \
      "Messages of each worker that wait for Redis; above it: 5.03.")                                                 \
    X(uint, retention_period_s, 10, 1, 3600, "s",                                                                     \
      "How often streams are trimmed to their retention and the memory of Redis is looked at.")                       \
    X(flag, spool, 1, 0, 1, "",                                                                                       \
      "Acknowledge from a log on disk, push to Redis behind it, store each message once. Off: plain XADD, no "        \
      "memory of duplicates.")                                                                                        \
    X(uint, spool_commit_us, 500, 0, 1000000, "us",                                                                   \
      "A group of messages waits so long for more before it is synced to disk.")                                      \
    X(uint, spool_commit_records, 64, 1, 100000, "messages", "With so many it waits no longer.")                      \
    X(uint, spool_max_bytes, 8589934592, 1048576, 1099511627776, "bytes",                                             \
      "Largest size of the spool; as it fills up, requests are refused (docs/delivery.md).")                          \
    X(uint, spool_tail_s, 3600, 0, 604800, "s",                                                                       \
      "What was pushed stays in the spool for so long, for a Redis that goes back in time.")                          \
    X(uint, spool_tail_bytes, 2147483648, 0, 1099511627776, "bytes", "And not more than this of it.")                 \
    X(uint, spool_segment_bytes, 67108864, 65536, 1073741824, "bytes", "Size of one file of the spool.")              \
    X(text, spool_key_file, "", 0, 255, "file",                                                                       \
      "32 octets or 64 hexadecimal digits: the spool is encrypted with it (AES-256-GCM). Empty: it is not.")          \
    X(uint, once_window_s, 86400, 60, 2592000, "s",                                                                   \
      "A message with a time of its device and no sequence number is stored once within so long.")                    \
    X(uint, once_per_device_max, 4096, 16, 1000000, "messages",                                                       \
      "Of one device not more than this are remembered for it.")                                                      \
    X(uint, recent_max, 1000000, 1024, 1000000000, "messages",                                                        \
      "Messages that the gateway itself recognises when they come again; 24 octets each.")                            \
    X(uint, stored_wait_ms, 10000, 100, 80000, "ms",                                                                  \
      "A request for the level stored or replicated that has not reached it by then gets 5.03.")                      \
    X(uint, redis_replicas, 1, 1, 16, "replicas", "Replicas that must have a message for the level replicated.")      \
    X(uint, redis_replica_wait_ms, 1000, 10, 60000, "ms", "Time for them.")                                           \
    X(text, cumulative_units, "J,VAs,vars,count", 0, 255, "units",                                                    \
      "Values in these units are counters: their totals are kept (docs/streams.md). Commas between them; "            \
      "empty: none.")                                                                                                 \
    X(text, admin_tenant, "weir", 1, 32, "tenant", "Tenant whose admins may administer all tenants (?tenant=T).") \
    X(text, map_network, "", 0, 255, "list",                                                                          \
      "Source networks whose plain coap:// messages are taken without proof: CIDR=TENANT, separated by "              \
      "commas. Empty: none.")                                                                                         \
    X(text, dtls_certificate, "", 0, 255, "file",                                                                     \
      "PEM certificate (chain) of coaps:// and https://; empty: self-signed, made at first start in state_dir.")      \
    X(text, dtls_key, "", 0, 255, "file", "PEM private key of dtls_certificate.")                                     \
    X(text, dtls_client_ca, "", 0, 255, "file",                                                                       \
      "PEM file of authorities that may issue device certificates; empty: no certificate clients.")                   \
    X(flag, dtls13, 1, 0, 1, "", "Offer DTLS 1.3 beside 1.2.")                                                        \
    X(uint, dtls_handshake_timeout_ms, 30000, 1000, 300000, "ms", "A handshake not finished by then is dropped.")     \
    X(uint, dtls_half_open_max, 2048, 16, 1000000, "handshakes", "Unfinished handshakes of each worker.")             \
    X(uint, dtls_handshakes_per_s, 5000, 1, 1000000, "1/s", "Handshakes begun by each worker, after the cookie.")     \
    X(uint, dtls_handshakes_per_network_per_s, 1000, 1, 1000000, "1/s", "The same for one /24 (IPv4) or /48 (IPv6).")  \
    X(uint, dtls_handshakes_per_identity_per_minute, 60, 1, 1000000, "1/min", "Completed handshakes of one device.")  \
    X(uint, sessions_max, 100000, 16, 10000000, "sessions", "DTLS sessions of each worker.")                          \
    X(uint, sessions_per_device, 2, 1, 64, "sessions",                                                                \
      "Live DTLS sessions of one device; the oldest of its own goes.")                                                \
    X(uint, session_stale_s, 1800, 1, 1000000, "s", "A DTLS session idle for longer may be dropped to make room.")    \
    X(uint, plain_peers_max, 200000, 16, 10000000, "peers",                                                           \
      "Plain CoAP peers remembered by each worker; the longest idle goes.")                                           \
    X(uint, peer_messages_per_s, 5000, 1, 1000000, "1/s",                                                             \
      "CoAP messages of one peer; more are dropped unanswered, so that one cannot starve the others.")                \
    X(uint, exchanges_per_peer, 64, 4, 1024, "exchanges", "Answers remembered for one peer.")                         \
    X(uint, exchanges_max, 500000, 64, 100000000, "exchanges", "Answers remembered by each worker.")                  \
    X(uint, ack_wait_ms, 1500, 1, 1900, "ms", "An answer that takes longer is sent separately, after an empty ACK.")  \
    X(uint, answer_deadline_ms, 60000, 2000, 90000, "ms", "A request not answered by then gets 5.03.")                \
    X(uint, quarantine_max, 1000, 0, 1000000, "messages",                                                             \
      "Messages that a codec could not read, kept for each tenant (weir:{T}:quarantine); 0: none.")                   \
    X(uint, audit_max, 1000000, 1000, 100000000, "entries",                                                           \
      "Entries of each tenant's audit (weir:{T}:audit) that are kept; what is written over it goes.")                 \
    X(uint, body_max, 65536, 1024, 16777216, "bytes",                                                                 \
      "Largest body of one request; of a batch of emonCMS four times that.")                                          \
    X(uint, bodies_max_bytes, 33554432, 65536, 4294967295, "bytes",                                                   \
      "Block1 bodies under way of each worker, together.")                                                            \
    X(uint, body_timeout_s, 300, 10, 3600, "s", "A Block1 body not finished by then is dropped.")                     \
    X(uint, observers_per_peer, 8, 0, 1024, "observers", "Observe registrations of one peer.")                        \
    X(uint, observers_max, 10000, 0, 10000000, "observers", "Observe registrations of each worker.")                  \
    X(uint, latest_max, 1000000, 1, 100000000, "values", "Latest values kept in memory for GET /obs.")                \
    X(uint, clock_devices_max, 1000000, 1, 100000000, "devices",                                                      \
      "Devices whose clocks are watched (docs/operations.md); the one that was silent for longest goes.")             \
    X(uint, enroll_confirm_s, 86400, 2, 31536000, "s",                                                                \
      "A credential that was offered to a device that enrols must be used within so long, or it goes "                \
      "(docs/commissioning.md).")                                                                                     \
    X(uint, enroll_pending_s, 604800, 2, 31536000, "s",                                                               \
      "An enrolment that nobody decides is forgotten after so long.")                                                 \
    X(uint, enroll_overlap_s, 86400, 0, 31536000, "s", "After a rotation the old credential stays good for so long.")  \
    X(uint, enroll_certificate_days, 365, 1, 36500, "days",                                                           \
      "Certificates of tenants' authorities for devices end after so long.")                                          \
    X(uint, http_connections_max, 1000, 1, 100000, "connections", "HTTP connections of each worker.")                 \
    X(uint, http_connections_per_address, 64, 1, 100000, "connections",                                               \
      "HTTP connections of one address, each worker.")                                                                \
    X(uint, http_header_timeout_s, 10, 1, 600, "s", "Time for the header of an HTTP request.")                        \
    X(uint, http_body_timeout_s, 30, 1, 600, "s", "Time for the body of an HTTP request.")                            \
    X(uint, http_idle_timeout_s, 60, 1, 3600, "s", "Keep-alive of an HTTP connection.")                               \
    X(uint, receive_buffer_bytes, 4194304, 65536, 1073741824, "bytes", "Receive buffer asked for each UDP socket.")   \
    X(text, log_level, "info", 4, 5, "", "error, warn, info or debug.")

struct settings {
#define SETTINGS_FIELD_uint(name) uint64_t name;
#define SETTINGS_FIELD_flag(name) bool name;
#define SETTINGS_FIELD_text(name) char name[SETTINGS_TEXT_MAX];
#define X(type, name, def, min, max, unit, help) SETTINGS_FIELD_##type(name)
    SETTINGS_TABLE(X)
#undef X
};

void settings_default(struct settings *ret);
/* The rows redis*, as the store wants them; borrows from the settings. */
struct store_target settings_redis(const struct settings *settings);

#define SETTINGS_ERROR_MAX 512
/* Sets one. False: reterr names the setting, the value, the range and what to do. */
bool settings_set(struct settings *settings, struct bytes name, struct bytes value,
                  char reterr[static SETTINGS_ERROR_MAX]);
/* Reads WEIR_NAME variables. */
bool settings_from_environment(struct settings *settings, char reterr[static SETTINGS_ERROR_MAX]);
/* Reads name = value lines; # begins a comment. */
bool settings_from_file(struct settings *settings, const char *path, char reterr[static SETTINGS_ERROR_MAX]);
/* Takes --name=value and --name value out of argv; what is not a setting stays. Returns the new argc, or -1, also if
 * one is given twice. */
int settings_from_arguments(struct settings *settings, int argc, char **argv,
                            char reterr[static SETTINGS_ERROR_MAX]);

/* One row for help and docs. */
struct settings_row {
    const char *name, *type, *fallback, *unit, *help;
    uint64_t min, max;
};
const struct settings_row *settings_table(size_t *ret_count);

/* The options of `weir serve --help`, and docs/settings.md, whole. */
void settings_help(FILE *out);
void settings_markdown(FILE *out);
