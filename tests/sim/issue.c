#include "issue.h"

#include <stdio.h>

#include "tlsa-sync/certify.h"

/* A CA dates back a little, and its clock is right. */
enum { BACKDATED_S = 600 };

static int64_t true_wall_s(const struct world *w)
{
	return SIM_EPOCH_S + w->t / 1000;
}

/* What danegate does with what the command printed: a chain for another key is refused. */
static bool install(struct drive *d, bool wrong_key)
{
	struct world *w = d->w;
	const struct issuing *run = &d->issuing;
	struct wgen *g = world_gen(w, run->instance, run->generation);
	if (g == NULL || wrong_key || w->instances[run->instance].down_until > w->t)
		return false;
	struct wcert *c = &g->certs[run->algorithm];
	c->serial++;
	c->self_signed = false;
	c->not_before_s = true_wall_s(w) - BACKDATED_S;
	c->not_after_s = c->not_before_s + d->cert_life_s;
	d->num_certificates++;
	return true;
}

void issue_start(struct drive *d, const struct decision *dec)
{
	struct world *w = d->w;
	struct fact_issue before = d->facts->issue;
	facts_issue_sent(d->facts, dec->instance, dec->generation, dec->algorithm, dec->tries, drive_now(d));
	if (!drive_save(d, "certify", dec->why)) {
		d->facts->issue = before; /* what is not on the disk has not been begun */
		return;
	}
	d->num_issues++;
	int fate = d->faults ? (int)rng_upto(&w->rng, 100) : 99;
	bool slow = fate >= 30 && fate < 45;
	d->issuing = (struct issuing){ true, dec->instance, dec->generation, dec->algorithm, ISSUE_FINE, 0 };
	if (fate < 12 || w->t < d->ca_down_until)
		d->issuing.fate = ISSUE_FAILS;
	else if (fate < 20)
		d->issuing.fate = ISSUE_WRONG_KEY;
	else if (fate < 30)
		d->issuing.fate = ISSUE_UNHEARD;
	d->issuing.ends = w->t + (slow ? rng_between(&w->rng, 60, 10000) : rng_between(&w->rng, 1, 20)) * 1000;
}

void issue_run(struct drive *d)
{
	static const char *const words[] = {
		[ISSUE_FINE] = "danegate gave no signing request: connection refused",
		[ISSUE_FAILS] = "exited with status 1: the CA does not answer",
		[ISSUE_WRONG_KEY] = "danegate refuses what the command printed: it is of another key",
		[ISSUE_UNHEARD] = "installing it: no answer",
	};
	struct issuing *run = &d->issuing;
	if (!run->runs || run->ends > d->w->t)
		return;
	enum outcome outcome = OUTCOME_FAILED;
	bool installed = run->fate != ISSUE_FAILS && install(d, run->fate == ISSUE_WRONG_KEY);
	if (run->fate == ISSUE_UNHEARD)
		outcome = OUTCOME_UNKNOWN;
	else if (installed)
		outcome = OUTCOME_OK;
	run->runs = false;
	facts_issue_done(d->facts, outcome, outcome == OUTCOME_OK ? "" : words[run->fate], drive_now(d));
	(void)drive_save(d, "certify done", outcome == OUTCOME_OK ? "installed" : words[run->fate]);
}

int64_t issue_wait_ms(const struct drive *d, int64_t ms)
{
	int64_t left = d->issuing.ends - d->w->t;
	return d->issuing.runs && left < ms ? (left > 0 ? left : 1) : ms;
}

bool issue_soon(struct drive *d)
{
	struct certify next;
	certify_next(d->facts, &d->policy, drive_now(d), &next);
	return d->issuing.runs || next.step != CERTIFY_IDLE || (next.wait_ms != 0 && next.wait_ms < rollover_gap_ms(&d->policy));
}

void issue_crash(struct drive *d)
{
	/* it may have come as far as to send the chain */
	if (d->issuing.runs && d->issuing.fate == ISSUE_FINE && rng_chance(&d->w->rng, 200))
		(void)install(d, false);
	d->issuing.runs = false;
}

void issue_restarted(struct drive *d)
{
	if (d->facts->issue.outcome == OUTCOME_SENT)
		facts_issue_done(d->facts, OUTCOME_UNKNOWN, "tlsa-sync ended while the issuer's command was running", drive_now(d));
}

/* At one moment from `early_s` to `late_s`. */
static bool good(const struct wgen *g, int64_t early_s, int64_t late_s)
{
	for (unsigned a = 0; a < KEY_NUM_ALGORITHMS; a++) {
		const struct wcert *c = &g->certs[a];
		if ((g->algorithms >> a & 1) && (c->self_signed || c->not_before_s > late_s || c->not_after_s <= early_s))
			return false;
	}
	return true;
}

void issue_check_swap(struct drive *d, unsigned instance, uint64_t generation)
{
	const struct fact_roll *r = &d->facts->roll;
	const struct wgen *g = world_gen(d->w, instance, generation);
	/* as tlsa-sync's own clock has it; it last looked a moment ago */
	int64_t late_s = drive_now(d).wall.s, early_s = late_s - rollover_fresh_ms(&d->policy) / 1000;
	if (d->policy.issuer == ISSUER_COMMAND && !r->emergency && r->rollback.count_ms == 0 && g != NULL &&
	    !good(g, early_s, late_s) && d->broken[0] == '\0')
		(void)snprintf(d->broken, sizeof d->broken, "at %lld s: a roll goes to a key without a valid certificate of the CA's",
		               (long long)(d->w->t / 1000));
}

bool issue_all_good(const struct drive *d)
{
	int64_t now_s = true_wall_s(d->w);
	for (unsigned i = 0; d->policy.issuer == ISSUER_COMMAND && i < d->w->num_instances; i++)
		if (!good(world_gen(d->w, i, d->w->instances[i].presented), now_s, now_s))
			return false;
	return true;
}
