#include "base/ask_fs.h"
#include "base/wire_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* An echo server on a thread-free loop: the blocking client runs in a thread. */
struct server {
	uv_loop_t loop;
	uv_async_t stop;
	uv_timer_t timer;
	struct wire *late;
	struct wire_listener *listener;
	struct wire *open[8]; /* wires that a client left open */
	char path[64];
	int num_closed;
	char last_why[64];
};

static void on_late(uv_timer_t *t)
{
	struct server *s = t->data;
	wire_send(s->late, SLICE_LIT("better late"));
	wire_paid(s->late);
}

static void on_line(void *arg, struct wire *w, char *line, size_t len)
{
	if (strcmp(line, "bye") == 0) {
		wire_send(w, SLICE_LIT("good bye"));
		wire_close(w);
		wire_close(w);
		wire_send(w, SLICE_LIT("never sent"));
		return;
	}
	if (strcmp(line, "later") == 0) {
		/* The answer comes from another turn of the loop, as one from a worker would. */
		struct server *s = arg;
		wire_owe(w);
		s->late = w;
		uv_timer_start(&s->timer, on_late, 50, 0);
		return;
	}
	if (strcmp(line, "flood") == 0) {
		for (int i = 0; i < 100000; i++)
			wire_send(w, SLICE_LIT("0123456789012345678901234567890123456789"));
		wire_close(w);
		return;
	}
	wire_send(w, slice_of(line, len));
}

static void *on_open(void *arg, struct wire *w)
{
	struct server *s = arg;
	for (size_t i = 0; i < NUM(s->open); i++) {
		if (s->open[i] == NULL) {
			s->open[i] = w;
			break;
		}
	}
	return s;
}

static void on_close(void *arg, struct wire *w, const char *why)
{
	struct server *s = arg;
	for (size_t i = 0; i < NUM(s->open); i++)
		if (s->open[i] == w)
			s->open[i] = NULL;
	s->num_closed++;
	(void)snprintf(s->last_why, sizeof s->last_why, "%s", why);
}

static void on_stop(uv_async_t *a)
{
	struct server *s = a->data;
	wire_listener_close(s->listener);
	for (size_t i = 0; i < NUM(s->open); i++)
		wire_close(s->open[i]);
	uv_close((uv_handle_t *)&s->timer, NULL);
	uv_close((uv_handle_t *)a, NULL);
}

static void run_server(void *arg)
{
	struct server *s = arg;
	uv_run(&s->loop, UV_RUN_DEFAULT);
}

static void start(struct server *s, uv_thread_t *thread)
{
	*s = (struct server){ 0 };
	(void)snprintf(s->path, sizeof s->path, "/tmp/danegate-wire-%d.sock", (int)getpid());
	uv_loop_init(&s->loop);
	uv_async_init(&s->loop, &s->stop, on_stop);
	uv_timer_init(&s->loop, &s->timer);
	s->stop.data = s->timer.data = s;
	struct why why = { 0 };
	struct wire_events events = { .on_line = on_line, .on_close = on_close };
	assert_int_equal(wire_listen(&s->loop, s->path, 0600, 1000, events, on_open, s, &s->listener, &why), EC_OK);
	uv_thread_create(thread, run_server, s);
}

static void stop(struct server *s, uv_thread_t *thread)
{
	uv_async_send(&s->stop);
	uv_thread_join(thread);
	assert_int_equal(uv_loop_close(&s->loop), 0);
}

static void lines_come_back(void **state)
{
	(void)state;
	struct server s;
	uv_thread_t thread;
	struct bytes out = { 0 };
	struct why why = { 0 };
	start(&s, &thread);
	struct stat st;
	assert_int_equal(stat(s.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	assert_int_equal(ask_socket(s.path, SLICE_LIT("hello"), true, 5000, &out, &why), EC_OK);
	assert_true(slice_eq(bytes_slice(&out), SLICE_LIT("hello")));
	bytes_consume(&out, bytes_len(&out));
	assert_int_equal(ask_socket(s.path, SLICE_LIT("a\r\nbye\r"), false, 5000, &out, &why), EC_OK);
	assert_true(slice_eq(bytes_slice(&out), SLICE_LIT("a\ngood bye\n")));
	bytes_consume(&out, bytes_len(&out));
	/* All that was queued before the close arrives. */
	assert_int_equal(ask_socket(s.path, SLICE_LIT("flood"), false, 20000, &out, &why), EC_OK);
	assert_int_equal(bytes_len(&out), 100000 * 41);
	bytes_fini(&out);
	stop(&s, &thread);
	assert_int_equal(s.num_closed, 3);
	/* The file goes with the listener, and asking then says so. */
	assert_int_equal(ask_socket(s.path, SLICE_LIT("x"), true, 1000, &out, &why), EC_NOT_FOUND);
	assert_non_null(strstr(why.text, s.path));
}

/* A client that has said all it wants to say (nc -N) still gets its answer. */
static void a_half_closed_peer_is_answered(void **state)
{
	(void)state;
	struct server s;
	uv_thread_t thread;
	start(&s, &thread);
	static const struct {
		const char *say, *hear;
	} cases[] = { { "hello\n", "hello\n" }, { "later\n", "better late\n" }, { "", "" } };
	for (size_t i = 0; i < NUM(cases); i++) {
		struct sockaddr_un sa = { .sun_family = AF_UNIX };
		(void)snprintf(sa.sun_path, sizeof sa.sun_path, "%s", s.path);
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
		assert_int_equal(write(fd, cases[i].say, strlen(cases[i].say)), strlen(cases[i].say));
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
		char text[64] = { 0 };
		size_t len = 0;
		for (ssize_t n; (n = read(fd, text + len, sizeof text - 1 - len)) > 0;)
			len += (size_t)n;
		assert_string_equal(text, cases[i].hear);
		close(fd);
	}
	stop(&s, &thread);
	assert_int_equal(s.num_closed, NUM(cases));
}

static void hostile_lines_end_the_wire(void **state)
{
	(void)state;
	struct server s;
	uv_thread_t thread;
	struct bytes out = { 0 };
	struct why why = { 0 };
	char big[2001];
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	start(&s, &thread);
	assert_int_equal(ask_socket(s.path, slice_str(big), true, 5000, &out, &why), EC_CLOSED);
	assert_int_equal(ask_socket(s.path, slice_of("a\0b", 3), true, 5000, &out, &why), EC_CLOSED);
	assert_int_equal(bytes_len(&out), 0);
	bytes_fini(&out);
	stop(&s, &thread);
	assert_int_equal(s.num_closed, 2);
}

static void a_live_socket_is_not_stolen_and_a_stale_one_is(void **state)
{
	(void)state;
	struct server s;
	uv_thread_t thread;
	start(&s, &thread);
	uv_loop_t loop;
	uv_loop_init(&loop);
	struct wire_listener *l = NULL;
	struct why why = { 0 };
	struct wire_events events = { .on_line = on_line, .on_close = on_close };
	assert_int_equal(wire_listen(&loop, s.path, 0600, 100, events, NULL, NULL, &l, &why), EC_EXISTS);
	stop(&s, &thread);

	/* A file left by a dead process: bound, never listening. */
	FILE *f = fopen(s.path, "w");
	fclose(f);
	assert_int_equal(wire_listen(&loop, s.path, 0600, 100, events, NULL, NULL, &l, &why), EC_EXISTS);
	unlink(s.path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	uv_pipe_t stale;
	uv_pipe_init(&loop, &stale, 0);
	assert_int_equal(uv_pipe_bind(&stale, s.path), 0);
	close(fd);
	assert_int_equal(wire_listen(&loop, s.path, 0600, 100, events, NULL, NULL, &l, &why), EC_OK);
	wire_listener_close(l);
	uv_close((uv_handle_t *)&stale, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void a_failed_connect_is_told_once(void **state)
{
	(void)state;
	struct server s = { 0 };
	uv_loop_t loop;
	uv_loop_init(&loop);
	struct wire *w = NULL;
	struct wire_events events = { .on_line = on_line, .on_close = on_close };
	assert_int_equal(wire_connect(&loop, "/tmp/danegate-no-such-socket", events, &s, &w), EC_OK);
	wire_send(w, SLICE_LIT("queued before it fails"));
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(s.num_closed, 1);
	assert_string_equal(s.last_why, "nobody listens there");
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* Whoever sends in parts never has more than one of them in hand, however much it
 * is in all, and the peer gets all of it in order. */
enum { PARTS = 700, PART_SIZE = 200000 };

struct parts {
	struct wire *w;
	unsigned sent, heard;
};

static void send_part(struct parts *p)
{
	char line[PART_SIZE + 1];
	(void)snprintf(line, sizeof line, "%0*u", PART_SIZE, p->sent++);
	wire_send(p->w, slice_of(line, PART_SIZE));
}

static void on_drained(void *arg, struct wire *w)
{
	struct parts *p = arg;
	(void)w;
	if (p->sent < PARTS)
		send_part(p);
	else
		wire_close(w);
}

static void on_part(void *arg, struct wire *w, char *line, size_t len)
{
	struct parts *p = arg;
	(void)w;
	assert_int_equal(len, PART_SIZE);
	assert_int_equal(strtoul(line, NULL, 10), p->heard++);
}

static void on_parts_closed(void *arg, struct wire *w, const char *why)
{
	struct parts *p = arg;
	(void)w;
	(void)why;
	p->w = NULL;
}

static void parts_follow_each_other(void **state)
{
	(void)state;
	struct parts p = { 0 };
	struct wire *reader = NULL;
	uv_loop_t loop;
	int pair[2];
	uv_loop_init(&loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct wire_events writes = { .on_line = on_part, .on_close = on_parts_closed, .on_drained = on_drained };
	struct wire_events reads = { .on_line = on_part, .on_close = on_parts_closed };
	assert_int_equal(wire_adopt(&loop, pair[0], writes, &p, &p.w), EC_OK);
	assert_int_equal(wire_adopt(&loop, pair[1], reads, &p, &reader), EC_OK);
	send_part(&p);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(p.sent, PARTS); /* 140 MB: more than WIRE_ADOPTED_MAX */
	assert_int_equal(p.heard, PARTS);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* One line that is longer than others may send at all, or have in their queue. */
static void on_long(void *arg, struct wire *w, char *line, size_t len)
{
	size_t *heard = arg;
	assert_true(line[0] == '<' && line[len - 1] == '>');
	*heard = len;
	wire_close(w);
}

static void on_long_closed(void *arg, struct wire *w, const char *why)
{
	(void)arg;
	(void)w;
	(void)why;
}

static void a_long_line_between_our_own(void **state)
{
	(void)state;
	struct wire_events events = { .on_line = on_long, .on_close = on_long_closed };
	size_t len = WIRE_QUEUE_MAX + 1, heard = 0;
	struct wire *writer, *reader;
	uv_loop_t loop;
	int pair[2];
	char *line = malloc(len);
	assert_non_null(line);
	memset(line, 'x', len);
	line[0] = '<';
	line[len - 1] = '>';
	uv_loop_init(&loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(wire_adopt(&loop, pair[0], events, &heard, &writer), EC_OK);
	assert_int_equal(wire_adopt(&loop, pair[1], events, &heard, &reader), EC_OK);
	wire_send(writer, slice_of(line, len));
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(heard, len);
	assert_int_equal(uv_loop_close(&loop), 0);
	free(line);
}

static void json_with_secrets_still_works(void **state)
{
	(void)state;
	wire_secrets();
	json_t *j = json_pack("{s:s, s:[i,i]}", "key", "value", "list", 1, 2);
	assert_non_null(j);
	for (int i = 0; i < 1000; i++)
		json_array_append_new(json_object_get(j, "list"), json_integer(i));
	assert_int_equal(json_array_size(json_object_get(j, "list")), 1002);
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_back),
		cmocka_unit_test(a_half_closed_peer_is_answered),
		cmocka_unit_test(hostile_lines_end_the_wire),
		cmocka_unit_test(a_live_socket_is_not_stolen_and_a_stale_one_is),
		cmocka_unit_test(a_failed_connect_is_told_once),
		cmocka_unit_test(parts_follow_each_other),
		cmocka_unit_test(a_long_line_between_our_own),
		cmocka_unit_test(json_with_secrets_still_works),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
