#include "tests/unit/unit.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/relay/outbox_uv.h"

/* A stream whose other end we read by hand. */
struct rig {
	uv_loop_t loop;
	uv_pipe_t pipe;
	struct outbox box;
	int far;
	int num_written;
};

static void on_written(struct outbox *o)
{
	struct rig *r = o->stream->data;
	r->num_written++;
}

static void rig_init(struct rig *r)
{
	int fds[2], small = 4096;
	*r = (struct rig){ 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	uv_loop_init(&r->loop);
	uv_pipe_init(&r->loop, &r->pipe, 0);
	assert_int_equal(uv_pipe_open(&r->pipe, fds[0]), 0);
	r->pipe.data = r;
	r->box.stream = (uv_stream_t *)&r->pipe;
	r->box.on_written = on_written;
	r->far = fds[1];
}

static void rig_fini(struct rig *r)
{
	uv_close((uv_handle_t *)&r->pipe, NULL);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&r->loop), 0);
	outbox_fini(&r->box);
	if (r->far >= 0)
		close(r->far);
}

/* gather reads until `len` octets are there, letting the loop write. */
static void gather(struct rig *r, uint8_t *p, size_t len)
{
	size_t n = 0;
	for (int i = 0; n < len && i < 100000; i++) {
		ssize_t got = read(r->far, p + n, len - n);
		n += got > 0 ? (size_t)got : 0;
		uv_run(&r->loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(n, len);
}

enum { BIG = 300000 };
static uint8_t big[BIG], back[BIG + 100];

static void test_at_once_holds_nothing(void **state)
{
	struct rig r;
	(void)state;
	rig_init(&r);
	assert_int_equal(bytes_append(&r.box.out, slice_str("250 ")), EC_OK);
	assert_int_equal(bytes_append(&r.box.out, slice_str("OK\r\n")), EC_OK);
	assert_int_equal(outbox_waiting(&r.box), 8);
	outbox_flush(&r.box);
	assert_int_equal(outbox_waiting(&r.box), 0);
	assert_null(r.box.out.p);
	gather(&r, back, 8);
	assert_memory_equal(back, "250 OK\r\n", 8);
	assert_int_equal(r.num_written, 0);
	rig_fini(&r);
}

/* What is queued before, the ranges, and what is queued after: in that order,
 * whatever the kernel takes at a time. */
static void test_order(void **state)
{
	struct rig r;
	(void)state;
	for (size_t i = 0; i < BIG; i++)
		big[i] = (uint8_t)(i / 3);
	rig_init(&r);
	struct slice ranges[3] = { slice_of(big, 100000), slice_of(big + 100000, 1), slice_of(big + 100001, BIG - 100001) };
	assert_int_equal(bytes_append(&r.box.out, slice_str("DATA\r\n")), EC_OK);
	assert_int_equal(outbox_ranges(&r.box, ranges, 3), EC_OK);
	assert_int_equal(outbox_ranges(&r.box, &(struct slice){ (const uint8_t *)"small", 5 }, 1), EC_OK);
	outbox_flush(&r.box);
	assert_true(outbox_waiting(&r.box) > 0);
	assert_int_equal(bytes_append(&r.box.out, slice_str("\r\n.\r\n")), EC_OK);
	outbox_flush(&r.box);
	gather(&r, back, 6 + BIG + 5 + 5);
	assert_memory_equal(back, "DATA\r\n", 6);
	assert_memory_equal(back + 6, big, BIG);
	assert_memory_equal(back + 6 + BIG, "small\r\n.\r\n", 10);
	assert_true(r.num_written > 0);
	assert_int_equal(outbox_waiting(&r.box), 0);
	rig_fini(&r);
}

static void test_peer_gone(void **state)
{
	struct rig r;
	(void)state;
	rig_init(&r);
	close(r.far);
	r.far = -1;
	assert_int_equal(bytes_append(&r.box.out, slice_str("x")), EC_OK);
	outbox_flush(&r.box);
	uv_run(&r.loop, UV_RUN_NOWAIT);
	assert_int_equal(r.box.error, UV_EPIPE);
	struct slice range = slice_of(big, BIG);
	assert_int_equal(outbox_ranges(&r.box, &range, 1), EC_OK);
	outbox_flush(&r.box);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_once_holds_nothing),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_peer_gone),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
