// SPDX-License-Identifier: GPL-3.0-or-later
/* The table comes first; the parser knows types, not options. Both --name=value and --name value are taken. */
#include "cmd/sim_options.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum option_type { OPTION_FLAG, OPTION_UINT, OPTION_REAL, OPTION_TEXT };

struct option_row {
    const char *name;
    enum option_type type;
    size_t offset;
    double min, max; /* numbers only */
    const char *fallback;
    const char *help;
};

#define AT(field) offsetof(struct sim_options, field)

static const struct option_row rows[] = {
    {"target", OPTION_TEXT, AT(target), 0, 0, "127.0.0.1", "address of the gateway; loopback unless --allow-remote"},
    {"port", OPTION_UINT, AT(port), 0, 65535, "0", "its port; 0: 5683, with --dtls 5684"},
    {"allow-remote", OPTION_FLAG, AT(allow_remote), 0, 0, NULL, "take a target that is not loopback (one device only)"},
    {"devices", OPTION_UINT, AT(devices), 1, SIM_DEVICES_MAX, "64", "size of the fleet"},
    {"rate", OPTION_REAL, AT(rate), 0, 10e6, "0",
     "open loop: requests per second of the whole fleet, latency from the moment one was due; 0: closed loop"},
    {"window", OPTION_UINT, AT(window), 1, SIM_DEVICES_MAX, "64",
     "closed loop: requests under way in the whole fleet, at most one for each device"},
    {"seconds", OPTION_REAL, AT(seconds), 0, 86400, "5", "how long requests are begun"},
    {"drain", OPTION_REAL, AT(drain_s), 0, 600, "100", "seconds to wait for the last answers"},
    {"format", OPTION_TEXT, AT(format), 0, 0, "senml-json", "senml-json or senml-cbor"},
    {"non", OPTION_FLAG, AT(non), 0, 0, NULL, "non-confirmable requests"},
    {"ack-timeout-ms", OPTION_UINT, AT(ack_timeout_ms), 10, 60000, "2000", "ACK_TIMEOUT of RFC 7252 4.8"},
    {"seq", OPTION_TEXT, AT(seq), 0, 0, "option",
     "how requests say epoch and seq: option (CoAP option 65100), query (?n=), senml (labels), none"},
    {"epoch", OPTION_UINT, AT(epoch), 0, 4294967295.0, "0", "the epoch; 0: a random one, since each run counts from 1"},
    {"give-up-s", OPTION_REAL, AT(give_up_s), 0, 86400, "120",
     "seconds for which an observation is sent again in a new exchange when one has timed out; not with --non, and not "
     "with --seq=none, where it could be stored twice"},
    {"level", OPTION_TEXT, AT(level), 0, 0, "",
     "demand spooled, stored or replicated, and count what the answers say"},
    {"tenant", OPTION_TEXT, AT(tenant), 0, 0, "demo", "tenant of the fleet"},
    {"dtls", OPTION_FLAG, AT(dtls), 0, 0, NULL, "DTLS with the pre-shared keys of --key-from"},
    {"suites", OPTION_TEXT, AT(suites), 0, 0, "",
     "cipher suites of DTLS, by wolfSSL's names, separated by colons; empty: PSK-AES128-CCM-8"},
    {"handshakes", OPTION_UINT, AT(handshakes), 1, 100000, "64", "DTLS handshakes under way at once"},
    {"no-close", OPTION_FLAG, AT(no_close), 0, 0, NULL, "end without close_notify, as a device that loses power"},
    {"key-from", OPTION_TEXT, AT(key_from), 0, 0, NULL,
     "file with the fleet key (hexadecimal); a device's PSK is HMAC-SHA256(fleet key, device id)"},
    {"provision", OPTION_FLAG, AT(provision), 0, 0, NULL, "write the fleet's records into --redis and end"},
    {"redis", OPTION_TEXT, AT(redis), 0, 0, NULL, "unix:/path or host:port, for --provision and --check"},
    {"ledger", OPTION_TEXT, AT(ledger), 0, 0, NULL, "write what was acknowledged into this file"},
    {"check", OPTION_TEXT, AT(check), 0, 0, NULL, "compare this ledger with the stream in --redis and end"},
    {"seed", OPTION_UINT, AT(seed), 0, 9007199254740992.0, "0", "of jitter and run name; 0: random"},
    {"progress", OPTION_FLAG, AT(progress), 0, 0, NULL, "say how it goes also if stderr is not a terminal"},
    {"progress-ms", OPTION_UINT, AT(progress_ms), 10, 3600000, "1000", "from one line of that to the next"},
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

static bool set(struct sim_options *options, const struct option_row *row, const char *value)
{
    void *field = (char *)options + row->offset;
    if (row->type == OPTION_FLAG) {
        *(bool *)field = true;
        return true;
    }
    if (row->type == OPTION_TEXT) {
        *(const char **)field = value;
        return true;
    }
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end || !isfinite(number) || number < row->min || number > row->max)
        return false;
    if (row->type == OPTION_REAL)
        *(double *)field = number;
    else if (number != floor(number))
        return false;
    else
        *(uint64_t *)field = (uint64_t)number;
    return true;
}

static const struct option_row *find(const char *name, size_t len)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0)
            return &rows[i];
    return NULL;
}

static bool read_sequence(const char *text, enum sim_sequence *ret)
{
    static const char *const names[] = {[SIM_SEQUENCE_NONE] = "none", [SIM_SEQUENCE_OPTION] = "option",
                                        [SIM_SEQUENCE_QUERY] = "query", [SIM_SEQUENCE_SENML] = "senml"};
    for (enum sim_sequence i = SIM_SEQUENCE_NONE; i <= SIM_SEQUENCE_SENML; i++)
        if (strcmp(text, names[i]) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

static bool check_together(struct sim_options *options, char reterr[static SIM_ERROR_MAX])
{
    enum delivery_level level;
    const char *wrong = NULL;
    if ((options->provision || options->check) && !options->redis)
        wrong = "--provision and --check need --redis=ADDRESS";
    else if ((options->provision || options->dtls) && !options->key_from)
        wrong = "--provision and --dtls need --key-from=FILE";
    else if (strcmp(options->format, "senml-json") != 0 && strcmp(options->format, "senml-cbor") != 0)
        wrong = "--format is senml-json or senml-cbor";
    else if (!read_sequence(options->seq, &options->sequence))
        wrong = "--seq is option, query, senml or none";
    else if (options->level[0] && !delivery_level_parse(bytes_of_text(options->level), &level))
        wrong = "--level is spooled, stored or replicated";
    if (wrong)
        snprintf(reterr, SIM_ERROR_MAX, "%s", wrong);
    return !wrong;
}

static void refuse(const struct option_row *row, const char *value, char reterr[static SIM_ERROR_MAX])
{
    if (row->type == OPTION_FLAG)
        snprintf(reterr, SIM_ERROR_MAX, "--%s takes no value", row->name);
    else if (row->type == OPTION_TEXT)
        snprintf(reterr, SIM_ERROR_MAX, "--%s needs a value: %s", row->name, row->help);
    else
        snprintf(reterr, SIM_ERROR_MAX, "--%s takes a number from %g to %g, not \"%.60s\"", row->name, row->min,
                 row->max, value ? value : "");
}

/* The last of two would undo the first, and who gave both meant both. */
static bool is_first(const struct option_row *row, bool given[static ROW_COUNT], char reterr[static SIM_ERROR_MAX])
{
    bool *before = &given[row - rows];
    bool first = !*before || row->type == OPTION_FLAG;
    if (!first)
        snprintf(reterr, SIM_ERROR_MAX, "--%s is given twice", row->name);
    *before = true;
    return first;
}

bool sim_options_parse(struct sim_options *ret, int argc, char **argv, char reterr[static SIM_ERROR_MAX])
{
    bool given[ROW_COUNT] = {false};
    memset(ret, 0, sizeof *ret);
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].fallback)
            (void)set(ret, &rows[i], rows[i].fallback);
    for (int i = 1; i < argc; i++) {
        size_t name_len = strcspn(argv[i], "=");
        const struct option_row *row = strncmp(argv[i], "--", 2) == 0 ? find(argv[i] + 2, name_len - 2) : NULL;
        if (!row) {
            snprintf(reterr, SIM_ERROR_MAX, "\"%.100s\" is not an option; see weir sim --help", argv[i]);
            return false;
        }
        if (!is_first(row, given, reterr))
            return false;
        const char *value = argv[i][name_len] ? argv[i] + name_len + 1 : NULL;
        if (row->type != OPTION_FLAG && !value)
            value = ++i < argc ? argv[i] : NULL;
        if ((row->type == OPTION_FLAG) == (value != NULL) || !set(ret, row, value)) {
            refuse(row, value, reterr);
            return false;
        }
    }
    return check_together(ret, reterr);
}

void sim_options_help(FILE *out)
{
    fputs("weir sim [--OPTION=VALUE ...]\n\n"
          "A fleet of devices that post observations to a gateway: each has a source address of its own in\n"
          "127.0.0.0/8, all share one socket. Ends with one line of JSON on stdout, and with status 1 if nothing\n"
          "was acknowledged of what was sent, or no DTLS handshake succeeded; what was refused among others counts\n"
          "in that line only. --check ends with 1 if anything is lost or doubled.\n\n", out);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        fprintf(out, "  --%-16s %s", rows[i].name, rows[i].help);
        if (rows[i].fallback && rows[i].fallback[0])
            fprintf(out, " (%s)", rows[i].fallback);
        fputc('\n', out);
    }
}
