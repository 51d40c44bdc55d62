#include "fuzz/proxy/world.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"
#include "base/log_fs.h"
#include "certs/make_ssl.h"
#include "proxy/tls/channel_ssl.h"
#include "proxy/worker/conn_uv.h"

uint64_t now_ms;

uint64_t __wrap_uv_now(const uv_loop_t *loop);
uint64_t __wrap_uv_now(const uv_loop_t *loop)
{
	(void)loop;
	return now_ms;
}

time_t __wrap_time(time_t *out);
time_t __wrap_time(time_t *out)
{
	if (out != NULL)
		*out = 1795303571;
	return 1795303571;
}

struct worker_world world;

static void must(enum ec ec)
{
	if (ec != EC_OK)
		abort();
}

static struct snapshot *make_snapshot(uint64_t generation)
{
	static const uint8_t seed[SNAPSHOT_SEED_SIZE] = { 1 };
	struct secret key = { 0 };
	struct bytes chain = { 0 };
	struct snapshot *s = NULL;
	must(make_key(KEY_ECDSA_P256, &key, NULL));
	must(make_self_signed(slice_of(key.p, key.len), "mx1.test", (struct wall){ 1795303571 }, 86400, &chain, NULL));
	struct snapshot_source source = { "mx1.test", generation, KEY_ECDSA_P256, slice_of(key.p, key.len), bytes_slice(&chain) };
	must(snapshot_new(&source, 1, "mx1.test", seed, generation, &s, NULL));
	must(channel_prepare(s, NULL));
	secret_fini(&key);
	bytes_fini(&chain);
	return s;
}

static void clean_up(void)
{
	for (size_t i = 0; i < WORLD_DOORS; i++) {
		(void)unlink(world.doors[i].path);
		(void)unlink(world.doors[i].away);
	}
	(void)rmdir(world.directory);
}

static void open_door(size_t i)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	(void)snprintf(world.doors[i].path, sizeof world.doors[i].path, "%s/mta%zu", world.directory, i);
	(void)snprintf(world.doors[i].away, sizeof world.doors[i].away, "%s/away%zu", world.directory, i);
	memcpy(addr.sun_path, world.doors[i].path, sizeof world.doors[i].path);
	int fd = world.doors[i].fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 || listen(fd, 64) != 0)
		abort();
}

static void open_doors(void)
{
	(void)snprintf(world.directory, sizeof world.directory, "/tmp/fuzz-worker-XXXXXX");
	if (mkdtemp(world.directory) == NULL || atexit(clean_up) != 0)
		abort();
	for (size_t i = 0; i < WORLD_DOORS; i++)
		open_door(i);
}

void world_door(bool open)
{
	for (size_t i = 0; i < WORLD_DOORS; i++)
		(void)rename(open ? world.doors[i].away : world.doors[i].path, open ? world.doors[i].path : world.doors[i].away);
}

void world_begin(void)
{
	static const uint64_t seed[2] = { 1, 2 };
	static bool begun;
	if (begun)
		return;
	begun = true;
	(void)signal(SIGPIPE, SIG_IGN); /* as the worker does */
	log_setup(LOG_LOGFMT, (enum log_level)(LOG_ERROR + 1), "fuzz");
	must(counters_begin(&world.page));
	world.census = calloc(1, census_size(1));
	assert(world.census != NULL);
	census_begin(world.census, 1, seed);
	must(work_init(&world.work, &world.page, world.census, 0, NULL));
	for (size_t i = 0; i < 2; i++)
		world.snapshots[i] = make_snapshot(i + 1);
	open_doors();
}

static struct config *read_config(bool ways)
{
	struct config *cfg = NULL;
	struct config_errors errs = { 0 };
	char text[512];
	struct writer w = writer_of(text, sizeof text);
	writer_str(&w, "proxy: {hostname: edge.test}\nidentities: [{name: mx1.test}]\n");
	if (ways)
		writer_format(&w, "connectors:\n  - {name: one, domains: [" WORLD_DOMAIN "], next_hops: [{to: \"unix:%s\"}], tls: none}\n"
		              "  - {name: two, domains: [\"*\"], next_hops: [{to: \"unix:%s\"}], tls: none, protocol: lmtp}\n",
		              world.doors[0].path, world.doors[1].path);
	else
		writer_format(&w, "backend: {address: \"unix:%s\"}\n", world.doors[0].path);
	must(config_parse(writer_slice(&w), "fuzz", &cfg, &errs));
	return cfg;
}

static struct settings *unseen(struct settings *s)
{
	for (size_t i = 0; i < s->exits.num; i++) {
		assert(s->exits.ways[i].num_links == 0);
		s->exits.ways[i].caps = (struct smtp_caps){ 0 };
		s->exits.ways[i].caps_ms = 0;
	}
	return s;
}

struct settings *world_settings(uint8_t options, bool narrow, bool ways)
{
	static struct settings *all[256][2][2];
	struct settings **slot = &all[options][narrow][ways];
	if (*slot != NULL)
		return unseen(*slot);
	struct config *cfg = read_config(ways);
	unsigned told = options & (XCLIENT | XFORWARD);
	bool limits = (options & NO_LIMITS) == 0;
	cfg->backend.client_info = told == 0 ? CONFIG_CLIENT_NONE : told == XCLIENT ? CONFIG_CLIENT_XCLIENT :
	                           told == XFORWARD ? CONFIG_CLIENT_XFORWARD : CONFIG_CLIENT_PROXY_V2;
	for (size_t i = 0; i < cfg->num_connectors; i++)
		cfg->connectors[i].client_info = cfg->backend.client_info;
	cfg->smtp.max_message_size = (options & SMALL) != 0 ? 300 : 1 << 20;
	cfg->smtp.max_recipients = limits ? 3 : 100;
	cfg->smtp.max_commands = limits ? 30 : 10000;
	cfg->smtp.max_errors = limits ? 8 : 1000;
	cfg->smtp.max_transactions = limits ? 3 : 1000;
	cfg->smtp.bare_newline = (options & NORMALIZE) != 0 ? CONFIG_BARE_NORMALIZE : CONFIG_BARE_REJECT;
	cfg->smtp.greeting_delay_ms = (options & DELAY) != 0 ? 1000 : 0;
	if (narrow)
		cfg->limits.queue_bytes = 512;
	must(settings_new(cfg, NULL, slot, NULL));
	return *slot;
}

int world_connect(const char *address, bool header_due, bool narrow)
{
	struct sockaddr_storage from = { 0 };
	struct clients_limits roomy = { 100, 100, 100 };
	int fds[2], size = WORLD_BUFFER;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
		abort();
	if (narrow)
		(void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	must(address_parse(slice_str(address), 25, &from, NULL));
	enum clients_verdict verdict = header_due ? clients_enter_unnamed(world.work.clients, &roomy) :
	                                            clients_enter(world.work.clients, &roomy, &from);
	assert(verdict == CLIENTS_WELCOME);
	must(conn_open(&world.work, fds[0], &from, header_due));
	return fds[1];
}
