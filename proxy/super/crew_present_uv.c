/* Keys: `now` is what every worker must hold; a worker that starts gets all of it,
 * so "all running workers acknowledged `epoch`" is the whole condition. One that holds
 * the epoch before gets only what changed, in parts, each sent when the one before
 * has been written.
 *   crew_present: now -> previous, the new one -> now, epoch + 1, feed all
 *     all acknowledged, and commit succeeds  -> done(EC_OK)
 *     commit fails, one can't, or stands still -> previous -> now, epoch + 1, feed all
 *         all acknowledged                   -> done(error)
 *         one can't, or stands still         -> that worker is ended; done(error)
 * Lines are taken in order, and the way back is the same list of names, fit for a
 * worker that took the change and for one that did not: so a slow one ends with the
 * right keys, too. */
#include "proxy/super/crew_parts_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what every worker must hold ------------------------------------------ */

static void present_on_timer(uv_timer_t *t);

/* crew_feed_more sends the next part, if one is due; that the part before has been
 * written is progress. */
void crew_feed_more(struct crew *c, struct hand *h)
{
	struct bytes line = { 0 };
	if (!h->feeding || !child_is_up(&h->child))
		return;
	if (c->phase != CREW_STEADY)
		uv_timer_start(&c->ack_timer, present_on_timer, CREW_ACK_MS, 0);
	enum ec ec = feed_next(&h->feed, &line, &h->feeding);
	if (ec == EC_OK) {
		child_send(&h->child, bytes_slice(&line));
	} else {
		h->feeding = false;
		crew_mishap(c, h, "ended: there is no memory to give it its keys");
		child_kill(&h->child);
	}
	bytes_fini(&line);
}

/* crew_feed begins to bring a worker to `now`. One that acknowledged the epoch before
 * holds that, or on the way back perhaps already the one after it. */
void crew_feed(struct crew *c, struct hand *h)
{
	h->feeding = c->now.standard != NULL;
	h->feed = (struct feed){ .to = &c->now, .epoch = c->epoch, .seed = c->seed };
	unsigned steps = c->phase == CREW_BACK ? 2 : 1;
	if (c->phase != CREW_STEADY && h->acked != 0 && h->acked + steps >= c->epoch) {
		h->feed.changed = (const char *const *)c->changed;
		h->feed.num_changed = c->num_changed;
		for (unsigned i = 1; i <= steps; i++)
			h->feed.base[h->feed.num_base++] = c->epoch - i;
	}
	crew_feed_more(c, h);
}

/* --- presenting keys ------------------------------------------------------- */

static void changed_free(struct crew *c)
{
	for (size_t i = 0; i < c->num_changed; i++)
		free(c->changed[i]);
	free(c->changed);
	c->changed = NULL;
	c->num_changed = 0;
}

void crew_present_end(struct crew *c)
{
	crew_presented *done = c->presented;
	struct why why = c->failed_why;
	c->phase = CREW_STEADY;
	c->presented = NULL;
	uv_timer_stop(&c->ack_timer);
	/* Unless all is well, some worker was in the middle of it. */
	for (unsigned i = 0; i < c->num; i++)
		if (c->hands[i].feed.changed != NULL || c->now.standard == NULL)
			c->hands[i].feeding = false;
	holding_fini(&c->previous);
	changed_free(c);
	if (done != NULL)
		done(c->presented_arg, c->failed, &why);
}

static void present_send(struct crew *c, enum crew_phase phase)
{
	c->phase = phase;
	c->epoch++;
	uv_timer_start(&c->ack_timer, present_on_timer, CREW_ACK_MS, 0);
	for (unsigned i = 0; i < c->num; i++)
		crew_feed(c, &c->hands[i]);
}

/* present_back gives all workers what they had. Before the first keys there is
 * nothing to go back to, and nobody listens yet: the failed ones are forgotten. */
static void present_back(struct crew *c, enum ec ec, const char *why)
{
	c->failed = ec;
	(void)why_set(&c->failed_why, ec, "%s", why);
	holding_fini(&c->now);
	c->now = c->previous;
	c->previous = (struct holding){ 0 };
	present_send(c, CREW_BACK);
	if (c->now.standard == NULL)
		crew_present_end(c);
	else
		crew_present_check(c);
}

static bool all_acked(const struct crew *c)
{
	bool any = false;
	for (unsigned i = 0; i < c->num; i++) {
		if (!child_is_up(&c->hands[i].child))
			continue;
		if (c->hands[i].acked != c->epoch)
			return false;
		any = true;
	}
	return any;
}

void crew_present_check(struct crew *c)
{
	if (c->phase == CREW_STEADY || !all_acked(c))
		return;
	struct why why = { 0 };
	enum ec ec = c->phase == CREW_FORWARD && c->commit != NULL ? c->commit(c->presented_arg, &why) : EC_OK;
	if (ec == EC_OK)
		crew_present_end(c);
	else
		present_back(c, ec, why.text);
}

static void present_on_timer(uv_timer_t *t)
{
	struct crew *c = t->data;
	struct why why;
	unsigned silent = 0;
	for (unsigned i = 0; i < c->num; i++)
		if (child_is_up(&c->hands[i].child) && c->hands[i].acked != c->epoch)
			silent++;
	(void)why_set(&why, EC_TIMEOUT, silent > 0 ? "%u of %u workers did not take the new keys within %d s" :
	              "none of the workers runs (%u of %u answered within %d s)", silent, c->num, CREW_ACK_MS / 1000);
	if (c->phase == CREW_FORWARD) {
		present_back(c, EC_TIMEOUT, why.text);
		return;
	}
	for (unsigned i = 0; i < c->num; i++) {
		struct hand *h = &c->hands[i];
		if (child_is_up(&h->child) && h->acked != c->epoch) {
			crew_mishap(c, h, "ended: it did not go back to the keys in force");
			child_kill(&h->child);
		}
	}
	crew_present_end(c);
}

/* changed_list notes the names; on failure changed_free is due. */
static enum ec changed_list(struct crew *c, const struct crew_change *change)
{
	c->changed = calloc(change->num_parcels + change->num_gone + 1, sizeof *c->changed);
	if (c->changed == NULL)
		return EC_NO_MEMORY;
	for (size_t i = 0; i < change->num_parcels + change->num_gone; i++) {
		const char *name = i < change->num_parcels ? change->parcels[i]->item.name : change->gone[i - change->num_parcels];
		c->changed[i] = strdup(name);
		if (c->changed[i] == NULL)
			return EC_NO_MEMORY;
		c->num_changed++;
	}
	return EC_OK;
}

/* next_holding makes what comes after `now`. */
static enum ec next_holding(const struct crew *c, const struct crew_change *change, struct holding *out)
{
	enum ec ec = holding_copy(&c->now, out);
	free(out->standard);
	out->standard = strdup(change->standard);
	if (out->standard == NULL)
		ec = EC_NO_MEMORY;
	for (size_t i = 0; ec == EC_OK && i < change->num_parcels; i++)
		ec = names_put(&out->parcels, &change->parcels[i]->item);
	for (size_t i = 0; ec == EC_OK && i < change->num_gone; i++)
		ec = names_remove(&out->parcels, slice_str(change->gone[i]));
	return ec;
}

enum ec crew_present(struct crew *c, const struct crew_change *change, crew_commit *commit, crew_presented *done, void *arg)
{
	struct holding next = { 0 };
	enum ec ec = changed_list(c, change);
	if (ec == EC_OK)
		ec = next_holding(c, change, &next);
	if (ec != EC_OK) {
		holding_fini(&next);
		changed_free(c);
		return ec;
	}
	hex_encode(c->seed, slice_of(change->seed, SNAPSHOT_SEED_SIZE));
	c->commit = commit;
	c->presented = done;
	c->presented_arg = arg;
	c->failed = EC_OK;
	c->failed_why = (struct why){ 0 };
	c->previous = c->now;
	c->now = next;
	present_send(c, CREW_FORWARD);
	return EC_OK;
}

uint64_t crew_epoch(const struct crew *c)
{
	return c->epoch;
}

void crew_present_nack(struct crew *c, struct hand *h, const char *why)
{
	crew_mishap(c, h, why);
	if (c->phase == CREW_FORWARD) {
		char text[WHY_SIZE];
		(void)snprintf(text, sizeof text, "worker %u could not take the keys: %s", h->number, why);
		present_back(c, EC_TLS, text);
		return;
	}
	/* It can't hold what all others hold: a new process may. */
	child_kill(&h->child);
}

void crew_present_fini(struct crew *c)
{
	holding_fini(&c->now);
	holding_fini(&c->previous);
	changed_free(c);
	wipe(c->seed, sizeof c->seed);
}
