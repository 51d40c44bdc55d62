/* Owns:  how servers, records, moments and reasons are worded for people.
 * Never: decides anything.
 * Spec:  –
 * Start at: words_server. */
#ifndef TLSA_SYNC_WORDS_H
#define TLSA_SYNC_WORDS_H

#include "tlsa-sync/age.h"

enum { WORDS_SERVER = FACT_NAME + FACT_ADDRESS + 4, WORDS_RECORD = 64, WORDS_COUNTDOWN = 80 };

/* words_server writes "ns2.example.org (192.0.2.7)". */
void words_server(char out[WORDS_SERVER], const struct fact_server *s);

/* words_record writes "3 1 1 ab12cd34…": enough of it to be found. */
void words_record(char out[WORDS_RECORD], const struct tlsa *t);

/* words_until writes "14:05:00Z (in 1h3m)", with the date when it is not today. */
void words_until(char out[WORDS_COUNTDOWN], struct stamp now, int64_t left_ms);

/* words_age says why a digest is not old enough. */
void words_age(const struct facts *f, const struct policy *p, const struct age *age, struct stamp now,
               struct why *out);

/* words_lacking says what is wrong with one server's answers: silent, bogus, without
 * the record, not yet often enough, or something in the way. */
void words_lacking(const struct facts *f, const struct policy *p, unsigned server, const struct tlsa_set *wanted,
                   struct stamp now, struct why *out);

/* words_keep cuts `in` to what fits `size`, for texts put together of others. */
void words_keep(char *out, size_t size, const char *in);

#endif
