#include "worlds.h"

#define ASK(request) (1U << (request))
enum { ROLLS = ASK(RQ_ROTATE) | ASK(RQ_ABORT) | ASK(RQ_ROLLBACK) };
enum { OFF_ON = ASK(RQ_DISABLE) | ASK(RQ_ENABLE) };
enum { EMERGENCIES = ASK(RQ_EMERGENCY) | ASK(RQ_EMERGENCY_FORCED) | ASK(RQ_ROLLBACK) };
enum { ALL = ROLLS | OFF_ON | ASK(RQ_EMERGENCY) | ASK(RQ_EMERGENCY_FORCED) };

/* Servers and instances; what is in the zone has another TTL than what we write. */
#define WORLD(s, i, a) \
	.servers = s, .instances = i, .algorithms = a, .ttl = 1, .zone_ttl = 3, .negative_ttl = 1, .hold = 1, .confirmations = 1

/* The shortest times there are: for worlds in which much can happen. */
#define SHORT(s, i, a) \
	.servers = s, .instances = i, .algorithms = a, .ttl = 1, .zone_ttl = 1, .negative_ttl = 1, .hold = 0, .confirmations = 1

const struct small_rules worlds[] = {
	{ .name = "rolls", .words = "one server, one instance; rotate, abort, roll back at every moment", WORLD(1, 1, 1),
	  .requests = ROLLS },
	{ .name = "first", .words = "no record at first", .servers = 1, .instances = 1, .algorithms = 1, .ttl = 1,
	  .zone_ttl = 0, .negative_ttl = 2, .hold = 1, .confirmations = 2, .requests = ROLLS },
	{ .name = "crash", .words = "crashes and boots between any two steps", WORLD(1, 1, 1), .crashes = true, .boots = true,
	  .requests = ASK(RQ_ROTATE) },
	{ .name = "clock", .words = "the wall clock is set back and ahead; boots", WORLD(1, 1, 1), .jumps = true, .boots = true,
	  .requests = ASK(RQ_ROTATE) },
	{ .name = "two", .words = "two servers, the second lags as it likes", WORLD(2, 1, 1), .requests = ASK(RQ_ROTATE) },
	{ .name = "emergency", .words = "emergencies, forced and not, and second thoughts", WORLD(1, 1, 1), .requests = EMERGENCIES },
	{ .name = "off", .words = "switched off and on; keys changed by hand in between", WORLD(1, 1, 1), .hands = true,
	  .requests = OFF_ON },
	{ .name = "stranger", .words = "somebody's 3 0 1 of the first certificate is in the zone, and may go", WORLD(1, 1, 1),
	  .stranger = HAND_301, .own_rrset = true, .requests = ASK(RQ_ROTATE) },
	/* by command */
	{ .name = "second", .words = "forced emergencies, off and on, keys by hand, and second thoughts", WORLD(1, 1, 1),
	  .hands = true, .requests = ASK(RQ_EMERGENCY_FORCED) | ASK(RQ_ABORT) | ASK(RQ_ROLLBACK) | OFF_ON },
	{ .name = "operator", .words = "one server, one instance; every request at every moment", WORLD(1, 1, 1),
	  .requests = ALL, .hands = true },
	{ .name = "silence", .words = "servers, instances and look-ups may not answer; messages are refused or lost",
	  SHORT(1, 1, 1), .silence = true, .requests = ASK(RQ_ROTATE) },
	{ .name = "late", .words = "messages come late or twice, later than two TTLs; rolls, off and on", SHORT(1, 1, 1), .late = 3,
	  .requests = ASK(RQ_ROTATE) | OFF_ON },
	{ .name = "edits", .words = "two servers; one turns back to an old zone, and somebody takes records out", SHORT(2, 1, 1),
	  .turns = true, .edits = 1, .requests = ASK(RQ_ROTATE) },
	{ .name = "instances", .words = "two instances behind one name", WORLD(1, 2, 1), .requests = ROLLS },
	{ .name = "servers", .words = "two servers; rotate, abort, roll back at every moment", WORLD(2, 1, 1), .requests = ROLLS },
	{ .name = "forms", .words = "3 1 2 beside 3 1 1, and without, changed at any moment", WORLD(1, 1, 1), .forms = 1,
	  .forms_next = 3, .requests = ASK(RQ_ROTATE) },
	{ .name = "forms2", .words = "from 3 1 1 to 3 1 2 and back, changed at any moment", SHORT(1, 1, 1), .forms = 1,
	  .forms_next = 2, .requests = ASK(RQ_ROTATE) },
	{ .name = "rsa", .words = "two algorithms", WORLD(1, 1, 2), .requests = ROLLS },
	{ .name = "pair", .words = "two servers and two instances", WORLD(2, 2, 1), .requests = ASK(RQ_ROTATE) },
};
const unsigned worlds_num = sizeof worlds / sizeof worlds[0], worlds_small = 8;
