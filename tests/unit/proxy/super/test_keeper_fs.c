/* Upkeep: certificates are renewed in time, on the keys they are for. */
#include "tests/unit/certs/fixture_fs.h"

#include "proxy/super/keeper_fs.h"

static char mx[] = "mx1.example.org";
enum { LIFE = 90 * 86400 };
static const struct wall start = { 1795269600 };

static struct config_identity settings_of(enum config_issuer issuer)
{
	return (struct config_identity){ .name = mx, .algorithms = 1u << CONFIG_ECDSA_P256, .issuer = issuer,
		                         .certificate_life_ms = INT64_C(1000) * LIFE };
}

static struct key_info key_of(const struct identity *id)
{
	struct generation g;
	assert_true(identity_find(id, 1, &g));
	return *generation_key(&g, KEY_ECDSA_P256);
}

static void begin(struct keeper *k, const struct config_identity *settings, struct identity **id)
{
	struct why why = { 0 };
	(void)witness("rm -rf state && mkdir -m 700 state");
	assert_int_equal(keeper_open(k, "state", &why), EC_OK);
	assert_int_equal(identity_new(settings, id, &why), EC_OK);
	assert_int_equal(identity_read(k, *id, start, &why), EC_OK);
	assert_int_equal((*id)->num_generations, 1);
	(*id)->active = 1;
	(*id)->presented = 1;
}

static void end(struct keeper *k, struct identity *id)
{
	identity_free(id);
	keeper_close(k);
}

static bool upkeep(struct keeper *k, struct identity *id, int64_t after_s, bool *out_presented)
{
	struct why why = { 0 };
	bool changed = false;
	assert_int_equal(identity_upkeep(k, id, (struct wall){ start.s + after_s }, &changed, out_presented, &why), EC_OK);
	return changed;
}

static void self_signed_is_renewed_on_the_same_key(void **state)
{
	(void)state;
	struct keeper k;
	struct identity *id;
	struct config_identity settings = settings_of(CONFIG_SELF_SIGNED);
	begin(&k, &settings, &id);
	char key[65], pin[65];
	(void)snprintf(key, sizeof key, "%s", witness("sha256sum state/keys/*/1/ecdsa-p256.key | cut -d' ' -f1"));
	(void)snprintf(pin, sizeof pin, "%s", witness("openssl x509 -in state/keys/%s/1/ecdsa-p256.pem -noout -pubkey | sha256sum | cut -d' ' -f1", mx));
	bool presented = false;
	assert_false(upkeep(&k, id, LIFE / 2, &presented));
	assert_true(upkeep(&k, id, 2 * LIFE / 3 + 1000, &presented)); /* long before its end */
	assert_true(presented);
	const struct key_info now = key_of(id);
	assert_int_equal(now.not_after.s, start.s + 2 * LIFE / 3 + 1000 + LIFE);
	assert_string_equal(witness("sha256sum state/keys/*/1/ecdsa-p256.key | cut -d' ' -f1"), key);
	assert_string_equal(witness("openssl x509 -in state/keys/%s/1/ecdsa-p256.pem -noout -pubkey | sha256sum | cut -d' ' -f1", mx), pin);
	assert_false(upkeep(&k, id, 2 * LIFE / 3 + 1001, &presented));
	end(&k, id);
}

/* A CA made with openssl certifies the key for `days` days from `start`. */
static void install_from_ca(struct keeper *k, struct identity *id, int days)
{
	struct why why = { 0 };
	struct bytes csr = { 0 };
	assert_int_equal(store_csr(k->store, mx, 1, KEY_ECDSA_P256, &csr, &why), EC_OK);
	fixture_put("x.csr", bytes_slice(&csr));
	bytes_fini(&csr);
	(void)witness("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=ca "
	              "2>/dev/null");
	/* the only way to choose the dates with OpenSSL 3.0's req and x509 is its ca command */
	(void)witness("rm -rf db && mkdir db && : > db/index && printf '[ca]\\ndefault_ca=c\\n[c]\\ndatabase=db/index\\nnew_certs_dir=db\\n"
	              "rand_serial=yes\\ndefault_md=sha256\\npolicy=p\\n[p]\\ncommonName=optional\\n' > ca.cnf");
	(void)witness("openssl ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -in x.csr -out x.pem -notext -startdate "
	              "$(date -u -d @%lld +%%y%%m%%d%%H%%M%%SZ) -enddate $(date -u -d @%lld +%%y%%m%%d%%H%%M%%SZ) 2>&1",
	              (long long)start.s, (long long)start.s + 86400LL * days);
	struct bytes chain = fixture_get("x.pem");
	if (store_install(k->store, mx, 1, KEY_ECDSA_P256, bytes_slice(&chain), (struct wall){ start.s + 60 }, &why) != EC_OK)
		fail_msg("%s", why.text);
	bytes_fini(&chain);
	assert_int_equal(identity_refresh(k, id, &why), EC_OK);
	assert_int_equal(key_of(id).issuer, CERT_CA);
}

static void what_a_ca_gave_is_left_alone_until_its_last_moment(void **state)
{
	(void)state;
	struct keeper k;
	struct identity *id;
	struct config_identity settings = settings_of(CONFIG_COMMAND);
	begin(&k, &settings, &id);
	install_from_ca(&k, id, 90);
	char key[65];
	(void)snprintf(key, sizeof key, "%s", witness("sha256sum state/keys/*/1/ecdsa-p256.key | cut -d' ' -f1"));
	bool presented = false;
	assert_false(upkeep(&k, id, 89 * 86400, &presented));
	assert_int_equal(key_of(id).issuer, CERT_CA);
	assert_true(upkeep(&k, id, 90 * 86400 - 600, &presented));
	assert_true(presented);
	const struct key_info now = key_of(id);
	assert_int_equal(now.issuer, CERT_SELF_SIGNED);
	assert_true(now.not_after.s > start.s + 90 * 86400);
	assert_string_equal(witness("sha256sum state/keys/*/1/ecdsa-p256.key | cut -d' ' -f1"), key);
	end(&k, id);
}

/* Of very many identities most are read late: what has not been read is neither changed nor
 * taken for one that has nothing on disk. */
static void what_is_not_read_yet_is_left_alone(void **state)
{
	(void)state;
	struct keeper k;
	struct identity *id, *again;
	struct config_identity settings = settings_of(CONFIG_SELF_SIGNED);
	struct why why = { 0 };
	bool presented = true;
	begin(&k, &settings, &id);
	assert_int_equal(identity_new(&settings, &again, &why), EC_OK);
	assert_false(again->read);
	again->presented = 1;
	assert_false(upkeep(&k, again, LIFE, &presented)); /* long due */
	assert_false(presented);
	assert_int_equal(identity_read(&k, again, start, &why), EC_OK);
	assert_true(again->read);
	assert_int_equal(again->num_generations, 1); /* the one there was */
	assert_int_equal(identity_read(&k, again, start, &why), EC_OK);
	assert_int_equal(again->num_generations, 1);
	assert_true(upkeep(&k, again, LIFE, &presented));
	identity_free(again);
	end(&k, id);
}

/* By any spelling of its name, among others; and only those that are there. */
static void identities_are_found(void **state)
{
	(void)state;
	enum { NUM_IDS = 50 };
	struct keeper k = { 0 };
	struct identity *ids[NUM_IDS];
	struct config_identity settings[NUM_IDS];
	char names[NUM_IDS][32];
	struct why why = { 0 };
	for (unsigned i = 0; i < NUM_IDS; i++) {
		(void)snprintf(names[i], sizeof names[i], "MX%u.Example.org%s", i, i % 2 == 0 ? "" : ".");
		settings[i] = (struct config_identity){ .name = names[i] };
		assert_int_equal(identity_new(&settings[i], &ids[i], &why), EC_OK);
	}
	assert_int_equal(keeper_index(ids, NUM_IDS, &k.index), EC_OK);
	assert_ptr_equal(keeper_find(&k, "mx7.example.org"), ids[7]);
	assert_ptr_equal(keeper_find(&k, "MX49.EXAMPLE.ORG."), ids[49]);
	assert_string_equal(ids[7]->name, "mx7.example.org");
	assert_null(keeper_find(&k, "mx50.example.org"));
	assert_null(keeper_find(&k, ""));
	names_fini(&k.index);
	for (unsigned i = 0; i < NUM_IDS; i++)
		identity_free(ids[i]);
}

/* A swap is shown without another look at the disk: the roles follow what is active. */
static void roles_follow_what_is_active(void **state)
{
	(void)state;
	struct keeper k;
	struct identity *id;
	struct config_identity settings = settings_of(CONFIG_SELF_SIGNED);
	struct why why = { 0 };
	struct generation g;
	uint64_t number = 0;
	begin(&k, &settings, &id);
	assert_int_equal(identity_prepare(&k, id, start, &number, &why), EC_OK);
	assert_int_equal(number, 2);
	assert_true(identity_find(id, 2, &g));
	assert_int_equal(g.role, GENERATION_STANDBY);
	identity_note_active(id, 2);
	assert_true(identity_find(id, 2, &g));
	assert_int_equal(g.role, GENERATION_ACTIVE);
	assert_true(identity_find(id, 1, &g));
	assert_int_equal(g.role, GENERATION_RETIRED);
	assert_false(identity_find(id, 3, &g));
	end(&k, id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(self_signed_is_renewed_on_the_same_key),
		cmocka_unit_test(what_a_ca_gave_is_left_alone_until_its_last_moment),
		cmocka_unit_test(what_is_not_read_yet_is_left_alone),
		cmocka_unit_test(identities_are_found),
		cmocka_unit_test(roles_follow_what_is_active),
	};
	return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
