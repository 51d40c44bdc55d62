/* Changing algorithms and forms of record, taking over a zone, instances that come and
 * go: as histories, with every cache that may still hold something. */
#include "history.h"
#include "tlsa-sync/plan.h"
#include "tlsa-sync/words.h"

enum { ECDSA = 1u << KEY_ECDSA_P256, BOTH_KEYS = ECDSA | 1u << KEY_RSA_3072 };
enum { F311 = 1u << FORM_311, F312 = 1u << FORM_312 };

/* Instances that report all their digests. */
static struct fix *make(void **state)
{
	struct fix *x = world(state);
	x->sha512 = true;
	return x;
}

static struct fix *settled(void **state)
{
	struct fix *x = make(state);
	live(x, RO_STEADY, RA_NONE);
	return x;
}

/* A rotation of them, as far as this. */
static struct fix *rolling(void **state, enum rollover_state at, enum rollover_action action)
{
	struct fix *x = settled(state);
	rotate(x);
	live(x, at, action);
	return x;
}

static struct tlsa record_312(unsigned instance, uint64_t generation)
{
	struct tlsa t = { .usage = TLSA_DANE_EE, .selector = TLSA_SPKI, .matching = TLSA_SHA512, .len = 64 };
	fix_spki(t.data, instance, generation, 0);
	return t;
}

static unsigned num_of(const struct tlsa_set *set, uint8_t matching)
{
	unsigned num = 0;
	for (size_t i = 0; i < set->num; i++)
		num += set->items[i].matching == matching;
	return num;
}

/* ---- algorithms ---- */

static void an_algorithm_is_added(void **state)
{
	struct fix *x = settled(state);
	x->algorithms = BOTH_KEYS;
	look_after(x, 300);
	assert_int_equal(fix_decide(x)->mark, RM_WITHDRAW); /* the standby is of the old list */
	live(x, RO_RETIRING, RA_UPDATE);
	assert_int_equal(x->d.deletes.num, 2);
	live(x, RO_PREPARING, RA_PREPARE);
	live(x, RO_STEADY, RA_NONE);
	assert_int_equal(x->active[0], 7);
	assert_int_equal(x->standby[0], 9);
	assert_int_equal(x->served[0].num, 6); /* one key now, two to come, of each instance */
	x->p.rotate_every_s = 90 * 86400;
	fix_decide(x);
	HAS(x->d.why, "it brings the new list of algorithms");
	x->p.rotate_every_s = 0;
	rotate(x);
	live(x, RO_HOLDING, RA_NONE);
	assert_int_equal(x->active[1], 9);
	live(x, RO_STEADY, RA_NONE);
	assert_int_equal(fix_algorithms(x, x->active[0]), BOTH_KEYS);
	assert_int_equal(fix_algorithms(x, x->standby[0]), BOTH_KEYS);
	assert_int_equal(x->served[0].num, 8);
	/* and away again */
	x->algorithms = ECDSA;
	look_after(x, 300);
	live(x, RO_STEADY, RA_NONE);
	assert_int_equal(x->served[0].num, 6);
	rotate(x);
	roll(x);
	assert_int_equal(x->served[0].num, 4);
}

/* Both records of the next generation must be old, not just one of them. */
static void each_algorithm_is_waited_for(void **state)
{
	struct fix *x = settled(state);
	x->algorithms = BOTH_KEYS;
	look_after(x, 300);
	live(x, RO_AGEING, RA_NONE);
	struct tlsa rsa = fix_record(0, 9, KEY_RSA_3072);
	for (unsigned s = 0; s < 3; s++)
		assert_true(serves(x, s, rsa));
	fix_pass(x, 7000);
	take_out(x, 1, rsa); /* somebody takes one of them out */
	fix_look(x);
	assert_int_equal(check_swap(x, 0, 9), EC_INVARIANT);
	rotate(x);
	int64_t lost = caches_now(x);
	live(x, RO_SWAPPING, RA_SWAP);
	assert_true(caches_now(x) - lost >= 7200);
}

/* A roll that has begun goes on with what it began with; an emergency too. */
static void algorithms_wait_for_a_roll(void **state)
{
	struct fix *x = rolling(state, RO_SWAPPING, RA_SWAP);
	x->algorithms = BOTH_KEYS;
	look_after(x, 6);
	live(x, RO_HOLDING, RA_NONE);
	assert_int_equal(x->active[0], 8);
	live(x, RO_STEADY, RA_NONE);
	assert_int_equal(fix_algorithms(x, x->standby[0]), BOTH_KEYS);
}

static void an_instance_that_does_not_say_is_left_alone(void **state)
{
	struct fix *x = settled(state);
	x->algorithms = 0; /* files, or an older danegate */
	look_after(x, 300);
	assert_int_equal(fix_decide(x)->state, RO_STEADY);
	assert_int_equal(x->f->num_withdrawn, 0);
}

/* ---- forms of record: RFC 7671 8.3 ---- */

static void a_form_is_added_for_every_key_at_once(void **state)
{
	struct fix *x = settled(state);
	x->p.forms = F311 | F312;
	look_after(x, 300);
	live(x, RO_PUBLISHING, RA_UPDATE);
	assert_int_equal(num_of(&x->d.adds, TLSA_SHA512), 4); /* presented and next, of both instances */
	struct tlsa_set part = x->d.adds;
	struct tlsa t = record_312(1, 7);
	assert_true(tlsa_set_remove(&part, &t));
	assert_int_equal(check_adds(x, &part), EC_INVARIANT);
	HAS(x->said.text, "in use, is not among the records added");
	live(x, RO_STEADY, RA_NONE);
	assert_int_equal(x->served[0].num, 8);
	rotate(x);
	roll(x);
	assert_int_equal(x->active[0], 8);
	assert_int_equal(x->served[0].num, 8);
}

static void a_form_is_replaced(void **state)
{
	struct fix *x = settled(state);
	x->p.forms = F312;
	look_after(x, 300);
	live(x, RO_PUBLISHING, RA_UPDATE);
	assert_int_equal(x->d.deletes.num, 0); /* first the new form, and the old one stays */
	int64_t added = caches_now(x);
	live(x, RO_AGEING, RA_NONE);
	HAS(x->d.why, "every key has its record in the new form; caches may hold a set without it until ");
	HAS(x->d.why, "then the 3 1 1 records go");
	live(x, RO_RETIRING, RA_UPDATE);
	assert_true(caches_now(x) - added >= 7200);
	assert_int_equal(x->d.deletes.num, 4); /* all of that form at once */
	struct tlsa_set part = x->d.deletes;
	struct tlsa t = fix_record(0, 8, 0);
	assert_true(tlsa_set_remove(&part, &t));
	assert_int_equal(check_deletes(x, &part), EC_INVARIANT);
	live(x, RO_STEADY, RA_NONE);
	assert_int_equal(num_of(&x->served[0], TLSA_SHA256), 0);
	assert_int_equal(num_of(&x->served[0], TLSA_SHA512), 4);
	rotate(x);
	roll(x);
	assert_int_equal(x->active[1], 8);
	assert_int_equal(num_of(&x->served[0], TLSA_SHA256), 0);
}

/* The old form does not go while a server lacks the new one. */
static void a_lagging_server_holds_the_old_form(void **state)
{
	struct fix *x = settled(state);
	struct tlsa_set old = x->served[2];
	x->p.forms = F312;
	look_after(x, 300);
	live(x, RO_PUBLISHING, RA_UPDATE);
	struct tlsa_set both = old;
	assert_int_equal(tlsa_set_union(&both, &x->d.adds), EC_OK);
	send_change(x, OUTCOME_OK, NULL);
	x->served[0] = x->served[1] = both;
	for (int n = 0; n < 30; n++) {
		look_after(x, 300);
		assert_int_not_equal(fix_decide(x)->action == RA_UPDATE && x->d.deletes.num > 0, true);
	}
	assert_int_equal(x->d.state, RO_SPREADING);
	HAS(x->d.why, "ns2.example.org (192.0.2.7) still serves serial 41 without 3 1 2");
	fix_probe(x);
	assert_int_equal(check_deletes(x, &old), EC_INVARIANT);
}

static void forms_changed_back_and_forth(void **state)
{
	struct fix *x = settled(state);
	static const unsigned forms[] = { F312, F311, F311 | F312, F312, F311 };
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		x->p.forms = forms[i];
		look_after(x, 30);
		if (i % 2 == 0) { /* half way, and then another mind */
			live(x, RO_AGEING, RA_NONE);
			continue;
		}
		live(x, RO_STEADY, RA_NONE);
		rotate(x);
		live(x, RO_HOLDING, RA_NONE);
	}
	live(x, RO_STEADY, RA_NONE);
	assert_int_equal(num_of(&x->served[0], TLSA_SHA256), 4);
	assert_int_equal(num_of(&x->served[0], TLSA_SHA512), 0);
}

static void forms_wait_for_a_roll(void **state)
{
	struct fix *x = rolling(state, RO_SWAPPING, RA_SWAP);
	x->p.forms = F311 | F312;
	live(x, RO_HOLDING, RA_NONE);
	assert_int_equal(num_of(&x->served[0], TLSA_SHA512), 0);
	live(x, RO_STEADY, RA_NONE);
	assert_int_equal(num_of(&x->served[0], TLSA_SHA512), 4);
}

/* A key whose 3 1 2 record is missing is not in every cache, though its 3 1 1 is. RFC 7671 9. */
static void one_form_is_not_enough(void **state)
{
	struct fix *x = make(state);
	x->p.forms = F311 | F312;
	live(x, RO_STEADY, RA_NONE);
	assert_int_equal(check_swap(x, 0, 8), EC_OK);
	take_out(x, 1, record_312(0, 8));
	look_after(x, 1);
	assert_int_equal(check_swap(x, 0, 8), EC_INVARIANT);
	uint8_t spki[32];
	fix_spki(spki, 0, 8, 0);
	assert_int_equal(age_of(x->f, &x->p, spki, fix_now(x)).reason, AGE_NO_PROOF);
}

static void a_stranger_keeps_the_old_form(void **state)
{
	struct fix *x = settled(state);
	struct tlsa t = fix_record(200, 1, 0);
	publish_by_hand(x, t);
	x->p.forms = F312;
	look_after(x, 300);
	live(x, RO_RETIRING, RA_NONE);
	HAS(x->d.why, "3 1 1 c901005a..., which is not ours: our records of that kind can't go before it does");
	struct tlsa_set ours = x->served[0];
	for (size_t i = ours.num; i-- > 0;)
		if (ours.items[i].matching != TLSA_SHA256 || tlsa_eq(&ours.items[i], &t))
			assert_true(tlsa_set_remove(&ours, &ours.items[i]));
	assert_int_equal(ours.num, 4);
	fix_look(x);
	fix_probe(x);
	assert_int_equal(check_deletes(x, &ours), EC_INVARIANT);
	x->p.own_rrset = true;
	live(x, RO_STEADY, RA_NONE);
	assert_int_equal(x->served[0].num, 4);
}

static void a_form_needs_its_digest(void **state)
{
	struct fix *x = make(state);
	x->sha512 = false; /* an older danegate */
	x->p.forms = F311 | F312;
	(void)fix_until(x, RO_PREPARING, RA_PREPARE, 50);
	fix_decide(x);
	HAS(x->d.why, "needs a newer danegate");
}

/* ---- taking over ---- */

static void hand_made_311_is_adopted(void **state)
{
	struct fix *x = make(state);
	for (unsigned i = 0; i < 2; i++)
		publish_by_hand(x, fix_record(i, 7, 0));
	live(x, RO_STEADY, RA_NONE);
	assert_int_equal(x->d.num_alarms, 0);
	assert_int_equal(x->served[0].num, 4);
	rotate(x);
	roll(x);
	assert_int_equal(x->served[0].num, 4);
	assert_false(serves(x, 0, fix_record(0, 7, 0)));
}

static const struct {
	const char *name;
	uint8_t usage, selector, matching;
	bool fits;
	const char *words;
} strange[] = {
	{ "3 0 1 of the certificate", 3, 0, 1, true, "it matches the certificate presented now, and will match neither its renewal nor" },
	{ "3 0 1 of another", 3, 0, 1, false, "it matches nothing that is presented" },
	{ "2 1 1 of the issuer", 2, 1, 1, true, "it matches the issuer of the certificate presented now" },
	{ "2 1 1 of another", 2, 1, 1, false, "not known to match what is presented" },
	{ "3 1 2 of the key", 3, 1, 2, true, "it matches the key presented now, and will not match the next" },
};

static struct tlsa strange_record(size_t i)
{
	struct tlsa t = { .usage = strange[i].usage, .selector = strange[i].selector, .matching = strange[i].matching, .len = 32 };
	if (t.matching == TLSA_SHA512)
		t = record_312(0, 7);
	else if (t.usage == TLSA_DANE_TA)
		memset(t.data, strange[i].fits ? 0xca : 0x11, 32);
	else if (strange[i].fits)
		fix_cert(t.data, 0, 7, 0);
	else
		memset(t.data, 0x22, 32);
	return t;
}

static struct fix *one_instance(void **state)
{
	static const char *const names[] = { "edge-1" };
	struct fix *x = make(state);
	x->num_instances = 1;
	assert_int_equal(facts_set_instances(x->f, names, 1), EC_OK);
	return x;
}

/* Without own_rrset it is reported, left where it is, and no key is changed before it. */
static void strange_records_are_left_and_hold_the_roll(void **state)
{
	for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
		struct fix *x = one_instance(state);
		struct tlsa t = strange_record(i), mine = fix_record(0, 7, 0);
		publish_by_hand(x, t);
		publish_by_hand(x, mine);
		rotate(x);
		for (int n = 0; n < 3000; n++) {
			assert_false(fix_until(x, RO_SWAPPING, RA_SWAP, 1));
			if (x->d.deletes.num != 0)
				fail_msg("%s is deleted", strange[i].name);
		}
		if (x->d.state != RO_SPREADING || strstr(x->d.why, strange[i].words) == NULL ||
		    strstr(x->d.why, "remove it, or set own_rrset") == NULL)
			fail_msg("%s: %s", strange[i].name, x->d.why);
		char start[16];
		(void)snprintf(start, sizeof start, "%u %u %u ", t.usage, t.selector, t.matching);
		HAS(x->d.why, start);
		HAS(x->d.alarms[0], strange[i].words);
		assert_int_equal(x->active[0], 7);
		assert_int_equal(check_swap(x, 0, 8), EC_INVARIANT);
		struct tlsa_set deletes = { 0 };
		assert_int_equal(tlsa_set_add(&deletes, &t), EC_OK);
		assert_int_equal(check_deletes(x, &deletes), EC_INVARIANT);
	}
}

/* With it they go: ours are published first, everywhere; and the next key waits until no
 * cache holds them any more. */
static void strange_records_go_in_order(void **state)
{
	for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
		for (int alone = 0; alone < 2; alone++) {
			struct fix *x = one_instance(state);
			struct tlsa t = strange_record(i), mine = fix_record(0, 7, 0);
			publish_by_hand(x, t);
			if (alone == 0)
				publish_by_hand(x, mine);
			x->p.own_rrset = true;
			rotate(x);
			if (!strange[i].fits) {
				/* senders were already failing: nothing of ours made it so, or can mend what they hold */
				assert_true(fix_until(x, RO_RETIRING, RA_UPDATE, 3000));
				assert_true(tlsa_set_covers(&x->served[2], &x->d.wanted));
				assert_true(fix_until(x, RO_SWAPPING, RA_SWAP, 3000));
				continue;
			}
			live(x, RO_RETIRING, RA_UPDATE);
			assert_true(tlsa_set_covers(&x->served[2], &x->d.wanted));
			assert_int_equal(x->d.deletes.num, 1);
			int64_t sent = caches_now(x);
			live(x, RO_SWAPPING, RA_SWAP);
			assert_true(caches_now(x) - sent >= 7200);
			roll(x);
			assert_int_equal(x->served[0].num, 2);
		}
	}
}

/* ---- instances come and go ---- */

static void set_instances(struct fix *x, unsigned num)
{
	static const char *const names[] = { "edge-1", "edge-2", "edge-3" };
	assert_int_equal(facts_set_instances(x->f, names, num), EC_OK);
	x->num_instances = num;
	fix_find(x);
}

/* While it joins it presents a key that DNS does not have: danegate's own guard keeps it from
 * doing so before. So the check begins when its record is there. */
static void an_instance_joins_during_a_roll(void **state)
{
	static const struct {
		enum rollover_state state;
		enum rollover_action action;
	} when[] = { { RO_SWAPPING, RA_SWAP }, { RO_SWAPPING, RA_PROBE }, { RO_HOLDING, RA_NONE }, { RO_RETIRING, RA_UPDATE } };
	for (size_t i = 0; i < sizeof when / sizeof when[0]; i++) {
		struct fix *x = rolling(state, when[i].state, when[i].action);
		x->active[2] = 3;
		set_instances(x, 3);
		assert_true(fix_until(x, RO_PUBLISHING, RA_UPDATE, 50));
		struct tlsa t = fix_record(2, 3, 0);
		assert_true(tlsa_set_has(&x->d.adds, &t));
		assert_true(fix_until(x, RO_STEADY, RA_NONE, 4000));
		assert_int_equal(x->active[0], 8);
		assert_int_equal(x->active[2], 3); /* it was not part of that roll */
		assert_int_equal(x->standby[2], 4);
		assert_int_equal(x->served[0].num, 6);
		memset(&caches, 0, sizeof caches);
		rotate(x);
		live(x, RO_HOLDING, RA_NONE);
		assert_int_equal(x->active[2], 4);
	}
}

static void an_instance_leaves_during_a_roll(void **state)
{
	struct fix *x = rolling(state, RO_SWAPPING, RA_SWAP);
	down(x, 1);
	/* it is taken out of the configuration; but its address still answers, with its key */
	set_instances(x, 1);
	static const char *const addresses[] = { "203.0.113.9:25", "[2001:db8::9]:25" };
	assert_int_equal(facts_set_addresses(x->f, addresses, 2), EC_OK);
	bool named = false;
	for (int n = 0; n < 300; n++) {
		presents(x, addresses[1], SNI_RIGHT, 1, 7);
		assert_false(fix_until(x, RO_RETIRING, RA_UPDATE, 1));
		assert_int_equal(facts_set_addresses(x->f, addresses, 2), EC_OK);
		named = named || strstr(x->d.why, "[2001:db8::9]:25 presents a key that no instance knows") != NULL;
	}
	assert_true(named);
	assert_true(serves(x, 0, fix_record(1, 7, 0))); /* so its record stays */
	assert_int_equal(facts_set_addresses(x->f, addresses, 1), EC_OK);
	live(x, RO_STEADY, RA_NONE);
	assert_int_equal(x->served[0].num, 2);
}

static void an_instance_down_holds_the_roll(void **state)
{
	struct fix *x = rolling(state, RO_SWAPPING, RA_SWAP);
	swapped(x, 0);
	for (int n = 0; n < 100; n++) {
		look_at_servers(x, 60);
		assert_int_equal(fix_report(x, 0), EC_OK);
		down(x, 1);
		fix_decide(x);
		assert_int_equal(x->d.state, RO_SWAPPING);
		assert_true(x->d.action == RA_NONE || x->d.action == RA_FIND);
		HAS(x->d.why, "edge-2");
		assert_int_equal(x->d.wanted.num, 4); /* the union stays */
		fix_find(x);
	}
	roll(x); /* it is back */
	assert_int_equal(x->active[1], 8);
}

static void one_host_rolls_at_a_time(void **state)
{
	struct fix *x = settled(state);
	assert_false(rollover_rolling(x->f));
	rotate(x);
	assert_false(rollover_rolling(x->f)); /* asked for, not begun: it keeps nobody waiting */
	x->p.blocked = "mx2.example.org is rolling";
	fix_decide(x);
	HAS(x->d.why, "mx2.example.org is rolling");
	x->p.blocked = NULL;
	live(x, RO_SWAPPING, RA_SWAP);
	assert_true(rollover_rolling(x->f));
	live(x, RO_RETIRING, RA_UPDATE);
	assert_true(rollover_rolling(x->f)); /* to the very end */
	live(x, RO_STEADY, RA_NONE);
	assert_false(rollover_rolling(x->f));
}

/* ---- what the plan says of all that ---- */

static void plans_end(void **state)
{
	struct plan plan;
	struct fix *x = settled(state);
	x->p.forms = F312;
	assert_int_equal(rollover_plan(x->f, &x->p, fix_now(x), false, &plan), EC_OK);
	static const enum rollover_state forms[] = { RO_PUBLISHING, RO_SPREADING, RO_AGEING, RO_RETIRING, RO_STEADY };
	assert_true(plan.num >= 5);
	size_t at = 0;
	for (size_t i = 0; i < plan.num && at < 5; i++)
		at += plan.steps[i].state == forms[at];
	assert_int_equal(at, 5); /* in this order */
	x->p.forms = F311;
	x->algorithms = BOTH_KEYS;
	look_after(x, 10);
	assert_int_equal(rollover_plan(x->f, &x->p, fix_now(x), true, &plan), EC_OK);
	assert_int_equal(plan.steps[plan.num - 1].state, RO_STEADY);
	assert_true(plan.steps[plan.num - 1].at.s - fix_now(x).wall.s < 10 * 86400);
	assert_int_equal(ask(x, RQ_DISABLE), EC_OK);
	assert_int_equal(rollover_plan(x->f, &x->p, fix_now(x), false, &plan), EC_OK);
	assert_int_equal(plan.steps[0].state, RO_WITHDRAWING);
	assert_int_equal(plan.steps[plan.num - 1].state, RO_DISABLED);
	assert_in_range(plan.steps[plan.num - 1].at.s - fix_now(x).wall.s, 7200, 7300);
}

/* ---- words ---- */

static void time_left(void **state)
{
	(void)state;
	static const struct {
		int64_t seconds;
		const char *words;
	} cases[] = { { 0, "0 s" }, { 119, "119 s" }, { 120, "2 minutes" }, { 121, "3 minutes" }, { 7199, "120 minutes" },
		      { 7200, "2 hours" }, { 7201, "3 hours" }, { 172799, "48 hours" }, { 172800, "2 days" },
		      { 172801, "3 days" }, { 90 * 86400 - 1, "90 days" }, { 90 * 86400 - 86399, "90 days" } };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char out[WORDS_LEFT];
		words_left(out, cases[i].seconds);
		assert_string_equal(out, cases[i].words);
	}
}

/* In the steady state the next thing is the rotation, whatever is looked at meanwhile. */
static void steady_says_what_is_next(void **state)
{
	struct fix *x = settled(state);
	assert_string_equal(fix_decide(x)->next, ""); /* only when asked */
	x->p.rotate_every_s = 90 * 86400;
	int64_t due = x->f->rotated.s + x->p.rotate_every_s;
	for (int n = 0; n < 200; n++) {
		fix_decide(x);
		assert_int_equal(x->d.state, RO_STEADY);
		assert_string_equal(x->d.next, "rotate");
		assert_int_equal(x->d.at.s, due);
		HAS(x->d.why, " (in 90 days)");
		(void)fix_until(x, RO_NUM_STATES, RA_NUM_ACTIONS, 1);
		if (x->clock.mono.ms / 1000 > 80000)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HISTORY(an_algorithm_is_added),
		HISTORY(each_algorithm_is_waited_for),
		HISTORY(algorithms_wait_for_a_roll),
		HISTORY(an_instance_that_does_not_say_is_left_alone),
		HISTORY(a_form_is_added_for_every_key_at_once),
		HISTORY(a_form_is_replaced),
		HISTORY(a_lagging_server_holds_the_old_form),
		HISTORY(forms_changed_back_and_forth),
		HISTORY(forms_wait_for_a_roll),
		HISTORY(one_form_is_not_enough),
		HISTORY(a_stranger_keeps_the_old_form),
		HISTORY(a_form_needs_its_digest),
		HISTORY(hand_made_311_is_adopted),
		HISTORY(strange_records_are_left_and_hold_the_roll),
		HISTORY(strange_records_go_in_order),
		HISTORY(an_instance_joins_during_a_roll),
		HISTORY(an_instance_leaves_during_a_roll),
		HISTORY(an_instance_down_holds_the_roll),
		HISTORY(one_host_rolls_at_a_time),
		HISTORY(plans_end),
		cmocka_unit_test(time_left),
		HISTORY(steady_says_what_is_next),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
