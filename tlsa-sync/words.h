/* Owns:  how servers, records, moments and reasons are worded for people.
 * Never: decides anything.
 * Spec:  –
 * Start at: words_server. */
#ifndef TLSA_SYNC_WORDS_H
#define TLSA_SYNC_WORDS_H

#include "tlsa-sync/age.h"

enum { WORDS_SERVER = FACT_NAME + FACT_ADDRESS + 4, WORDS_RECORD = 64, WORDS_COUNTDOWN = 80, WORDS_LEFT = 32 };

/* words_server writes "ns2.example.org (192.0.2.7)". */
void words_server(char out[WORDS_SERVER], const struct fact_server *s);

/* words_record writes "3 1 1 ab12cd34…": enough of it to be found. */
void words_record(char out[WORDS_RECORD], const struct tlsa *t);

/* words_left writes how long it is to something, in the coarsest unit that says enough
 * and rounded up, so that it changes seldom: "3 days", "5 hours", "12 minutes", "40 s". */
void words_left(char out[WORDS_LEFT], int64_t seconds);

/* words_until writes "14:05:00Z (in 2 hours)", with the date when it is not today. */
void words_until(char out[WORDS_COUNTDOWN], struct stamp now, int64_t left_ms);

/* words_age says why a digest is not old enough. */
void words_age(const struct facts *f, const struct policy *p, const struct age *age, struct stamp now,
               struct why *out);

/* words_lacking says what is wrong with one server's answers: silent, bogus, without
 * the record, not yet often enough, or something in the way. */
void words_lacking(const struct facts *f, const struct policy *p, unsigned server, const struct tlsa_set *wanted,
                   struct stamp now, struct why *out);

/* words_in_the_way: is it somebody else's record, that a client may go by, of a kind of which
 * our keys have none? words_foreign says of such a record whether it belongs to what is
 * presented now. Static. */
bool words_in_the_way(const struct facts *f, const struct tlsa_set *wanted, const struct tlsa *t);
const char *words_foreign(const struct facts *f, const struct tlsa *t);

/* words_exposed says how long the key that an emergency gives up may still be trusted. */
void words_exposed(const struct facts *f, const struct policy *p, struct stamp now, struct why *out);

/* words_keep cuts `in` to what fits `size`, for texts put together of others. */
void words_keep(char *out, size_t size, const char *in);

#endif
