// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Both forms are brought to one shape (struct members) that is judged once. Members that say what else may be done with
 * the key are held against: a key for encryption is no key for signatures.
 */
#include "codec/jwk.h"

#include "codec/base64url.h"
#include "codec/cborin.h"
#include "codec/cborout.h"
#include "codec/cose.h"
#include "codec/json.h"
#include "codec/jsonout.h"
#include "codec/utf8.h"

static const struct format_limits key_limits = {.depth = 4, .items = 64};

enum {
    COORDINATE_BYTES = 32, /* of P-256, and an Ed25519 key */
    HMAC_MIN = 32,         /* RFC 7518 3.2 */
};

enum key_type { TYPE_EC, TYPE_OKP, TYPE_OCT };

/* By enum key_type (RFC 7518 6, RFC 8037 2; RFC 9053 7). A symmetric key has no curve. */
static const struct {
    const char *json_type, *json_curve;
    int cose_type, cose_curve;
} types[] = {
    [TYPE_EC] = {"EC", "P-256", 2, 1},
    [TYPE_OKP] = {"OKP", "Ed25519", 1, 6},
    [TYPE_OCT] = {"oct", NULL, 4, 0},
};

static enum key_type type_of(enum signed_algorithm algorithm)
{
    if (algorithm == SIGNED_ES256)
        return TYPE_EC;
    return algorithm == SIGNED_EDDSA ? TYPE_OKP : TYPE_OCT;
}

/* What either form says, decoded. A ptr of NULL: not there. */
struct members {
    enum key_type type;
    bool has_algorithm;
    enum signed_algorithm algorithm;
    struct bytes x, y, d, k;
    struct bytes kid;
};

static bool refuse_value(struct refusal *reterr, const char *detail)
{
    return refuse(reterr, OUTCOME_BAD_VALUE, detail, SIZE_MAX);
}

static bool take_algorithm(const struct members *members, struct jwk *key, struct refusal *reterr)
{
    static const enum signed_algorithm defaults[] = {
        [TYPE_EC] = SIGNED_ES256, [TYPE_OKP] = SIGNED_EDDSA, [TYPE_OCT] = SIGNED_HS256};
    key->algorithm = members->has_algorithm ? members->algorithm : defaults[members->type];
    return type_of(key->algorithm) == members->type ||
           refuse_value(reterr, "alg does not go with the type of the key.");
}

static bool take_secret(const struct members *members, struct jwk *key, struct refusal *reterr)
{
    if (members->k.len < HMAC_MIN || members->k.len > JWK_OCTETS_MAX)
        return refuse_value(reterr, "A symmetric key has to have 32 to 64 octets (k).");
    memcpy(key->octets, members->k.ptr, members->k.len);
    key->len = members->k.len;
    return true;
}

static bool take_pair(const struct members *members, struct jwk *key, struct refusal *reterr)
{
    bool has_y = members->type == TYPE_EC;
    if (members->x.len != COORDINATE_BYTES || (has_y && members->y.len != COORDINATE_BYTES))
        return refuse_value(reterr, has_y ? "x and y of a P-256 key have to have 32 octets each."
                                          : "x of an Ed25519 key has to have 32 octets.");
    memcpy(key->octets, members->x.ptr, COORDINATE_BYTES);
    key->len = COORDINATE_BYTES;
    if (has_y) {
        memcpy(key->octets + COORDINATE_BYTES, members->y.ptr, COORDINATE_BYTES);
        key->len += COORDINATE_BYTES;
    }
    if (!members->d.ptr)
        return true;
    if (members->d.len != COORDINATE_BYTES)
        return refuse_value(reterr, "d has to have 32 octets.");
    memcpy(key->private_octets, members->d.ptr, COORDINATE_BYTES);
    key->is_private = true;
    return true;
}

static bool judge(const struct members *members, struct jwk *ret, struct refusal *reterr)
{
    struct jwk key = {.kid = members->kid};
    bool ok = take_algorithm(members, &key, reterr) &&
              (members->type == TYPE_OCT ? take_secret(members, &key, reterr) : take_pair(members, &key, reterr));
    if (ok)
        *ret = key;
    jwk_wipe(&key);
    return ok;
}

/* --- JWK --- */

static const struct node *find(const struct node *map, const char *name)
{
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++, key = node_next(key + 1)) {
        if (bytes_equal_text(key->data, name))
            return key + 1;
    }
    return NULL;
}

static bool is_text(const struct node *node, const char *text)
{
    return node && node->kind == NODE_TEXT && bytes_equal_text(node->data, text);
}

static bool read_type(const struct node *map, struct members *ret, struct refusal *reterr)
{
    const struct node *type = find(map, "kty"), *curve = find(map, "crv");
    for (enum key_type i = TYPE_EC; i <= TYPE_OCT; i++) {
        if (!is_text(type, types[i].json_type))
            continue;
        ret->type = i;
        return !types[i].json_curve || is_text(curve, types[i].json_curve) ||
               refuse_value(reterr, "crv has to be P-256 or Ed25519.");
    }
    return refuse_value(reterr, "kty has to be EC, OKP or oct.");
}

static bool read_algorithm(const struct node *map, struct members *ret, struct refusal *reterr)
{
    const struct node *value = find(map, "alg");
    if (!value)
        return true;
    ret->has_algorithm = true;
    for (unsigned i = 0; i < SIGNED_ALGORITHMS; i++) {
        ret->algorithm = (enum signed_algorithm)i;
        if (is_text(value, signed_algorithm_name(ret->algorithm)))
            return true;
    }
    ret->algorithm = SIGNED_EDDSA; /* under the name of RFC 9864 */
    return is_text(value, "Ed25519") || refuse_value(reterr, "alg has to be ES256, EdDSA, HS256 or HS256/64.");
}

/* RFC 7517 4.2, 4.3 */
static bool check_use(const struct node *map, struct refusal *reterr)
{
    const struct node *use = find(map, "use"), *operations = find(map, "key_ops");
    bool fits = !operations;
    if (use && !is_text(use, "sig"))
        return refuse_value(reterr, "use says that the key is not for signatures.");
    if (operations && operations->kind == NODE_ARRAY) {
        const struct node *item = node_first(operations);
        for (uint32_t i = 0; i < operations->count; i++, item = node_next(item))
            fits = fits || is_text(item, "verify") || is_text(item, "sign");
    }
    return fits || refuse_value(reterr, "key_ops says that the key is not for signatures.");
}

static bool read_kid(const struct node *map, struct members *ret, struct refusal *reterr)
{
    const struct node *kid = find(map, "kid");
    if (kid && (kid->kind != NODE_TEXT || kid->data.len > SIGNED_KID_MAX))
        return refuse_value(reterr, "kid has to be a text of at most 64 octets.");
    if (kid)
        ret->kid = kid->data;
    return true;
}

static bool read_base64url(const struct node *map, const char *name, struct arena *arena, struct bytes *ret,
                           struct refusal *reterr)
{
    const struct node *value = find(map, name);
    if (!value)
        return true;
    if (value->kind != NODE_TEXT)
        return refuse_value(reterr, "x, y, d and k have to be texts.");
    enum base64url result = base64url_decode(value->data, arena, ret);
    if (result == BASE64URL_MEMORY)
        return refuse_memory(reterr);
    return result == BASE64URL_OK || refuse_value(reterr, "x, y, d and k have to be canonical base64url.");
}

bool jwk_read(struct bytes json, struct arena *arena, struct jwk *ret, struct refusal *reterr)
{
    const struct node *map;
    struct members members = {0};
    if (!json_read(json, &key_limits, arena, &map, reterr))
        return false;
    if (map->kind != NODE_MAP)
        return refuse(reterr, OUTCOME_MALFORMED, "A JWK is a JSON object.", SIZE_MAX);
    return read_type(map, &members, reterr) && read_algorithm(map, &members, reterr) && check_use(map, reterr) &&
           read_kid(map, &members, reterr) && read_base64url(map, "x", arena, &members.x, reterr) &&
           read_base64url(map, "y", arena, &members.y, reterr) &&
           read_base64url(map, "d", arena, &members.d, reterr) &&
           read_base64url(map, "k", arena, &members.k, reterr) && judge(&members, ret, reterr);
}

/* --- COSE_Key --- */

/* RFC 9052 7.1, RFC 9053 7; crv and k share a label. */
enum { LABEL_TYPE = 1, LABEL_KID = 2, LABEL_ALG = 3, LABEL_OPERATIONS = 4, LABEL_CURVE = -1, LABEL_X = -2, LABEL_Y = -3,
       LABEL_D = -4, LABEL_K = -1 };

static bool is_integer(const struct node *node, int number)
{
    return node && node->kind == NODE_INTEGER && node->negative == (number < 0) &&
           node->integer == (uint64_t)(number < 0 ? -1 - number : number);
}

static const struct node *find_label(const struct node *map, int label)
{
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++, key = node_next(key + 1)) {
        if (is_integer(key, label))
            return key + 1;
    }
    return NULL;
}

static bool read_cose_type(const struct node *map, struct members *ret, struct refusal *reterr)
{
    const struct node *type = find_label(map, LABEL_TYPE), *curve = find_label(map, LABEL_CURVE);
    for (enum key_type i = TYPE_EC; i <= TYPE_OCT; i++) {
        if (!is_integer(type, types[i].cose_type))
            continue;
        ret->type = i;
        return i == TYPE_OCT || is_integer(curve, types[i].cose_curve) ||
               refuse_value(reterr, "crv has to be P-256 (1) or Ed25519 (6).");
    }
    return refuse_value(reterr, "kty has to be OKP (1), EC2 (2) or Symmetric (4).");
}

static bool check_cose_use(const struct node *map, struct refusal *reterr)
{
    static const int wanted[] = {1, 2, 9, 10}; /* sign, verify, MAC create, MAC verify */
    const struct node *operations = find_label(map, LABEL_OPERATIONS);
    bool fits = !operations;
    if (operations && operations->kind == NODE_ARRAY) {
        const struct node *item = node_first(operations);
        for (uint32_t i = 0; i < operations->count; i++, item = node_next(item))
            for (size_t j = 0; j < sizeof(wanted) / sizeof(wanted[0]); j++)
                fits = fits || is_integer(item, wanted[j]);
    }
    return fits || refuse_value(reterr, "key_ops says that the key is not for signatures.");
}

static bool read_octets(const struct node *map, int label, struct bytes *ret, struct refusal *reterr)
{
    const struct node *value = find_label(map, label);
    if (value && value->kind == NODE_BOOLEAN)
        return refuse_value(reterr, "The point is compressed; x and y are needed.");
    if (value && value->kind != NODE_BYTES)
        return refuse_value(reterr, "x, y, d, k and kid have to be byte strings.");
    if (value)
        *ret = value->data;
    return true;
}

static bool read_cose_algorithm(const struct node *map, struct members *ret, struct refusal *reterr)
{
    const struct node *value = find_label(map, LABEL_ALG);
    ret->has_algorithm = value != NULL;
    return !value || cose_msg_algorithm(value, &ret->algorithm) ||
           refuse_value(reterr, "alg has to be ES256, EdDSA, HS256 or HS256/64.");
}

static bool read_material(const struct node *map, struct members *ret, struct refusal *reterr)
{
    if (ret->type == TYPE_OCT)
        return read_octets(map, LABEL_K, &ret->k, reterr);
    return read_octets(map, LABEL_X, &ret->x, reterr) &&
           (ret->type == TYPE_OKP || read_octets(map, LABEL_Y, &ret->y, reterr)) &&
           read_octets(map, LABEL_D, &ret->d, reterr);
}

bool jwk_read_cose(struct bytes cbor, struct arena *arena, struct jwk *ret, struct refusal *reterr)
{
    const struct node *map;
    struct members members = {0};
    if (!cborin_read(cbor, &key_limits, arena, &map, reterr))
        return false;
    if (map->kind != NODE_MAP)
        return refuse(reterr, OUTCOME_MALFORMED, "A COSE_Key is a map.", SIZE_MAX);
    if (!read_cose_type(map, &members, reterr) || !read_cose_algorithm(map, &members, reterr) ||
        !check_cose_use(map, reterr) || !read_octets(map, LABEL_KID, &members.kid, reterr))
        return false;
    if (members.kid.len > SIGNED_KID_MAX)
        return refuse_value(reterr, "kid has to be a byte string of at most 64 octets.");
    return read_material(map, &members, reterr) && judge(&members, ret, reterr);
}

/* --- writing --- */

static void put_name(struct builder *out, const char *name)
{
    builder_put_byte(out, out->len > 0 ? ',' : '{');
    jsonout_text(out, bytes_of_text(name));
    builder_put_byte(out, ':');
}

static void put_text(struct builder *out, const char *name, struct bytes text)
{
    put_name(out, name);
    jsonout_text(out, text);
}

static void put_octets(struct builder *out, const char *name, const uint8_t *octets, size_t len)
{
    put_name(out, name);
    jsonout_base64url(out, bytes_of(octets, len));
}

static void put_point(struct builder *out, const struct jwk *key)
{
    put_octets(out, "x", key->octets, COORDINATE_BYTES);
    if (type_of(key->algorithm) == TYPE_EC)
        put_octets(out, "y", key->octets + COORDINATE_BYTES, COORDINATE_BYTES);
}

bool jwk_write(const struct jwk *key, bool with_private, struct arena *arena, struct bytes *ret)
{
    struct builder out;
    enum key_type type = type_of(key->algorithm);
    builder_init(&out, arena, 320);
    put_text(&out, "kty", bytes_of_text(types[type].json_type));
    if (types[type].json_curve)
        put_text(&out, "crv", bytes_of_text(types[type].json_curve));
    put_text(&out, "alg", bytes_of_text(signed_algorithm_name(key->algorithm)));
    if (key->kid.len && utf8_is_text(key->kid))
        put_text(&out, "kid", key->kid);
    if (type != TYPE_OCT)
        put_point(&out, key);
    else if (with_private)
        put_octets(&out, "k", key->octets, key->len);
    if (with_private && key->is_private)
        put_octets(&out, "d", key->private_octets, sizeof(key->private_octets));
    builder_put_byte(&out, '}');
    return builder_finish(&out, ret);
}

static void put_cose_octets(struct builder *out, int label, const uint8_t *octets, size_t len)
{
    cborout_int(out, label);
    cborout_bytes(out, bytes_of(octets, len));
}

bool jwk_write_cose(const struct jwk *key, bool with_private, struct arena *arena, struct bytes *ret)
{
    struct builder out;
    enum key_type type = type_of(key->algorithm);
    bool has_point = type != TYPE_OCT, has_y = type == TYPE_EC, has_kid = key->kid.len > 0;
    bool has_secret = with_private && (has_point ? key->is_private : true);
    builder_init(&out, arena, 192);
    cborout_map(&out, 2u + has_kid + 2u * has_point + has_y + has_secret);
    cborout_int(&out, LABEL_TYPE);
    cborout_int(&out, types[type].cose_type);
    if (has_kid)
        put_cose_octets(&out, LABEL_KID, key->kid.ptr, key->kid.len);
    cborout_int(&out, LABEL_ALG);
    cborout_int(&out, cose_msg_algorithm_number(key->algorithm));
    if (has_point) {
        cborout_int(&out, LABEL_CURVE);
        cborout_int(&out, types[type].cose_curve);
        put_cose_octets(&out, LABEL_X, key->octets, COORDINATE_BYTES);
    }
    if (has_y)
        put_cose_octets(&out, LABEL_Y, key->octets + COORDINATE_BYTES, COORDINATE_BYTES);
    if (has_secret && has_point)
        put_cose_octets(&out, LABEL_D, key->private_octets, sizeof(key->private_octets));
    else if (has_secret)
        put_cose_octets(&out, LABEL_K, key->octets, key->len);
    return builder_finish(&out, ret);
}

/* The members that a key of the type cannot be without, sorted (RFC 7638 3.2, RFC 8037 2). */
bool jwk_thumbprint_text(const struct jwk *key, struct arena *arena, struct bytes *ret)
{
    struct builder out;
    enum key_type type = type_of(key->algorithm);
    builder_init(&out, arena, 192);
    if (type == TYPE_OCT)
        put_octets(&out, "k", key->octets, key->len);
    else
        put_text(&out, "crv", bytes_of_text(types[type].json_curve));
    put_text(&out, "kty", bytes_of_text(types[type].json_type));
    if (type != TYPE_OCT)
        put_point(&out, key);
    builder_put_byte(&out, '}');
    return builder_finish(&out, ret);
}

void jwk_wipe(struct jwk *key)
{
    explicit_bzero(key, sizeof(*key));
}
