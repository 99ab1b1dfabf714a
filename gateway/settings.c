// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Parser, help and documentation of the settings, all made from SETTINGS_TABLE: nothing here knows a setting
 * by name but the log level, whose text has a meaning of its own, and settings_redis.
 */
#include "gateway/settings.h"

#include "gateway/rt/log.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#define NAME_MAX_BYTES 64
#define LINE_MAX_BYTES 1024
#define QUOTED_VALUE_MAX 64 /* bytes of a value that an error shows */

enum kind { KIND_uint, KIND_text, KIND_flag };

#define FALLBACK_uint(def) #def
#define FALLBACK_text(def) def
#define FALLBACK_flag(def) ((def) ? "true" : "false")

static const struct settings_row rows[] = {
#define X(type, name, def, min, max, unit, help) {#name, #type, FALLBACK_##type(def), unit, help, min, max},
    SETTINGS_TABLE(X)
#undef X
};

/* Where the value of a row stands in struct settings; same order as rows. */
static const struct {
    size_t offset;
    enum kind kind;
} places[] = {
#define X(type, name, def, min, max, unit, help) {offsetof(struct settings, name), KIND_##type},
    SETTINGS_TABLE(X)
#undef X
};

#define ROW_COUNT (sizeof rows / sizeof *rows)

/* A text longer than its field cannot be allowed by the table. */
#define CHECK_MAX_uint(max) true
#define CHECK_MAX_flag(max) true
#define CHECK_MAX_text(max) ((max) < SETTINGS_TEXT_MAX)
#define X(type, name, def, min, max, unit, help) _Static_assert(CHECK_MAX_##type(max), #name);
SETTINGS_TABLE(X)
#undef X

const struct settings_row *settings_table(size_t *ret_count)
{
    *ret_count = ROW_COUNT;
    return rows;
}

static void *place_of(struct settings *settings, size_t index)
{
    return (char *)settings + places[index].offset;
}

__attribute__((format(printf, 2, 3))) static bool refuse(char reterr[static SETTINGS_ERROR_MAX],
                                                         const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(reterr, SETTINGS_ERROR_MAX, format, args);
    va_end(args);
    return false;
}

/* Puts the place of an error before its text: "weir.conf:3: ". */
__attribute__((format(printf, 2, 3))) static bool refuse_at(char reterr[static SETTINGS_ERROR_MAX],
                                                            const char *format, ...)
{
    char error[SETTINGS_ERROR_MAX];
    memcpy(error, reterr, sizeof error);
    va_list args;
    va_start(args, format);
    int len = vsnprintf(reterr, SETTINGS_ERROR_MAX, format, args);
    va_end(args);
    if (len >= 0 && len < SETTINGS_ERROR_MAX)
        snprintf(reterr + len, SETTINGS_ERROR_MAX - (size_t)len, "%s", error);
    return false;
}

static const char *quote(char ret[static LOG_QUOTED_MAX], struct bytes value)
{
    return log_quote(ret, bytes_of(value.ptr, value.len < QUOTED_VALUE_MAX ? value.len : QUOTED_VALUE_MAX));
}

static bool parse_uint(struct bytes text, uint64_t *ret)
{
    uint64_t number = 0;
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t digit = (uint8_t)(text.ptr[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, digit, &number))
            return false;
    }
    *ret = number;
    return true;
}

static bool set_uint(const struct settings_row *row, uint64_t *field, struct bytes value,
                     char reterr[static SETTINGS_ERROR_MAX])
{
    uint64_t number;
    if (!parse_uint(value, &number) || number < row->min || number > row->max) {
        char quoted[LOG_QUOTED_MAX];
        return refuse(reterr, "%s is %s; give a whole number from %" PRIu64 " to %" PRIu64 " (%s). %s",
                      row->name, quote(quoted, value), row->min, row->max, row->unit, row->help);
    }
    *field = number;
    return true;
}

static bool text_is_allowed(const struct settings_row *row, struct bytes value)
{
    if (value.len < row->min || value.len > row->max)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < 0x20 || value.ptr[i] == 0x7f)
            return false;
    }
    return true;
}

static bool set_text(const struct settings_row *row, char *field, struct bytes value,
                     char reterr[static SETTINGS_ERROR_MAX])
{
    char copy[SETTINGS_TEXT_MAX] = "";
    bool allowed = text_is_allowed(row, value);
    if (allowed && value.len > 0)
        memcpy(copy, value.ptr, value.len);
    enum log_level level;
    char quoted[LOG_QUOTED_MAX];
    if (strcmp(row->name, "log_level") == 0 && !(allowed && log_level_from_text(copy, &level)))
        return refuse(reterr, "%s is %s; give %s", row->name, quote(quoted, value), row->help);
    if (!allowed)
        return refuse(reterr, "%s is %s; give %" PRIu64 " to %" PRIu64 " characters, none of them a control "
                      "character%s%s. %s", row->name, quote(quoted, value), row->min, row->max,
                      row->unit[0] ? ": " : "", row->unit, row->help);
    memcpy(field, copy, sizeof copy);
    return true;
}

static bool set_flag(const struct settings_row *row, bool *field, struct bytes value,
                     char reterr[static SETTINGS_ERROR_MAX])
{
    static const char *const words[2][4] = {{"false", "no", "off", "0"}, {"true", "yes", "on", "1"}};
    for (int meaning = 0; meaning < 2; meaning++) {
        for (int i = 0; i < 4; i++) {
            if (bytes_equal_text(value, words[meaning][i])) {
                *field = meaning;
                return true;
            }
        }
    }
    char quoted[LOG_QUOTED_MAX];
    return refuse(reterr, "%s is %s; give true or false. %s", row->name, quote(quoted, value), row->help);
}

static bool set_row(struct settings *settings, size_t index, struct bytes value,
                    char reterr[static SETTINGS_ERROR_MAX])
{
    switch (places[index].kind) {
    case KIND_uint:
        return set_uint(&rows[index], place_of(settings, index), value, reterr);
    case KIND_flag:
        return set_flag(&rows[index], place_of(settings, index), value, reterr);
    case KIND_text:
    default:
        return set_text(&rows[index], place_of(settings, index), value, reterr);
    }
}

void settings_default(struct settings *ret)
{
    char error[SETTINGS_ERROR_MAX];
    memset(ret, 0, sizeof *ret);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (!set_row(ret, i, bytes_of_text(rows[i].fallback), error))
            abort(); /* the table contradicts itself: no test lets that pass */
    }
}

struct store_target settings_redis(const struct settings *settings)
{
    return (struct store_target){
        .address = settings->redis,
        .user = settings->redis_user,
        .password_file = settings->redis_password_file,
        .tls = settings->redis_tls,
        .tls_ca = settings->redis_tls_ca,
        .tls_certificate = settings->redis_tls_certificate,
        .tls_key = settings->redis_tls_key,
        .tls_name = settings->redis_tls_name,
    };
}

/* '-' and '_' are the same in a name. */
static bool same_name(const char *name, struct bytes given)
{
    size_t len = strlen(name);
    if (given.len != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (name[i] != given.ptr[i] && !(name[i] == '_' && given.ptr[i] == '-'))
            return false;
    }
    return true;
}

static bool find(struct bytes name, size_t *ret_index)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (same_name(rows[i].name, name)) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

bool settings_set(struct settings *settings, struct bytes name, struct bytes value,
                  char reterr[static SETTINGS_ERROR_MAX])
{
    size_t index;
    if (!find(name, &index)) {
        char quoted[LOG_QUOTED_MAX];
        return refuse(reterr, "there is no setting %s; weir serve --help lists them", quote(quoted, name));
    }
    return set_row(settings, index, value, reterr);
}

static void variable_name(char ret[static NAME_MAX_BYTES], const char *name)
{
    int len = snprintf(ret, NAME_MAX_BYTES, "WEIR_%s", name);
    for (int i = 0; i < len && i < NAME_MAX_BYTES; i++)
        ret[i] = (char)toupper((unsigned char)ret[i]);
}

bool settings_from_environment(struct settings *settings, char reterr[static SETTINGS_ERROR_MAX])
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char variable[NAME_MAX_BYTES];
        variable_name(variable, rows[i].name);
        const char *value = getenv(variable);
        if (value && !set_row(settings, i, bytes_of_text(value), reterr))
            return refuse_at(reterr, "environment variable %s: ", variable);
    }
    return true;
}

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && isspace(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && isspace(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

/* A # at the beginning or after white space begins a comment; inside of a word it is part of the value. */
static struct bytes without_comment(struct bytes line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.ptr[i] == '#' && (i == 0 || isspace(line.ptr[i - 1])))
            return bytes_of(line.ptr, i);
    }
    return line;
}

static bool set_from_line(struct settings *settings, struct bytes line,
                          char reterr[static SETTINGS_ERROR_MAX])
{
    line = trim(without_comment(line));
    if (line.len == 0)
        return true;
    const uint8_t *equals = memchr(line.ptr, '=', line.len);
    if (!equals)
        return refuse(reterr, "no '=' here; write: name = value");
    size_t name_len = (size_t)(equals - line.ptr);
    struct bytes name = trim(bytes_of(line.ptr, name_len));
    struct bytes value = trim(bytes_of(equals + 1, line.len - name_len - 1));
    return settings_set(settings, name, value, reterr);
}

bool settings_from_file(struct settings *settings, const char *path, char reterr[static SETTINGS_ERROR_MAX])
{
    FILE *file = fopen(path, "re");
    if (!file)
        return refuse(reterr, "cannot read settings file %s: %s", path, strerror(errno));
    bool good = true;
    char line[LINE_MAX_BYTES];
    for (unsigned number = 1; good && fgets(line, sizeof line, file); number++) {
        struct bytes text = bytes_of_text(line);
        if (text.len == sizeof line - 1 && text.ptr[text.len - 1] != '\n')
            good = refuse(reterr, "the line is longer than %d characters; shorten it", LINE_MAX_BYTES - 2);
        else
            good = set_from_line(settings, text, reterr);
        if (!good)
            refuse_at(reterr, "%s:%u: ", path, number);
    }
    if (good && ferror(file))
        good = refuse(reterr, "cannot read settings file %s: %s", path, strerror(errno));
    fclose(file);
    return good;
}

/* As options write it. */
static const char *option_name(const struct settings_row *row, char ret[static NAME_MAX_BYTES])
{
    snprintf(ret, NAME_MAX_BYTES, "%s", row->name);
    for (char *at = ret; *at != '\0'; at++) {
        if (*at == '_')
            *at = '-';
    }
    return ret;
}

/* The last of two would undo the first, and who gave both meant both. */
static bool take_once(bool given[static ROW_COUNT], size_t index, char reterr[static SETTINGS_ERROR_MAX])
{
    char option[NAME_MAX_BYTES];
    if (given[index])
        return refuse(reterr, "--%s is given twice", option_name(&rows[index], option));
    given[index] = true;
    return true;
}

/* Sets from one argument, with the next one if need be. Returns how many were used; 0: not a setting; -1:
 * error. */
static int take_argument(struct settings *settings, bool given[static ROW_COUNT], const char *argument,
                         const char *next, char reterr[static SETTINGS_ERROR_MAX])
{
    if (strncmp(argument, "--", 2) != 0)
        return 0;
    const char *name = argument + 2;
    const char *equals = strchr(name, '=');
    struct bytes name_bytes = equals ? bytes_of(name, (size_t)(equals - name)) : bytes_of_text(name);
    size_t index;
    if (find(name_bytes, &index)) {
        bool is_flag = places[index].kind == KIND_flag;
        if (!equals && !is_flag && !next) {
            refuse(reterr, "--%s needs a value. %s", name, rows[index].help);
            return -1;
        }
        const char *value = equals ? equals + 1 : is_flag ? "true" : next;
        if (!take_once(given, index, reterr) || !set_row(settings, index, bytes_of_text(value), reterr))
            return -1;
        return equals || is_flag ? 1 : 2;
    }
    bool negated = !equals && strncmp(name, "no-", 3) == 0;
    if (negated && find(bytes_of_text(name + 3), &index) && places[index].kind == KIND_flag) {
        if (!take_once(given, index, reterr))
            return -1;
        *(bool *)place_of(settings, index) = false;
        return 1;
    }
    return 0;
}

int settings_from_arguments(struct settings *settings, int argc, char **argv,
                            char reterr[static SETTINGS_ERROR_MAX])
{
    bool given[ROW_COUNT] = {false};
    int kept = argc > 0 ? 1 : 0;
    int i = kept;
    while (i < argc && strcmp(argv[i], "--") != 0) {
        int used = take_argument(settings, given, argv[i], i + 1 < argc ? argv[i + 1] : NULL, reterr);
        if (used < 0)
            return -1;
        if (used == 0)
            argv[kept++] = argv[i++];
        i += used;
    }
    while (i < argc)
        argv[kept++] = argv[i++];
    if (kept < argc)
        argv[kept] = NULL;
    return kept;
}

static void print_option(FILE *out, const struct settings_row *row)
{
    char option[NAME_MAX_BYTES];
    option_name(row, option);
    if (strcmp(row->type, "flag") == 0)
        fprintf(out, "  --%s, --no-%s\n", option, option);
    else
        fprintf(out, "  --%s=%s\n", option, strcmp(row->type, "uint") == 0 ? "N" : "TEXT");
}

void settings_help(FILE *out)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct settings_row *row = &rows[i];
        print_option(out, row);
        fprintf(out, "      %s\n", row->help);
        if (strcmp(row->type, "uint") == 0)
            fprintf(out, "      default %s, range %" PRIu64 " to %" PRIu64 " %s\n", row->fallback, row->min,
                    row->max, row->unit);
        else
            fprintf(out, "      default %s\n", row->fallback[0] ? row->fallback : "(empty)");
    }
}

void settings_markdown(FILE *out)
{
    fputs("# Settings\n\n"
          "Made from the table in `gateway/settings.h` (`ninja -C build/dev docs-settings`); a test keeps them\n"
          "equal.\n\n"
          "A setting is given on the command line (`weir serve --coap-port=5683`; flags: `--dtls13`,\n"
          "`--no-dtls13`), in the environment (`WEIR_COAP_PORT=5683`), or in a settings file (lines\n"
          "`coap_port = 5683`; `#` begins a comment). Where several give it, the command line wins over the\n"
          "environment, and that over the file; the command line gives each once. Sizes and limits of a worker\n"
          "are for each worker thread. The range of a text is its length.\n\n"
          "| setting | type | default | range | unit | what |\n"
          "|---|---|---|---|---|---|\n",
          out);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct settings_row *row = &rows[i];
        fprintf(out, "| `%s` | %s |", row->name, row->type);
        fprintf(out, row->fallback[0] ? " `%s` |" : " %s|", row->fallback);
        if (strcmp(row->type, "flag") == 0)
            fputs(" true, false |", out);
        else
            fprintf(out, " %" PRIu64 " to %" PRIu64 " |", row->min, row->max);
        fprintf(out, " %s%s| %s |\n", row->unit, row->unit[0] ? " " : "", row->help);
    }
}
