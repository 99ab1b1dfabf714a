// SPDX-License-Identifier: GPL-3.0-or-later
/* What becomes of a question, with the time as the test wants it, against a real Redis. */
#include "gateway/crypto.h"
#include "gateway/enrolment.h"
#include "gateway/kids.h"
#include "tests/unit/gateway/redis_tap.h"

static struct redis_fixture redis;
static struct store_client *client;
static struct accounts accounts;
static const struct enrolment_policy policy = {.confirm_s = 100, .pending_s = 1000, .overlap_s = 10,
                                               .certificate_days = 30};

#define T BYTES_LITERAL("acme")

static void setup(void)
{
    redis_start(&redis);
    client = redis_client(&redis);
    accounts = (struct accounts){.client = client};
    struct tenant_record tenant = {.id = "acme", .created_s = 5};
    cr_assert_eq(accounts_add_tenant(&accounts, &tenant, false), ACCOUNTS_DONE);
}

static void teardown(void)
{
    store_client_close(client);
    redis_remove(&redis);
}

TestSuite(enrolment, .init = setup, .fini = teardown);

static struct enrolment_question question_of(const char *serial, uint8_t digest, enum batch_approval approval)
{
    struct enrolment_question question = {.tenant = "acme", .kind = CREDENTIAL_PSK, .digest = {digest},
                                          .random = {digest, [9] = digest}};
    question.batch = (struct batch_record){.tenant = "acme", .id = "spring", .pattern = "*", .approval = approval,
                                           .site = "hall-3"};
    snprintf(question.device, sizeof question.device, "%s", serial);
    snprintf(question.serial, sizeof question.serial, "%s", serial);
    return question;
}

static struct enrolment_answer ask(const struct enrolment_question *question, int64_t now_s)
{
    struct enrolment_answer answer;
    cr_assert_eq(enrolment_ask(&accounts, question, &policy, now_s, &answer), ACCOUNTS_DONE);
    return answer;
}

static struct enrolment_decided decided;

static enum accounts_result decide(struct bytes name, enum enrolment_decision decision, int64_t now_s)
{
    return enrolment_decide(&accounts, T, name, decision, &policy, now_s, &decided);
}

static size_t sweep(int64_t now_s)
{
    size_t count = 99;
    cr_assert_eq(enrolment_sweep(&accounts, T, &policy, now_s, ENROLMENT_SWEEP_MAX, &count), ACCOUNTS_DONE);
    return count;
}

static bool has_device(const char *id, const char *key, bool *ret_offered, int64_t *ret_not_after_s)
{
    struct record_room room;
    struct device_record record;
    if (accounts_get_device(&accounts, T, bytes_of_text(id), &room, &record) != ACCOUNTS_DONE)
        return false;
    const struct credential *credential = record_credential_of_id(&record, bytes_of_text(key));
    if (credential) {
        *ret_offered = credential->offered;
        *ret_not_after_s = credential->not_after_s;
    }
    return credential != NULL;
}

Test(enrolment, same_question_same_answer_other_question_none)
{
    struct enrolment_question mine = question_of("a1", 1, BATCH_AUTO), theirs = question_of("a1", 2, BATCH_AUTO);
    struct enrolment_answer first = ask(&mine, 1000), again = ask(&mine, 1050);
    bool offered = false;
    int64_t not_after_s = 0;
    cr_expect(first.verdict == ENROLMENT_GIVEN && again.verdict == ENROLMENT_GIVEN);
    cr_expect(secret_equal(&first.secret, &again.secret) && first.expires_s == 1100 && again.expires_s == 1100);
    cr_expect_eq(ask(&theirs, 1050).verdict, ENROLMENT_TAKEN);
    cr_expect(has_device("a1", first.key, &offered, &not_after_s) && offered && not_after_s == 1100);
    cr_expect_eq(enrolment_confirm(&accounts, T, BYTES_LITERAL("a1"), bytes_of_text(first.key), &policy, 1060), ACCOUNTS_DONE);
    cr_expect(has_device("a1", first.key, &offered, &not_after_s) && !offered && not_after_s == 0);
    cr_expect_eq(ask(&mine, 1070).verdict, ENROLMENT_TAKEN);
    cr_expect_eq(enrolment_confirm(&accounts, T, BYTES_LITERAL("a1"), bytes_of_text(first.key), &policy, 1060), ACCOUNTS_DONE);
}

/* As if it was not yet made. */
static void forget_device(void)
{
    redis_call(client, "DEL weir:{acme}:dev:a1");
    redis_call(client, "SREM weir:{acme}:devices a1");
}

Test(enrolment, what_was_cut_off_is_done_when_it_is_asked_again)
{
    struct enrolment_question mine = question_of("a1", 1, BATCH_AUTO);
    struct enrolment_answer first = ask(&mine, 1000);
    bool offered = false;
    int64_t not_after_s = 0;
    forget_device();
    struct enrolment_answer again = ask(&mine, 1001);
    cr_expect(again.verdict == ENROLMENT_GIVEN && strcmp(first.key, again.key) == 0);
    cr_expect(has_device("a1", again.key, &offered, &not_after_s) && offered);
}

Test(enrolment, unused_offer_ends_and_leaves_nothing)
{
    struct enrolment_question mine = question_of("a1", 1, BATCH_AUTO);
    struct enrolment_answer first = ask(&mine, 1000);
    struct enrolment_record record;
    uint64_t used = 9, approved = 9;
    bool offered;
    int64_t not_after_s;
    cr_expect_eq(enrolment_confirm(&accounts, T, BYTES_LITERAL("a1"), bytes_of_text(first.key), &policy, 1100),
                 ACCOUNTS_NOT_FOUND);
    cr_expect_eq(sweep(1100), 0);
    cr_expect(has_device("a1", first.key, &offered, &not_after_s), "clocks of gateways differ");
    cr_expect_eq(sweep(1200), 1);
    cr_expect(!has_device("a1", first.key, &offered, &not_after_s));
    cr_expect_eq(enrolment_get(&accounts, T, BYTES_LITERAL("a1"), &record), ACCOUNTS_NOT_FOUND);
    cr_assert_eq(enrolment_count(&accounts, T, BYTES_LITERAL("spring"), &used, &approved), ACCOUNTS_DONE);
    cr_expect_eq(used, 0);
}

Test(enrolment, people_decide)
{
    struct enrolment_question one = question_of("a1", 1, BATCH_MANUAL), two = question_of("a2", 2, BATCH_LIST);
    struct bytes serial = BYTES_LITERAL("a2");
    cr_expect_eq(ask(&one, 1000).verdict, ENROLMENT_WAITS);
    cr_expect_eq(ask(&two, 1000).verdict, ENROLMENT_WAITS);
    cr_assert_eq(enrolment_approve_serials(&accounts, T, BYTES_LITERAL("spring"), &serial, 1), ACCOUNTS_DONE);
    cr_expect_eq(ask(&two, 1001).verdict, ENROLMENT_GIVEN);
    cr_expect_eq(decide(serial, ENROLMENT_APPROVE, 1002), ACCOUNTS_EXISTS);
    cr_expect_eq(decide(BYTES_LITERAL("a1"), ENROLMENT_REJECT, 1002), ACCOUNTS_DONE);
    cr_expect_eq(ask(&one, 1003).verdict, ENROLMENT_REFUSED);
    /* Who was rejected gets nothing by a mistake; forgotten, it may ask again. */
    cr_expect_eq(decide(BYTES_LITERAL("a1"), ENROLMENT_APPROVE, 1004), ACCOUNTS_EXISTS);
    cr_expect_eq(decided.obstacle, ENROLMENT_WAS_REJECTED);
    cr_expect_eq(decide(BYTES_LITERAL("a1"), ENROLMENT_FORGET, 1004), ACCOUNTS_DONE);
    cr_expect_eq(ask(&one, 1004).verdict, ENROLMENT_WAITS);
    cr_expect_eq(decide(BYTES_LITERAL("a1"), ENROLMENT_APPROVE, 1004), ACCOUNTS_DONE);
    cr_expect_eq(ask(&one, 1005).verdict, ENROLMENT_GIVEN);
    cr_expect_eq(decide(BYTES_LITERAL("a9"), ENROLMENT_APPROVE, 1004), ACCOUNTS_NOT_FOUND);
    struct enrolment_question three = question_of("a3", 3, BATCH_MANUAL);
    cr_expect_eq(ask(&three, 1000).verdict, ENROLMENT_WAITS);
    sweep(3000);
    cr_expect_eq(decide(BYTES_LITERAL("a3"), ENROLMENT_APPROVE, 3000), ACCOUNTS_NOT_FOUND);
}

Test(enrolment, one_serial_number_of_two_devices)
{
    struct enrolment_question one = question_of("a1", 1, BATCH_MANUAL), two = question_of("a2", 2, BATCH_MANUAL);
    struct enrolment_record record;
    snprintf(two.serial, sizeof two.serial, "s1");
    snprintf(one.serial, sizeof one.serial, "s1");
    cr_expect_eq(ask(&one, 1000).verdict, ENROLMENT_WAITS);
    cr_expect_eq(ask(&two, 1000).verdict, ENROLMENT_WAITS);
    for (enum enrolment_decision decision = ENROLMENT_APPROVE; decision <= ENROLMENT_FORGET; decision++) {
        cr_expect_eq(decide(BYTES_LITERAL("s1"), decision, 1001), ACCOUNTS_EXISTS);
        cr_expect(decided.obstacle == ENROLMENT_SEVERAL && decided.count == 2);
        cr_expect(strcmp(decided.devices[0], "a1") == 0 && strcmp(decided.devices[1], "a2") == 0);
    }
    cr_expect_eq(decide(BYTES_LITERAL("a2"), ENROLMENT_FORGET, 1001), ACCOUNTS_DONE);
    cr_expect_eq(enrolment_get(&accounts, T, BYTES_LITERAL("a2"), &record), ACCOUNTS_NOT_FOUND);
    cr_expect_eq(decide(BYTES_LITERAL("s1"), ENROLMENT_APPROVE, 1001), ACCOUNTS_DONE);
    cr_expect_str_eq(decided.device, "a1");
    cr_expect_eq(ask(&two, 1002).verdict, ENROLMENT_WAITS);
    cr_expect_eq(ask(&one, 1002).verdict, ENROLMENT_GIVEN);
}

static uint64_t count_used(void)
{
    uint64_t used = 99, approved;
    cr_assert_eq(enrolment_count(&accounts, T, BYTES_LITERAL("spring"), &used, &approved), ACCOUNTS_DONE);
    return used;
}

Test(enrolment, removed_device_is_not_counted)
{
    struct batch_record batch = {.tenant = "acme", .id = "spring", .pattern = "*", .approval = BATCH_AUTO};
    struct enrolment_question one = question_of("a1", 1, BATCH_AUTO);
    secret_set(&batch.secret, BYTES_LITERAL("0123456789abcdef"));
    cr_assert_eq(accounts_add_batch(&accounts, &batch, false), ACCOUNTS_DONE);
    cr_expect_eq(ask(&one, 1000).verdict, ENROLMENT_GIVEN);
    cr_expect_eq(count_used(), 1);
    cr_assert_eq(accounts_remove_device(&accounts, T, BYTES_LITERAL("a1")), ACCOUNTS_DONE);
    cr_expect_eq(count_used(), 0);
    struct enrolment_answer answer = ask(&one, 1001);
    cr_expect_eq(enrolment_confirm(&accounts, T, BYTES_LITERAL("a1"), bytes_of_text(answer.key), &policy, 1002), ACCOUNTS_DONE);
    cr_expect_eq(count_used(), 1);
    cr_assert_eq(accounts_remove_device(&accounts, T, BYTES_LITERAL("a1")), ACCOUNTS_DONE);
    cr_expect_eq(count_used(), 0);
}

static bool is_enrolling(const char *device)
{
    struct enrolment_record record;
    struct accounts_ids ids = {0};
    bool listed = false;
    cr_assert_eq(enrolment_list(&accounts, T, &ids), ACCOUNTS_DONE);
    for (size_t i = 0; i < ids.count; i++)
        listed |= strcmp(ids.ids[i], device) == 0;
    free(ids.ids);
    cr_expect_eq(enrolment_get(&accounts, T, bytes_of_text(device), &record) == ACCOUNTS_DONE, listed);
    return listed;
}

static enum enrolment_verdict approve_and_ask(const struct enrolment_question *question, int64_t now_s)
{
    cr_assert_eq(decide(bytes_of_text(question->device), ENROLMENT_APPROVE, now_s), ACCOUNTS_DONE);
    return ask(question, now_s).verdict;
}

Test(enrolment, removed_device_needs_approval_as_for_the_first_time)
{
    struct enrolment_question question = question_of("a1", 1, BATCH_MANUAL);
    cr_expect_eq(ask(&question, 1000).verdict, ENROLMENT_WAITS);
    cr_expect_eq(approve_and_ask(&question, 1001), ENROLMENT_GIVEN);
    cr_assert_eq(accounts_remove_device(&accounts, T, BYTES_LITERAL("a1")), ACCOUNTS_DONE);
    cr_expect_not(is_enrolling("a1"));
    cr_expect_eq(ask(&question, 1002).verdict, ENROLMENT_WAITS);
    cr_expect_eq(redis_call(client, "EXISTS weir:{acme}:dev:a1")->integer, 0);
    cr_expect_eq(approve_and_ask(&question, 1003), ENROLMENT_GIVEN);
}

Test(enrolment, device_that_was_disabled_before_its_first_use_stays_so)
{
    struct enrolment_question question = question_of("a1", 1, BATCH_AUTO);
    struct enrolment_answer answer = ask(&question, 1000);
    bool offered;
    int64_t not_after_s;
    cr_assert_eq(accounts_set_device_disabled(&accounts, T, BYTES_LITERAL("a1"), true), ACCOUNTS_DONE);
    cr_expect_eq(sweep(1200), 1);
    cr_expect_not(has_device("a1", answer.key, &offered, &not_after_s));
    cr_expect_not(is_enrolling("a1"));
    cr_expect_eq(ask(&question, 1201).verdict, ENROLMENT_TAKEN);
    cr_expect_eq(count_used(), 1);
    cr_assert_eq(accounts_remove_device(&accounts, T, BYTES_LITERAL("a1")), ACCOUNTS_DONE);
    cr_expect_eq(ask(&question, 1202).verdict, ENROLMENT_GIVEN);
}

Test(enrolment, rejection_outlives_a_device_that_was_made_by_hand)
{
    struct enrolment_question question = question_of("a1", 1, BATCH_MANUAL);
    struct device_record record = {.tenant = "acme", .id = "a1", .created_s = 5};
    cr_expect_eq(ask(&question, 1000).verdict, ENROLMENT_WAITS);
    cr_assert_eq(decide(BYTES_LITERAL("a1"), ENROLMENT_REJECT, 1001), ACCOUNTS_DONE);
    cr_assert_eq(accounts_add_device(&accounts, &record, false), ACCOUNTS_DONE);
    cr_assert_eq(accounts_remove_device(&accounts, T, BYTES_LITERAL("a1")), ACCOUNTS_DONE);
    cr_expect_eq(ask(&question, 1002).verdict, ENROLMENT_REFUSED);
}

Test(enrolment, old_key_ends_after_the_new_one_was_used)
{
    struct enrolment_question first = question_of("a1", 1, BATCH_AUTO), next = question_of("a1", 2, BATCH_AUTO);
    struct enrolment_answer old = ask(&first, 1000);
    bool offered;
    int64_t not_after_s;
    next.rotates = true;
    next.batch = (struct batch_record){0};
    memcpy(next.old, old.key, sizeof next.old);
    struct enrolment_answer fresh = ask(&next, 1010); /* which confirms the old one, since it was used to ask */
    cr_assert_eq(fresh.verdict, ENROLMENT_GIVEN);
    cr_expect(has_device("a1", old.key, &offered, &not_after_s) && !offered && not_after_s == 0);
    cr_expect_eq(enrolment_confirm(&accounts, T, BYTES_LITERAL("a1"), bytes_of_text(fresh.key), &policy, 1020), ACCOUNTS_DONE);
    cr_expect(has_device("a1", old.key, &offered, &not_after_s) && not_after_s == 1030);
    cr_expect(has_device("a1", fresh.key, &offered, &not_after_s) && !offered && not_after_s == 0);
}

/* A raw key as the version before left it, which another device took since, before names of older records were entered. */
static void have_taken_raw_key(const char *id)
{
    struct credential raw = {.kind = CREDENTIAL_RPK, .public_len = 32};
    char name[KIDS_NAME_MAX + 1], command[256];
    memset(raw.public, 1, sizeof raw.public);
    cr_assert(kids_shown_name(&raw, name));
    snprintf(command, sizeof command, "HSET weir:{acme}:kids %s thief", name);
    redis_call(client, command);
    snprintf(command, sizeof command, "SADD weir:{acme}:devices %s", id);
    redis_call(client, command);
    snprintf(command, sizeof command, "HSET weir:{acme}:dev:%s created 5 rpk %s", id,
             "0101010101010101010101010101010101010101010101010101010101010101");
    redis_call(client, command);
}

Test(enrolment, an_older_raw_key_ends_though_another_device_took_it)
{
    struct enrolment_question used = question_of("a1", 2, BATCH_AUTO), swept;
    bool offered;
    int64_t not_after_s;
    used.rotates = true;
    used.batch = (struct batch_record){0};
    strcpy(used.old, "rpk");
    swept = used;
    strcpy(swept.device, "a2");
    have_taken_raw_key("a1");
    have_taken_raw_key("a2");
    struct enrolment_answer fresh = ask(&used, 1010), late = ask(&swept, 1010);
    cr_assert(fresh.verdict == ENROLMENT_GIVEN && late.verdict == ENROLMENT_GIVEN);
    cr_expect_eq(enrolment_confirm(&accounts, T, BYTES_LITERAL("a1"), bytes_of_text(fresh.key), &policy, 1020), ACCOUNTS_DONE);
    cr_expect(has_device("a1", "rpk", &offered, &not_after_s) && not_after_s == 1030);
    /* Confirmed by somebody who was cut off before the old key ended: the sweep does it. */
    struct record_room room;
    struct device_record record;
    cr_assert_eq(accounts_get_device(&accounts, T, BYTES_LITERAL("a2"), &room, &record), ACCOUNTS_DONE);
    struct credential mine = *record_credential_of_id(&record, bytes_of_text(late.key));
    mine.offered = false;
    cr_assert_eq(accounts_put_credential(&accounts, T, BYTES_LITERAL("a2"), &mine, true), ACCOUNTS_DONE);
    cr_expect_eq(sweep(1200), 1);
    cr_expect(has_device("a2", "rpk", &offered, &not_after_s) && not_after_s == 1210);
}

/* A key that the device has, an authority that there is not: the old credential and an earlier offer stay as they are. */
Test(enrolment, a_refused_rotation_changes_nothing)
{
    struct enrolment_question first = question_of("a1", 1, BATCH_AUTO), same = question_of("a1", 7, BATCH_AUTO);
    struct enrolment_answer old = ask(&first, 1000);
    struct credential by_hand = {.id = "es256-0700000000000000", .kind = CREDENTIAL_ES256, .public_len = 64, .created_s = 1001};
    struct enrolment_record record;
    bool offered;
    int64_t not_after_s;
    same.rotates = true;
    same.kind = CREDENTIAL_ES256;
    same.public_len = 64;
    same.batch = (struct batch_record){0};
    memcpy(same.old, old.key, sizeof same.old);
    cr_assert_eq(accounts_put_credential(&accounts, T, BYTES_LITERAL("a1"), &by_hand, false), ACCOUNTS_DONE);
    cr_expect_eq(ask(&same, 1010).verdict, ENROLMENT_TAKEN);
    cr_expect_eq(enrolment_get(&accounts, T, BYTES_LITERAL("a1"), &record), ACCOUNTS_NOT_FOUND);
    struct enrolment_question next = same, none = same;
    next.kind = CREDENTIAL_PSK;
    next.digest[0] = 8;
    next.random[0] = 8;
    struct enrolment_answer fresh = ask(&next, 1011);
    cr_assert_eq(fresh.verdict, ENROLMENT_GIVEN);
    none.kind = CREDENTIAL_CA;
    cr_expect_eq(ask(&same, 1012).verdict, ENROLMENT_TAKEN);
    struct enrolment_question theirs = same, another = question_of("a2", 9, BATCH_AUTO);
    another.kind = theirs.kind = CREDENTIAL_ES256;
    another.public_len = theirs.public_len = 64;
    another.public[0] = theirs.public[0] = 3;
    theirs.digest[0] = 10;
    cr_expect_eq(ask(&another, 1012).verdict, ENROLMENT_GIVEN);
    cr_expect_eq(ask(&theirs, 1012).verdict, ENROLMENT_UNKNOWN, "another device's, whatever its id");
    cr_expect_eq(ask(&none, 1012).verdict, ENROLMENT_NO_CA);
    cr_assert_eq(enrolment_get(&accounts, T, BYTES_LITERAL("a1"), &record), ACCOUNTS_DONE);
    cr_expect_str_eq(record.key, fresh.key);
    cr_expect(has_device("a1", fresh.key, &offered, &not_after_s) && offered && not_after_s == 1111);
    sweep(2000);
    cr_expect(has_device("a1", old.key, &offered, &not_after_s) && not_after_s == 0);
    cr_expect(has_device("a1", by_hand.id, &offered, &not_after_s) && not_after_s == 0);
}

Test(enrolment, certificate_is_of_the_authority_that_signs)
{
    struct enrolment_question question = question_of("a1", 1, BATCH_AUTO);
    struct crypto_cert certificate;
    struct ca_record ca = {.tenant = "acme", .id = "ca-1", .created_s = 900, .not_after_s = 1000 + 10 * 86400};
    struct secret key;
    question.kind = CREDENTIAL_CA;
    cr_assert(crypto_cert_make_authority("acme", "ca-1", 10, &certificate, &ca.key));
    ca.certificate_len = (uint16_t)certificate.len;
    memcpy(ca.certificate, certificate.der, certificate.len);
    cr_assert(crypto_spki_digest(bytes_of(certificate.der, certificate.len), ca.spki));
    /* Any public key will do here: that of another authority. */
    cr_assert(crypto_cert_make_authority("x", "x", 10, &certificate, &key));
    const uint8_t *spki = memmem(certificate.der, certificate.len, "\x30\x59\x30\x13", 4);
    question.request.spki_len = 91;
    memcpy(question.request.spki, spki, 91);
    cr_expect_eq(ask(&question, 1000).verdict, ENROLMENT_NO_CA);
    cr_assert_eq(accounts_add_ca(&accounts, &ca), ACCOUNTS_DONE);
    struct enrolment_answer answer = ask(&question, 1000);
    cr_expect_eq(answer.verdict, ENROLMENT_GIVEN);
    cr_expect(answer.certificate_len > 200 && answer.authority_len == ca.certificate_len);
    cr_expect(memmem(answer.certificate, answer.certificate_len, "weir://acme/a1", 14) != NULL);
    uint8_t both[64];
    cr_assert(crypto_sha256(bytes_of(spki, 91), (struct bytes){0}, both + 32));
    memcpy(both, ca.spki, 32);
    struct record_room room;
    struct device_record record;
    cr_assert_eq(accounts_get_device(&accounts, T, BYTES_LITERAL("a1"), &room, &record), ACCOUNTS_DONE);
    cr_expect(record.credentials[0].public_len == 64 && memcmp(record.credentials[0].public, both, 64) == 0,
              "of this leaf alone");
    struct enrolment_answer again = ask(&question, 1001);
    cr_expect_eq(memcmp(answer.certificate, again.certificate, answer.certificate_len), 0);
    cr_assert_eq(enrolment_confirm(&accounts, T, BYTES_LITERAL("a1"), bytes_of_text(answer.key), &policy, 1002), ACCOUNTS_DONE);
    bool offered;
    int64_t not_after_s;
    cr_expect(has_device("a1", answer.key, &offered, &not_after_s) && not_after_s == 1000 + 10 * 86400,
              "it ends with its certificate, which ends with its authority");
}

/* Somebody else comes in between. */

static char meddled_key[CREDENTIAL_ID_MAX + 1];

static enum accounts_result confirm_by_tap(const char *key, int64_t now_s)
{
    return enrolment_confirm(&tapped, T, BYTES_LITERAL("a1"), bytes_of_text(key), &policy, now_s);
}

static void remove_key(void)
{
    cr_assert_eq(accounts_remove_credential(&other, T, BYTES_LITERAL("a1"), bytes_of_text(meddled_key)),
                 ACCOUNTS_DONE);
}

Test(enrolment, confirming_does_not_bring_back_what_was_removed)
{
    struct enrolment_question mine = question_of("a1", 1, BATCH_AUTO);
    struct enrolment_answer answer = ask(&mine, 1000);
    bool offered;
    int64_t not_after_s;
    strcpy(meddled_key, answer.key);
    tap_open(&redis, "dev:a1", 1, remove_key);
    cr_expect_eq(confirm_by_tap(answer.key, 1010), ACCOUNTS_NOT_FOUND);
    cr_expect(!has_device("a1", answer.key, &offered, &not_after_s));
    tap_close();
}

static struct enrolment_question rotation_of(const struct enrolment_answer *old, uint8_t digest)
{
    struct enrolment_question next = question_of("a1", digest, BATCH_AUTO);
    next.rotates = true;
    next.batch = (struct batch_record){0};
    memcpy(next.old, old->key, sizeof next.old);
    return next;
}

Test(enrolment, retiring_does_not_bring_back_what_was_removed)
{
    struct enrolment_question first = question_of("a1", 1, BATCH_AUTO);
    struct enrolment_answer old = ask(&first, 1000);
    struct enrolment_question next = rotation_of(&old, 2);
    struct enrolment_answer fresh = ask(&next, 1010);
    bool offered;
    int64_t not_after_s;
    cr_assert_eq(fresh.verdict, ENROLMENT_GIVEN);
    strcpy(meddled_key, old.key);
    tap_open(&redis, "dev:a1", 2, remove_key); /* the first is the new key's */
    cr_expect_eq(confirm_by_tap(fresh.key, 1020), ACCOUNTS_DONE);
    cr_expect(!has_device("a1", old.key, &offered, &not_after_s));
    cr_expect(has_device("a1", fresh.key, &offered, &not_after_s) && !offered);
    tap_close();
}

static void change_model(void)
{
    char model[24];
    snprintf(model, sizeof model, "m-%u", tap.seen);
    struct record_field field = {BYTES_LITERAL("model"), bytes_of_text(model)};
    cr_assert_eq(accounts_set_device_fields(&other, T, BYTES_LITERAL("a1"), &field, 1), ACCOUNTS_DONE);
}

Test(enrolment, who_is_always_late_is_told_so_and_comes_again)
{
    struct enrolment_question mine = question_of("a1", 1, BATCH_AUTO);
    struct enrolment_answer answer = ask(&mine, 1000);
    struct enrolment_record record;
    bool offered;
    int64_t not_after_s;
    tap_open(&redis, "dev:a1", 0, change_model);
    cr_expect_eq(confirm_by_tap(answer.key, 1010), ACCOUNTS_BUSY);
    cr_expect(has_device("a1", answer.key, &offered, &not_after_s) && offered && not_after_s == 1100);
    cr_expect_eq(enrolment_get(&accounts, T, BYTES_LITERAL("a1"), &record), ACCOUNTS_DONE);
    tap.at = tap.seen + 1; /* once more */
    cr_expect_eq(confirm_by_tap(answer.key, 1011), ACCOUNTS_DONE);
    cr_expect(has_device("a1", answer.key, &offered, &not_after_s) && !offered && not_after_s == 0);
    tap_close();
}

static void remove_device(void)
{
    cr_assert_eq(accounts_remove_device(&other, T, BYTES_LITERAL("a1")), ACCOUNTS_DONE);
}

static void forget_enrolment(void)
{
    struct enrolment_decided ignored;
    cr_assert_eq(enrolment_decide(&other, T, BYTES_LITERAL("a1"), ENROLMENT_FORGET, &policy, 1003, &ignored),
                 ACCOUNTS_DONE);
}

/* The same key is asked for again, and waits. */
static void forget_and_begin_anew(void)
{
    struct enrolment_question question = question_of("a1", 1, BATCH_MANUAL);
    struct enrolment_answer ignored;
    forget_enrolment();
    cr_assert_eq(enrolment_ask(&other, &question, &policy, 1003, &ignored), ACCOUNTS_DONE);
}

/* The approved device asks the same again, and when that was found to be good, before its record is looked at (HGETALL)
 * or made (WATCH), it goes. */
static void ask_while_it_goes(const struct enrolment_question *question, const char *command, void (*meddle)(void))
{
    struct enrolment_answer answer;
    tap_open(&redis, "dev:a1", 1, meddle);
    tap.command = command;
    cr_expect_eq(enrolment_ask(&tapped, question, &policy, 1003, &answer), ACCOUNTS_DONE);
    cr_expect_eq(answer.verdict, ENROLMENT_WAITS);
    cr_expect_eq(redis_call(client, "EXISTS weir:{acme}:dev:a1")->integer, 0);
    tap_close();
}

Test(enrolment, repeating_a_question_does_not_bring_back_what_was_removed)
{
    struct enrolment_question question = question_of("a1", 1, BATCH_MANUAL);
    cr_expect_eq(ask(&question, 1000).verdict, ENROLMENT_WAITS);
    cr_expect_eq(approve_and_ask(&question, 1001), ENROLMENT_GIVEN);
    ask_while_it_goes(&question, "HGETALL", remove_device);
    cr_expect_eq(approve_and_ask(&question, 1004), ENROLMENT_GIVEN);
    forget_device();
    ask_while_it_goes(&question, "WATCH", forget_enrolment);
    cr_expect_eq(approve_and_ask(&question, 1005), ENROLMENT_GIVEN);
    forget_device();
    ask_while_it_goes(&question, "WATCH", forget_and_begin_anew);
}

static void make_another_by_hand(void)
{
    struct device_record record = {.tenant = "acme", .id = "a1", .created_s = 5};
    remove_device();
    cr_assert_eq(accounts_add_device(&other, &record, false), ACCOUNTS_DONE);
}

Test(enrolment, rotation_ends_with_the_device)
{
    struct enrolment_question first = question_of("a1", 1, BATCH_AUTO);
    struct enrolment_answer old = ask(&first, 1000), answer;
    struct enrolment_question next = rotation_of(&old, 2);
    struct record_room room;
    struct device_record record;
    cr_assert_eq(ask(&next, 1010).verdict, ENROLMENT_GIVEN);
    tap_open(&redis, "dev:a1", 2, make_another_by_hand); /* the first is whether the old one must be confirmed */
    tap.command = "HGETALL";
    cr_expect_eq(enrolment_ask(&tapped, &next, &policy, 1011, &answer), ACCOUNTS_DONE);
    cr_expect_eq(answer.verdict, ENROLMENT_UNKNOWN);
    cr_expect_not(is_enrolling("a1"));
    cr_assert_eq(accounts_get_device(&accounts, T, BYTES_LITERAL("a1"), &room, &record), ACCOUNTS_DONE);
    cr_expect_eq(record.credential_count, 0);
    tap_close();
}

Test(enrolment, nothing_is_left_of_a_tenant_that_was_removed)
{
    struct batch_record batch = {.tenant = "acme", .id = "spring", .pattern = "*", .approval = BATCH_LIST};
    struct enrolment_question one = question_of("a1", 1, BATCH_LIST), two = question_of("a2", 2, BATCH_LIST);
    struct bytes serial = BYTES_LITERAL("a1");
    secret_set(&batch.secret, BYTES_LITERAL("0123456789abcdef"));
    cr_assert_eq(accounts_add_batch(&accounts, &batch, false), ACCOUNTS_DONE);
    cr_assert_eq(enrolment_approve_serials(&accounts, T, BYTES_LITERAL("spring"), &serial, 1), ACCOUNTS_DONE);
    cr_expect_eq(ask(&one, 1000).verdict, ENROLMENT_GIVEN);
    cr_expect_eq(ask(&two, 1000).verdict, ENROLMENT_WAITS);
    cr_assert_eq(accounts_remove_tenant(&accounts, T), ACCOUNTS_DONE);
    const struct store_reply *keys = redis_call(client, "KEYS weir:{acme}:*");
    cr_assert_eq(keys->count, 1);
    cr_expect(bytes_equal_text(keys->items[0].text, "weir:{acme}:audit"));
    /* Who was about to be answered leaves nothing either. */
    struct enrolment_question three = question_of("a3", 3, BATCH_AUTO);
    cr_expect_neq(ask(&three, 1001).verdict, ENROLMENT_GIVEN);
    cr_expect_eq(redis_call(client, "KEYS weir:{acme}:*")->count, 1);
}

/* A slot that moves tears the transaction; it is tried again, and nothing of the first try is left. */
static void ask_while_it_moves(const char *command, const char *says)
{
    struct enrolment_question mine = question_of("a1", 1, BATCH_MANUAL);
    struct enrolment_answer answer;
    tap_open_cluster(&redis, command, "enrol:a1", says);
    cr_expect_eq(enrolment_ask(&tapped, &mine, &policy, 1000, &answer), ACCOUNTS_DONE, "%s", tapped.error);
    cr_expect_eq(answer.verdict, ENROLMENT_WAITS);
    cr_expect_eq(count_used(), 1);
    tap_close();
}

Test(enrolment, slot_that_moves)
{
    ask_while_it_moves("HSET", "-MOVED 1 127.0.0.1:1\r\n");
}

Test(enrolment, slot_that_moves_half_way)
{
    ask_while_it_moves("WATCH", "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
}

static void confirm_in_time(void)
{
    cr_assert_eq(enrolment_confirm(&other, T, BYTES_LITERAL("a1"), bytes_of_text(meddled_key), &policy, 1099),
                 ACCOUNTS_DONE);
}

/* Another gateway, whose clock is behind, confirms it in the last moment. */
static void sweep_late(const char *key)
{
    size_t count;
    bool offered = true;
    int64_t not_after_s;
    struct enrolment_record record;
    strcpy(meddled_key, key);
    tap_open(&redis, "dev:a1", 1, confirm_in_time);
    cr_expect_eq(enrolment_sweep(&tapped, T, &policy, 1200, ENROLMENT_SWEEP_MAX, &count), ACCOUNTS_DONE);
    cr_expect(has_device("a1", key, &offered, &not_after_s) && !offered && not_after_s == 0);
    cr_expect_eq(enrolment_get(&accounts, T, BYTES_LITERAL("a1"), &record), ACCOUNTS_NOT_FOUND);
    tap_close();
}

Test(enrolment, device_that_was_used_in_the_last_moment_stays)
{
    struct enrolment_question mine = question_of("a1", 1, BATCH_AUTO);
    sweep_late(ask(&mine, 1000).key);
}

Test(enrolment, rotation_that_was_used_in_the_last_moment_stays)
{
    struct enrolment_question first = question_of("a1", 1, BATCH_AUTO);
    struct enrolment_answer old = ask(&first, 1000);
    struct enrolment_question next = rotation_of(&old, 2);
    sweep_late(ask(&next, 1000).key);
}

static void prolong(void)
{
    struct credential credential = {.kind = CREDENTIAL_PSK, .created_s = 5, .not_after_s = 5000};
    strcpy(credential.id, meddled_key);
    secret_set(&credential.secret, BYTES_LITERAL("secret-of-credential-0"));
    cr_assert_eq(accounts_put_credential(&other, T, BYTES_LITERAL("a1"), &credential, true), ACCOUNTS_DONE);
}

Test(enrolment, what_was_prolonged_makes_no_room)
{
    struct enrolment_question first = question_of("a1", 1, BATCH_AUTO);
    struct enrolment_answer old = ask(&first, 1000), none;
    struct enrolment_question next = rotation_of(&old, 2);
    bool offered;
    int64_t not_after_s;
    cr_assert_eq(enrolment_confirm(&accounts, T, BYTES_LITERAL("a1"), bytes_of_text(old.key), &policy, 1001),
                 ACCOUNTS_DONE);
    for (unsigned i = 0; i + 1 < CREDENTIALS_MAX; i++) {
        struct credential credential = {.kind = CREDENTIAL_PSK, .created_s = 5, .not_after_s = i == 0 ? 900 : 0};
        char secret[48];
        int len = snprintf(secret, sizeof secret, "secret-of-credential-%u", i);
        snprintf(credential.id, sizeof credential.id, "hand-%u", i);
        secret_set(&credential.secret, bytes_of(secret, (size_t)len));
        cr_assert_eq(accounts_put_credential(&accounts, T, BYTES_LITERAL("a1"), &credential, false), ACCOUNTS_DONE);
    }
    strcpy(meddled_key, "hand-0");
    tap_open(&redis, "dev:a1", 2, prolong); /* the first is for the new key, which finds no room */
    cr_expect_eq(enrolment_ask(&tapped, &next, &policy, 1010, &none), ACCOUNTS_DONE);
    cr_expect_eq(none.verdict, ENROLMENT_NO_ROOM);
    cr_expect(has_device("a1", "hand-0", &offered, &not_after_s) && not_after_s == 5000);
    tap_close();
}

Test(enrolment, damaged_record_stops_no_sweep)
{
    struct enrolment_question one = question_of("a1", 1, BATCH_AUTO), two = question_of("a2", 2, BATCH_AUTO),
                              three = question_of("a3", 3, BATCH_AUTO);
    struct enrolment_answer kept = ask(&one, 1000), gone = ask(&two, 1001), odd = ask(&three, 1000);
    bool offered;
    int64_t not_after_s;
    redis_call(client, "HSET weir:{acme}:dev:a1 created soon");
    redis_call(client, "DEL weir:{acme}:enrol:a3");
    redis_call(client, "SET weir:{acme}:enrol:a3 x");
    cr_expect_eq(sweep(1200), 3);
    cr_expect(!has_device("a2", gone.key, &offered, &not_after_s));
    cr_expect(has_device("a3", odd.key, &offered, &not_after_s) && offered);
    cr_expect_eq(sweep(1300), 0, "it is not told again and again");
    redis_call(client, "HSET weir:{acme}:dev:a1 created 1000");
    cr_expect(has_device("a1", kept.key, &offered, &not_after_s) && offered);
    cr_expect_eq(sweep(1200 + 86400 + 30), 2);
    cr_expect(!has_device("a1", kept.key, &offered, &not_after_s));
}

Test(enrolment, sweeps_no_more_than_it_may_and_all_in_the_end)
{
    size_t count = 0;
    for (unsigned i = 0; i < ENROLMENT_SWEEP_MAX + 6; i++) {
        char serial[16];
        snprintf(serial, sizeof serial, "w%u", i);
        struct enrolment_question question = question_of(serial, 1, BATCH_MANUAL);
        cr_assert_eq(ask(&question, 1000).verdict, ENROLMENT_WAITS);
    }
    /* One whose end is later than the list says does not stand before the others. */
    redis_call(client, "HSET weir:{acme}:enrol:w0 expires 9000");
    cr_assert_eq(enrolment_sweep(&accounts, T, &policy, 5000, 5, &count), ACCOUNTS_DONE);
    cr_expect_eq(count, 5);
    cr_expect_eq(sweep(5000), ENROLMENT_SWEEP_MAX);
    cr_expect_eq(sweep(5000), 1);
    cr_expect_eq(sweep(5000), 0);
    cr_expect_eq(sweep(9100), 1);
    cr_expect_eq(count_used(), 0);
}
