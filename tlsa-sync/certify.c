#include "tlsa-sync/certify.h"

#include <string.h>

#include "tlsa-sync/decide.h"

int64_t certify_due_s(const struct policy *p, const struct fact_key *k)
{
	if (p->issuer != ISSUER_COMMAND)
		return INT64_MAX;
	if (!k->certified || k->self_signed)
		return 0;
	int64_t before_s = p->renew_before_s > 0 ? p->renew_before_s : (k->not_after.s - k->not_before.s) / 3;
	return k->not_after.s - before_s;
}

/* Is it presented, or about to be? */
static bool in_use(const struct facts *f, const struct fact_key *k)
{
	const struct fact_instance *in = &f->instances[k->instance];
	if (k->generation == in->active || k->generation == in->presented)
		return true;
	for (size_t i = 0; roll_moving(f) && f->roll.rollback.count_ms == 0 && i < f->roll.num_moves; i++)
		if (f->roll.moves[i].instance == k->instance && f->roll.moves[i].to == k->generation)
			return true;
	return false;
}

/* Has it reported lately, and does it still? */
static bool answers(const struct facts *f, unsigned instance)
{
	const struct fact_instance *in = &f->instances[instance];
	return in->failed.count_ms == 0 && in->heard.count_ms > f->clock.booted_ms;
}

static bool same_key(const struct fact_issue *last, const struct fact_key *k)
{
	return last->asked.count_ms != 0 && last->instance == k->instance && last->generation == k->generation &&
	       last->algorithm == k->algorithm;
}

/* The operator's request that this key's certificate be replaced, or NULL. */
static const struct fact_renewal *renewal_of(const struct facts *f, const struct fact_key *k)
{
	for (size_t i = 0; i < f->num_renewals; i++)
		if (memcmp(f->renewals[i].cert_sha256, k->cert_sha256, 32) == 0)
			return &f->renewals[i];
	return NULL;
}

/* Does this issuer leave anything to us? Danegate signs by itself, unless the operator asks. */
static bool concerned(const struct facts *f, const struct policy *p)
{
	return p->issuer == ISSUER_COMMAND || (p->issuer == ISSUER_SELF_SIGNED && f->num_renewals > 0);
}

/* Asked for since the last try: that one and its pause don't count. */
static bool asked_anew(const struct facts *f, const struct fact_key *k)
{
	const struct fact_renewal *r = renewal_of(f, k);
	return r != NULL && r->asked.count_ms > f->issue.asked.count_ms;
}

/* Was it due when it was issued? Then a new one will be too, so two such keys must not take turns at once. */
static bool always_due(const struct policy *p, const struct fact_key *k)
{
	return k->certified && !k->self_signed && certify_due_s(p, k) <= k->not_before.s;
}

static bool helped(const struct fact_issue *last, const struct policy *p, const struct fact_key *k)
{
	return last->outcome == OUTCOME_OK && !same_key(last, k) && !always_due(p, k);
}

static int64_t pause_ms(const struct policy *p, unsigned tries)
{
	int64_t s = p->retry_s > 0 ? p->retry_s : 1;
	if (tries == 0)
		return 0;
	for (unsigned i = 1; i < tries && s < CERTIFY_RETRY_MAX_S; i++)
		s *= 2;
	return (s < CERTIFY_RETRY_MAX_S ? s : CERTIFY_RETRY_MAX_S) * 1000;
}

static int64_t left_ms(const struct facts *f, const struct policy *p, struct stamp now)
{
	int64_t left = f->issue.done.count_ms + pause_ms(p, f->issue.tries) - now.count_ms;
	return left > 0 ? left : 0;
}

static unsigned tries_of_next(const struct fact_issue *last, const struct policy *p, const struct fact_key *k, struct stamp now)
{
	bool long_ago = now.count_ms - last->done.count_ms >= (int64_t)CERTIFY_RETRY_MAX_S * 1000;
	if (last->asked.count_ms == 0 || helped(last, p, k) || (last->outcome == OUTCOME_OK && long_ago))
		return 1;
	return last->tries < 1000 ? last->tries + 1 : last->tries;
}

static void about(struct certify *out, enum certify_step step, const struct fact_key *k)
{
	out->step = step;
	out->instance = k->instance;
	out->generation = k->generation;
	out->algorithm = k->algorithm;
}

/* Records made by somebody else may pin the certificate instead of the key (3 0 1, 2 1 1): another one
 * would match them no more. So while any cache may hold such, the key's own has to be in every cache. */
static bool certificate_pinned(const struct facts *f, const struct policy *p, const struct fact_key *k, struct stamp now)
{
	int64_t cached_s = 2 * (int64_t)age_ttl_s(f, p) + p->cache_margin_s;
	int64_t gone_ms = f->cert_pinned.count_ms + rollover_gap_ms(p) + (p->floor_s > cached_s ? p->floor_s : cached_s) * 1000;
	int d = facts_digest(f, k->spki_sha256);
	/* such a set does not serve the key, so the end of its signature is noted there */
	bool signed_still = p->wait == WAIT_SIGNATURES && d >= 0 &&
	                    (now.count_ms < f->digests[d].old_signature_count_ms || now.wall.s < f->digests[d].old_signature.s);
	return f->cert_pinned.count_ms != 0 && (now.count_ms < gone_ms || signed_still) &&
	       age_of(f, p, k->spki_sha256, now).reason != AGE_OLD;
}

/* Whether it does is known when every server has told what it has. One that gives no answer is waited for as long as
 * there may be such a record: until all was seen once, and ever after where there was one. */
static bool all_have_told(const struct facts *f)
{
	for (size_t s = 0; (f->rotated.s == 0 || f->cert_pinned.count_ms != 0) && s < f->num_servers; s++)
		if (f->servers[s].answered.count_ms == 0 || f->servers[s].silent.count_ms != 0)
			return false;
	return f->num_servers > 0;
}

static bool looked_lately(const struct facts *f, const struct policy *p, struct stamp now)
{
	return f->looked.count_ms > f->clock.booted_ms && now.count_ms - f->looked.count_ms <= rollover_fresh_ms(p);
}

static void about_last(struct certify *out, enum certify_step step, const struct fact_issue *last)
{
	*out = (struct certify){ .step = step, .instance = last->instance, .generation = last->generation,
		                 .algorithm = last->algorithm };
}

/* The next of the keys that are due, counted from the one tried last; NULL: none. Also
 * finds out when the first of the others will be. */
static const struct fact_key *next_due(const struct facts *f, const struct policy *p, struct stamp now,
                                       int64_t *out_wait_ms)
{
	const struct fact_key *found = NULL;
	size_t start = 0;
	for (size_t i = 0; i < f->num_keys; i++)
		if (same_key(&f->issue, &f->keys[i]))
			start = i + 1;
	*out_wait_ms = 0;
	for (size_t n = 0; n < f->num_keys; n++) {
		const struct fact_key *k = &f->keys[(start + n) % f->num_keys];
		int64_t due_s = renewal_of(f, k) != NULL ? 0 : certify_due_s(p, k);
		if (!in_use(f, k) || !answers(f, k->instance) || due_s == INT64_MAX || certificate_pinned(f, p, k, now))
			continue;
		if (due_s > now.wall.s) {
			int64_t wait_ms = (due_s - now.wall.s) * 1000;
			if (*out_wait_ms == 0 || wait_ms < *out_wait_ms)
				*out_wait_ms = wait_ms;
		} else if (found == NULL) {
			found = k;
		}
	}
	return found;
}

void certify_next(const struct facts *f, const struct policy *p, struct stamp now, struct certify *out)
{
	*out = (struct certify){ .step = CERTIFY_IDLE };
	const struct fact_issue *last = &f->issue;
	if (!concerned(f, p))
		return;
	if (last->asked.count_ms != 0 && last->outcome == OUTCOME_SENT) {
		about_last(out, CERTIFY_RUNNING, last);
		return;
	}
	/* The report may be older than what the command has brought. */
	if (last->asked.count_ms != 0 && last->outcome != OUTCOME_FAILED && answers(f, last->instance) &&
	    f->instances[last->instance].heard.count_ms <= last->done.count_ms) {
		about_last(out, CERTIFY_LOOK, last);
		return;
	}
	const struct fact_key *k = next_due(f, p, now, &out->wait_ms);
	if (k == NULL)
		return;
	bool anew = asked_anew(f, k);
	int64_t left = last->asked.count_ms == 0 || helped(last, p, k) || anew ? 0 : left_ms(f, p, now);
	bool looked = looked_lately(f, p, now);
	if (left == 0 && looked && !all_have_told(f))
		return;
	about(out, left > 0 ? CERTIFY_LATER : looked ? CERTIFY_RUN : CERTIFY_LOOK, k);
	out->wait_ms = left;
	out->tries = anew ? 1 : tries_of_next(last, p, k, now);
}

/* ---- words ---- */

static void key_words(const struct facts *f, const struct fact_key *k, struct why *out)
{
	(void)why_set(out, EC_OK, "the %s certificate of generation %llu of %s", key_algorithm_name(k->algorithm),
	              (unsigned long long)k->generation, f->instances[k->instance].name);
}

bool certify_trouble(const struct facts *f, const struct policy *p, struct stamp now, struct why *why)
{
	const struct fact_issue *last = &f->issue;
	if (!concerned(f, p) || last->asked.count_ms == 0 || last->outcome == OUTCOME_SENT)
		return false;
	struct certify next;
	certify_next(f, p, now, &next);
	if (next.step != CERTIFY_LATER && next.step != CERTIFY_RUN)
		return false;
	if (next.step == CERTIFY_RUN && (last->outcome == OUTCOME_OK || next.tries == 1))
		return false;
	/* No countdown: the words are to stay the same until something happens. */
	char again[WALL_TEXT_SIZE];
	wall_print(again, (struct wall){ last->done.wall.s + pause_ms(p, last->tries) / 1000 });
	(void)why_set(why, EC_OK, "%s (tried %u time%s; again at %s)",
	              last->outcome == OUTCOME_OK ? "the one just issued is due for renewal already: renew_before is longer than its life"
	                                          : last->words,
	              last->tries, last->tries == 1 ? "" : "s", again);
	return true;
}

/* What is being done about it, after what is wrong. */
static void progress_words(const struct facts *f, const struct policy *p, const struct fact_key *k, struct stamp now,
                           struct why *out)
{
	struct certify next;
	certify_next(f, p, now, &next);
	struct why trouble = { 0 };
	if (p->issuer == ISSUER_SELF_SIGNED)
		(void)why_set(out, EC_OK, "danegate signs it anew by itself");
	else if (p->issuer == ISSUER_FILES)
		(void)why_set(out, EC_OK, "put a valid one into the files of the identity");
	else if (!answers(f, k->instance))
		(void)why_set(out, EC_OK, "%s does not answer", f->instances[k->instance].name);
	else if (next.step == CERTIFY_RUNNING)
		(void)why_set(out, EC_OK, "the issuer's command is running");
	else if (certify_trouble(f, p, now, &trouble))
		*out = trouble;
	else if (certificate_pinned(f, p, k, now))
		(void)why_set(out, EC_OK, "the zone pins the one there is (3 0 1, 2 1 1): another one is got when no cache can "
		              "hold that");
	else if (!all_have_told(f))
		(void)why_set(out, EC_OK, "not before every server has told that it does not pin the one there is (3 0 1, 2 1 1)");
	else
		(void)why_set(out, EC_OK, "getting one");
}

/* ---- asked for ---- */

static size_t renew_all(struct facts *f, struct stamp now)
{
	static const uint8_t not_reported[32];
	size_t num = 0;
	for (size_t i = 0; i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		if (!in_use(f, k) || !k->certified || memcmp(k->cert_sha256, not_reported, 32) == 0)
			continue;
		num++;
		if (renewal_of(f, k) != NULL || f->num_renewals == FACT_RENEWALS)
			continue;
		struct fact_renewal *r = &f->renewals[f->num_renewals++];
		memcpy(r->cert_sha256, k->cert_sha256, 32);
		r->asked = now;
	}
	return num;
}

enum ec certify_renew(struct facts *f, const struct policy *p, struct stamp now, struct why *why)
{
	size_t before = f->num_renewals;
	if (p->issuer == ISSUER_FILES)
		return why_set(why, EC_UNSUPPORTED, "the certificate comes from files: put a new one there, of the same key, "
		               "and danegate takes it");
	if (renew_all(f, now) == 0)
		return why_set(why, EC_BUSY, "danegate has not reported a certificate yet: ask again in a moment");
	return why_set(why, EC_OK, "%s; the key and its records stay",
	               f->num_renewals == before         ? "that renewal is under way already"
	               : p->issuer == ISSUER_SELF_SIGNED ? "danegate signs the certificate anew"
	                                                 : "the issuer's command gets a new certificate");
}

bool certify_renewing(const struct facts *f, const struct policy *p, struct stamp now, struct why *why)
{
	for (size_t i = 0; i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		struct why progress = { 0 }, what = { 0 };
		if (renewal_of(f, k) == NULL)
			continue;
		if (p->issuer != ISSUER_SELF_SIGNED || !answers(f, k->instance))
			progress_words(f, p, k, now, &progress);
		else if (!certify_trouble(f, p, now, &progress))
			(void)why_set(&progress, EC_OK, "danegate signs it anew");
		key_words(f, k, &what);
		(void)why_set(why, EC_OK, "%.200s is replaced: %s", what.text, progress.text);
		return true;
	}
	return false;
}

bool certify_fit(const struct facts *f, const struct policy *p, const struct fact_key *k, bool hurry,
                 struct stamp now, struct why *why)
{
	char when[WALL_TEXT_SIZE];
	struct why what = { 0 }, progress = { 0 };
	key_words(f, k, &what);
	progress_words(f, p, k, now, &progress);
	if (!k->certified)
		(void)why_set(why, EC_OK, "generation %llu of %s has no certificate for its %s key yet: %s",
		              (unsigned long long)k->generation, f->instances[k->instance].name,
		              key_algorithm_name(k->algorithm), progress.text);
	else if (k->not_before.s > now.wall.s || k->not_after.s <= now.wall.s) {
		bool early = k->not_before.s > now.wall.s;
		wall_print(when, early ? k->not_before : k->not_after);
		(void)why_set(why, EC_OK, "%s is %s %s: %s", what.text, early ? "not valid before" : "expired since", when,
		              progress.text);
	} else if (p->issuer == ISSUER_COMMAND && k->self_signed && !hurry)
		(void)why_set(why, EC_OK, "%s is self-signed: %s", what.text, progress.text);
	else
		return true;
	return false;
}

/* ---- what the command printed ---- */

static const uint8_t *find(struct slice in, struct slice what)
{
	return in.len == 0 ? NULL : memmem(in.p, in.len, what.p, what.len);
}

static bool is_base64(struct slice body)
{
	size_t digits = 0;
	for (size_t i = 0; i < body.len; i++) {
		uint8_t c = body.p[i];
		bool digit = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (!digit && memchr("+/= \t\r\n", c, 7) == NULL)
			return false;
		digits += digit;
	}
	return digits > 0;
}

enum ec certify_chain(struct slice printed, struct bytes *out, struct why *why)
{
	static const struct slice begin = SLICE_LIT("-----BEGIN CERTIFICATE-----");
	static const struct slice end = SLICE_LIT("-----END CERTIFICATE-----");
	unsigned num = 0;
	for (const uint8_t *p; (p = find(printed, begin)) != NULL; num++) {
		struct slice block = slice_from(printed, (size_t)(p - printed.p));
		struct slice body = slice_from(block, begin.len);
		const uint8_t *stop = find(body, end);
		if (stop == NULL)
			return why_set(why, EC_SYNTAX, "certificate %u in what it printed is cut off", num + 1);
		body = slice_first(body, (size_t)(stop - body.p));
		if (!is_base64(body))
			return why_set(why, EC_SYNTAX, "certificate %u in what it printed is no PEM", num + 1);
		block = slice_first(block, begin.len + body.len + end.len);
		enum ec ec = bytes_append(out, block);
		if (ec == EC_OK)
			ec = bytes_append(out, SLICE_LIT("\n"));
		if (ec != EC_OK)
			return why_set(why, ec, "out of memory");
		printed = slice_from(printed, (size_t)(block.p - printed.p) + block.len);
	}
	return num > 0 ? EC_OK : why_set(why, EC_MISSING, "it printed no certificate (\"-----BEGIN CERTIFICATE-----\")");
}
