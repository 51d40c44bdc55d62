/* Which recipients go where: connectors in one session, whatever comes in one packet. */
#include "dialogue.h"

#include "proxy/smtp/connectors.h"

/* A pipelining MTA stands behind each of them. */
#define WAYS .ways = { { "store", { "a.test" } }, { "other", { "b.test", "*.b.test" } }, { "mail", { "*.m.test" }, .mx = true }, \
                       { "box", { "l.test" }, .lmtp = true } }
#define REFUSING(id) .ways = { { "store", { "a.test" }, .refused = (id) }, { "other", { "*" } } }
#define FROM "MAIL FROM:<s@b.test>\r\n"
#define TO(who) "RCPT TO:<" who ">\r\n"
#define GOT_FROM "MAIL FROM:<s@b.test>|"
#define GOT_TO(who) "RCPT TO:<" who ">|"
#define BY(way) "(" way " EHLO edge.test|"
#define BY_LMTP "(box LHLO edge.test|"
#define MESSAGE "DATA\r\nx\r\n.\r\n"
#define STORED "x\r\n\n--\n"
#define SEEN_MESSAGE "354 250:2.6.0 "
#define SENDER "250:2.1.0 "
#define YES "250:2.1.5 "
#define NOBODY "550:5.1.1 "
#define NO_ROUTE "550:5.7.1 "
#define OTHER_WAY "452:4.5.3 "
#define CHUNKS "250-mta.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n"

static const struct dialogue ways[] = {
	/* The first one chooses. */
	{ "each domain has its way", { WAYS }, IN(HI FROM TO("x@a.test") MESSAGE FROM TO("x@b.test") MESSAGE FROM TO("x@q.b.test") MESSAGE),
	  SEEN_HI SENDER YES SEEN_MESSAGE SENDER YES SEEN_MESSAGE SENDER YES SEEN_MESSAGE,
	  BY("store") GOT_FROM GOT_TO("x@a.test") "DATA|.|)" BY("other") GOT_FROM GOT_TO("x@b.test") "DATA|.|" GOT_FROM GOT_TO("x@q.b.test") "DATA|.|)",
	  STORED STORED STORED },
	{ "a domain without a way", { WAYS }, IN(HI FROM TO("x@c.test") MESSAGE "QUIT\r\n"),
	  SEEN_HI SENDER NO_ROUTE "503:5.5.1 500:5.5.1 500:5.5.1 221:2.0.0 [quit]", "", "", "550 5.7.1 No mail is taken here for that domain" },
	{ "no way for one, the next chooses", { WAYS }, IN(HI FROM TO("x@c.test") TO("x@b.test") MESSAGE),
	  SEEN_HI SENDER NO_ROUTE YES SEEN_MESSAGE, BY("other") GOT_FROM GOT_TO("x@b.test") "DATA|.|)", STORED },
	{ "no way in the middle of a group", { WAYS }, IN(HI FROM TO("x@a.test") TO("x@c.test") TO("y@a.test") MESSAGE),
	  SEEN_HI SENDER YES NO_ROUTE YES SEEN_MESSAGE, BY("store") GOT_FROM GOT_TO("x@a.test") GOT_TO("y@a.test") "DATA|.|)", STORED },
	{ "recipients without a way are errors", { WAYS, .max_errors = 3 }, IN(HI FROM TO("x@c.test") TO("x@d.test") TO("x@e.test") TO("x@a.test")),
	  SEEN_HI SENDER NO_ROUTE NO_ROUTE "421:4.7.0 [too_many_errors]", "" },
	{ "literals and a bare postmaster go by the rest", { .ways = { { "store", { "a.test" } }, { "other", { "*" } } } },
	  IN(HI FROM TO("x@[192.0.2.1]") TO("postmaster") TO("x@zzz") TO("x@a.test") MESSAGE), SEEN_HI SENDER YES YES YES OTHER_WAY SEEN_MESSAGE,
	  BY("other") GOT_FROM GOT_TO("x@[192.0.2.1]") GOT_TO("postmaster") GOT_TO("x@zzz") "DATA|.|)", STORED },
	{ "without a rest they have no way", { WAYS }, IN(HI FROM TO("x@[192.0.2.1]") TO("postmaster")), SEEN_HI SENDER NO_ROUTE NO_ROUTE, "" },

	/* Two ways in one transaction */
	{ "the second way is for later", { WAYS }, IN(HI FROM TO("x@a.test") TO("x@b.test") MESSAGE FROM TO("x@b.test") MESSAGE),
	  SEEN_HI SENDER YES OTHER_WAY SEEN_MESSAGE SENDER YES SEEN_MESSAGE,
	  BY("store") GOT_FROM GOT_TO("x@a.test") "DATA|.|)" BY("other") GOT_FROM GOT_TO("x@b.test") "DATA|.|)", STORED STORED },
	{ "turn about in one group", { WAYS }, IN(HI FROM TO("x@a.test") TO("x@b.test") TO("y@a.test") TO("y@b.test") TO("no@a.test") MESSAGE "QUIT\r\n"),
	  SEEN_HI SENDER YES OTHER_WAY YES OTHER_WAY NOBODY SEEN_MESSAGE "221:2.0.0 [quit]",
	  BY("store") GOT_FROM GOT_TO("x@a.test") GOT_TO("y@a.test") GOT_TO("no@a.test") "DATA|.|)", STORED },
	{ "another way is no error", { WAYS, .max_errors = 1 }, IN(HI FROM TO("x@a.test") TO("1@b.test") TO("2@b.test") TO("3@b.test") MESSAGE),
	  SEEN_HI SENDER YES OTHER_WAY OTHER_WAY OTHER_WAY SEEN_MESSAGE, NULL, STORED },
	{ "but it is an attempt", { WAYS, .max_commands = 4 }, IN(HI FROM TO("x@a.test") TO("1@b.test") TO("2@b.test") "NOOP\r\n"),
	  SEEN_HI SENDER YES OTHER_WAY OTHER_WAY "421:4.7.0 [too_many_commands]", NULL, "" },
	{ "who was refused leaves the way to others", { WAYS }, IN(HI FROM TO("no@a.test") TO("x@b.test") TO("x@a.test") MESSAGE),
	  SEEN_HI SENDER NOBODY YES OTHER_WAY SEEN_MESSAGE,
	  BY("store") GOT_FROM GOT_TO("no@a.test") "RSET|)" BY("other") GOT_FROM GOT_TO("x@b.test") "DATA|.|)", STORED },
	{ "refused here and there", { WAYS }, IN(HI FROM TO("no@a.test") TO("later@b.test") TO("no@l.test") "DATA\r\n" TO("x@a.test") MESSAGE),
	  SEEN_HI SENDER NOBODY "450:4.2.1 " NOBODY "503:5.5.1 " YES SEEN_MESSAGE,
	  BY("store") GOT_FROM GOT_TO("no@a.test") "RSET|)" BY("other") GOT_FROM GOT_TO("later@b.test") "RSET|)" BY_LMTP GOT_FROM GOT_TO("no@l.test")
	  "RSET|)" BY("store") GOT_FROM GOT_TO("x@a.test") "DATA|.|)", STORED },
	{ "the way of a refused sender", { WAYS, .two = true, .mta.mail = "550 5.7.1 Not from there\r\n" }, IN(HI FROM TO("x@a.test") TO("x@b.test") MESSAGE),
	  SEEN_HI SENDER "550:5.7.1 " YES SEEN_MESSAGE,
	  BY("store") GOT_FROM GOT_TO("x@a.test") "RSET|)" BY("other") GOT_FROM GOT_TO("x@b.test") "DATA|.|)", STORED },
	{ "a 354 for nobody costs the link, not the way", { WAYS, .mta.data_for_nobody = true }, IN(HI FROM TO("no@a.test") "DATA\r\n" TO("x@b.test") MESSAGE),
	  SEEN_HI SENDER NOBODY "503:5.5.1 " YES SEEN_MESSAGE, NULL, STORED },
	{ "chunks for somebody else", { WAYS, .mta.ehlo = CHUNKS }, IN(HI FROM TO("no@a.test") TO("x@b.test") "BDAT 3 LAST\r\nx\r\n"),
	  SEEN_HI SENDER NOBODY YES "250:2.6.0 ", BY("store") GOT_FROM GOT_TO("no@a.test") "RSET|)" BY("other") GOT_FROM GOT_TO("x@b.test") "BDAT 3 LAST|)", STORED },
	{ "RSET frees the way", { WAYS }, IN(HI FROM TO("x@a.test") "RSET\r\n" FROM TO("x@b.test") MESSAGE),
	  SEEN_HI SENDER YES "250:2.0.0 " SENDER YES SEEN_MESSAGE,
	  BY("store") GOT_FROM GOT_TO("x@a.test") "RSET|)" BY("other") GOT_FROM GOT_TO("x@b.test") "DATA|.|)", STORED },
	{ "so does EHLO", { WAYS }, IN(HI FROM TO("x@a.test") HI FROM TO("x@b.test") MESSAGE), SEEN_HI SENDER YES "250 " SENDER YES SEEN_MESSAGE,
	  BY("store") GOT_FROM GOT_TO("x@a.test") "RSET|)" BY("other") GOT_FROM GOT_TO("x@b.test") "DATA|.|)", STORED },
	{ "a backend that does not pipeline", { WAYS, .mta.ehlo = "250 mta.test\r\n" }, IN(HI FROM TO("x@a.test") TO("x@b.test") TO("y@a.test") MESSAGE),
	  SEEN_HI SENDER YES OTHER_WAY YES SEEN_MESSAGE, BY("store") GOT_FROM GOT_TO("x@a.test") GOT_TO("y@a.test") "DATA|.|)", STORED },
	{ "chunks", { WAYS, .mta.ehlo = CHUNKS }, IN(HI FROM TO("x@a.test") TO("x@b.test") "BDAT 3\r\nx\r\nBDAT 0 LAST\r\n" FROM TO("x@b.test") "BDAT 3 LAST\r\nx\r\n"),
	  SEEN_HI SENDER YES OTHER_WAY "250:2.0.0 250:2.6.0 " SENDER YES "250:2.6.0 ",
	  BY("store") GOT_FROM GOT_TO("x@a.test") "BDAT 3|BDAT 0 LAST|)" BY("other") GOT_FROM GOT_TO("x@b.test") "BDAT 3 LAST|)", STORED STORED },
	{ "chunks for nobody", { WAYS, .mta.ehlo = CHUNKS }, IN(HI FROM TO("x@c.test") "BDAT 3 LAST\r\nx\r\n" TO("x@a.test") "BDAT 3 LAST\r\nx\r\n"),
	  SEEN_HI SENDER NO_ROUTE "503:5.5.1 " YES "250:2.6.0 ", BY("store") GOT_FROM GOT_TO("x@a.test") "BDAT 3 LAST|)", STORED },

	/* Refused, or lost: the next may choose. */
	{ "a refused way harms no other", { REFUSING(SMTP_R_HOP_TLSA) }, IN(HI FROM TO("x@a.test") TO("x@b.test") MESSAGE),
	  SEEN_HI SENDER "451:4.7.323 " YES SEEN_MESSAGE, BY("other") GOT_FROM GOT_TO("x@b.test") "DATA|.|)", STORED, "(tlsa-invalid)" },
	{ "nor what is there already", { REFUSING(SMTP_R_HOP_TLSA) }, IN(HI FROM TO("x@b.test") TO("x@a.test") MESSAGE),
	  SEEN_HI SENDER YES OTHER_WAY SEEN_MESSAGE, BY("other") GOT_FROM GOT_TO("x@b.test") "DATA|.|)", STORED },
	{ "refused for good", { REFUSING(SMTP_R_HOP_NULL_MX) }, IN(HI FROM TO("x@a.test") MESSAGE "QUIT\r\n"),
	  SEEN_HI SENDER "556:5.1.10 503:5.5.1 500:5.5.1 500:5.5.1 221:2.0.0 [quit]", "", "" },
	{ "refused again and again is no error", { REFUSING(SMTP_R_HOP_NO_HOST), .max_errors = 1 }, IN(HI FROM TO("1@a.test") TO("2@a.test") TO("3@a.test") TO("x@b.test") MESSAGE),
	  SEEN_HI SENDER "550:5.1.2 550:5.1.2 550:5.1.2 " YES SEEN_MESSAGE, NULL, STORED },
	{ "but attempts", { REFUSING(SMTP_R_HOP_DNS), .max_commands = 4 }, IN(HI FROM TO("1@a.test") TO("2@a.test") "NOOP\r\n"),
	  SEEN_HI SENDER "451:4.4.3 451:4.4.3 421:4.7.0 [too_many_commands]", "" },
	{ "a lost link frees the way", { WAYS }, IN(HI FROM TO("die@a.test") TO("x@b.test") "QUIT\r\n"), SEEN_HI SENDER "451:4.4.2 " YES "221:2.0.0 [quit]",
	  BY("store") GOT_FROM GOT_TO("die@a.test") ")" BY("other") GOT_FROM GOT_TO("x@b.test") "RSET|)" },
	{ "not with somebody accepted on it", { WAYS }, IN(HI FROM TO("x@a.test") WAIT TO("die@a.test") WAIT TO("x@b.test") MESSAGE "QUIT\r\n"),
	  SEEN_HI SENDER YES "451:4.4.2 451:4.4.2 451:4.4.2 500:5.5.1 500:5.5.1 221:2.0.0 [quit]",
	  BY("store") GOT_FROM GOT_TO("x@a.test") GOT_TO("die@a.test") ")", "" },
	/* The first message's 250, and the link is gone: RCPT and DATA go to the next one of the same way. */
	{ "a second try goes the same way", { WAYS, .two = true, .mta.close_after_final = true },
	  IN(HI FROM TO("x@a.test") MESSAGE WAIT FROM TO("y@a.test") TO("x@b.test") MESSAGE), SEEN_HI SENDER YES SEEN_MESSAGE SENDER YES OTHER_WAY SEEN_MESSAGE,
	  NULL, STORED STORED },

	/* Ways that hang on the domain */
	{ "mx: one domain, however it is written", { WAYS }, IN(HI FROM TO("x@one.m.test") TO("y@ONE.m.Test") MESSAGE), SEEN_HI SENDER YES YES SEEN_MESSAGE,
	  BY("mail") GOT_FROM GOT_TO("x@one.m.test") GOT_TO("y@ONE.m.Test") "DATA|.|)", STORED },
	{ "mx: two domains are two ways", { WAYS }, IN(HI FROM TO("x@one.m.test") TO("x@two.m.test") TO("y@one.m.test") MESSAGE FROM TO("x@two.m.test") MESSAGE),
	  SEEN_HI SENDER YES OTHER_WAY YES SEEN_MESSAGE SENDER YES SEEN_MESSAGE,
	  BY("mail") GOT_FROM GOT_TO("x@one.m.test") GOT_TO("y@one.m.test") "DATA|.|)" BY("mail") GOT_FROM GOT_TO("x@two.m.test") "DATA|.|)", STORED STORED },
	{ "mx: who was refused leaves the way to others", { WAYS }, IN(HI FROM TO("no@one.m.test") TO("x@two.m.test") TO("x@one.m.test") MESSAGE),
	  SEEN_HI SENDER NOBODY YES OTHER_WAY SEEN_MESSAGE,
	  BY("mail") GOT_FROM GOT_TO("no@one.m.test") "RSET|)" BY("mail") GOT_FROM GOT_TO("x@two.m.test") "DATA|.|)", STORED },
	{ "mx: another of the same domain needs no other link", { WAYS }, IN(HI FROM TO("no@one.m.test") TO("x@ONE.m.test") MESSAGE),
	  SEEN_HI SENDER NOBODY YES SEEN_MESSAGE, BY("mail") GOT_FROM GOT_TO("no@one.m.test") GOT_TO("x@ONE.m.test") "DATA|.|)", STORED },
	{ "mx: a part of a domain is another", { WAYS }, IN(HI FROM TO("x@one.m.test") TO("x@e.m.test") TO("x@tone.m.test") MESSAGE),
	  SEEN_HI SENDER YES OTHER_WAY OTHER_WAY SEEN_MESSAGE, NULL, STORED },
	{ "mx: a bad address between changes nothing", { WAYS }, IN(HI FROM TO("x@one.m.test") "RCPT TO:<x@two.m.test> FOO=1\r\n" TO("y@one.m.test") TO("x@two.m.test") MESSAGE),
	  SEEN_HI SENDER YES "555:5.5.4 " YES OTHER_WAY SEEN_MESSAGE, BY("mail") GOT_FROM GOT_TO("x@one.m.test") GOT_TO("y@one.m.test") "DATA|.|)", STORED },

	/* LMTP: RFC 2033 */
	{ "lmtp", { WAYS }, IN(HI FROM TO("x@l.test") MESSAGE FROM TO("y@l.test") MESSAGE), SEEN_HI SENDER YES SEEN_MESSAGE SENDER YES SEEN_MESSAGE,
	  BY_LMTP GOT_FROM GOT_TO("x@l.test") "DATA|.|" GOT_FROM GOT_TO("y@l.test") "DATA|.|)", STORED STORED },
	{ "lmtp: one recipient", { WAYS }, IN(HI FROM TO("x@l.test") TO("y@l.test") TO("z@l.test") MESSAGE), SEEN_HI SENDER YES OTHER_WAY OTHER_WAY SEEN_MESSAGE,
	  BY_LMTP GOT_FROM GOT_TO("x@l.test") "DATA|.|)", STORED, "452 4.5.3 Too many recipients" },
	{ "lmtp: one that was refused does not count", { WAYS }, IN(HI FROM TO("no@l.test") TO("later@l.test") TO("y@l.test") TO("z@l.test") MESSAGE),
	  SEEN_HI SENDER NOBODY "450:4.2.1 " YES OTHER_WAY SEEN_MESSAGE,
	  BY_LMTP GOT_FROM GOT_TO("no@l.test") GOT_TO("later@l.test") GOT_TO("y@l.test") "DATA|.|)", STORED },
	{ "lmtp: two replies to a message", { WAYS, .mta.final = "250 2.6.0 One\r\n250 2.6.0 Two\r\n" }, IN(HI FROM TO("x@l.test") MESSAGE WAIT FROM TO("y@l.test") "RSET\r\n"),
	  SEEN_HI SENDER YES SEEN_MESSAGE SENDER YES "250:2.0.0 ", NULL, STORED },
	{ "lmtp: chunks", { WAYS, .mta.ehlo = CHUNKS }, IN(HI FROM TO("x@l.test") TO("y@l.test") "BDAT 1\r\nxBDAT 2 LAST\r\n\r\n"),
	  SEEN_HI SENDER YES OTHER_WAY "250:2.0.0 250:2.6.0 ", BY_LMTP GOT_FROM GOT_TO("x@l.test") "BDAT 1|BDAT 2 LAST|)", STORED },
	{ "lmtp: a refused message", { WAYS, .mta.final = "552 5.2.2 Mailbox full\r\n" }, IN(HI FROM TO("x@l.test") MESSAGE), SEEN_HI SENDER YES "354 552:5.2.2 ", NULL, "" },

	/* Numbers */
	{ "a way's own number of recipients", { .ways = { { "few", { "*" }, .max_recipients = 2 } } },
	  IN(HI FROM TO("1@a.test") TO("2@b.test") TO("3@a.test") MESSAGE FROM TO("no@a.test") TO("2@a.test") TO("3@a.test") TO("4@a.test") MESSAGE),
	  SEEN_HI SENDER YES YES OTHER_WAY SEEN_MESSAGE SENDER NOBODY YES YES OTHER_WAY SEEN_MESSAGE, NULL, STORED STORED },
	{ "no more than everybody's", { .ways = { { "many", { "*" }, .max_recipients = 9 } }, .max_recipients = 2 },
	  IN(HI FROM TO("1@a.test") TO("2@b.test") TO("3@a.test") MESSAGE), SEEN_HI SENDER YES YES OTHER_WAY SEEN_MESSAGE, NULL, STORED },
};

/* STARTTLS behind: RFC 3207. */
#define OFFERS "250-mta.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n"
#define INSIDE "250-mta.test\r\n250 PIPELINING\r\n"
#define MUST .tls = BACKEND_TLS_MUST
#define MAY .tls = BACKEND_TLS_MAY
#define ALL HI ENVELOPE MESSAGE
#define SEEN_ALL SEEN_HI SEEN_ENVELOPE SEEN_MESSAGE
#define GOT_MESSAGE GOT_ENVELOPE "DATA|.|)"
#define FAILS(reply) IN(HI ENVELOPE "QUIT\r\n"), SEEN_HI "250:2.1.0 " reply " 221:2.0.0 [quit]"

static const struct dialogue tls[] = {
	{ "none: not asked for", { .mta.ehlo = OFFERS }, IN(ALL), SEEN_ALL, LINK GOT_MESSAGE, STORED },
	{ "may", { MAY, .mta = { .ehlo = OFFERS, .ehlo_in_tls = INSIDE } }, IN(ALL), SEEN_ALL, LINK "STARTTLS|+EHLO edge.test|" GOT_MESSAGE, STORED },
	{ "must", { MUST, .mta = { .ehlo = OFFERS, .ehlo_in_tls = INSIDE } }, IN(ALL), SEEN_ALL, LINK "STARTTLS|+EHLO edge.test|" GOT_MESSAGE, STORED },
	{ "may, not offered", { MAY }, IN(ALL), SEEN_ALL, LINK GOT_MESSAGE, STORED },
	{ "must, not offered", { MUST }, FAILS("451:4.7.321"), LINK ")", "", "(starttls-not-supported)" },
	{ "may, refused", { MAY, .mta = { .ehlo = OFFERS, .starttls = "454 4.7.0 Later\r\n" } }, IN(ALL), SEEN_ALL, LINK "STARTTLS|" GOT_MESSAGE, STORED },
	{ "may, unknown", { MAY, .mta = { .ehlo = OFFERS, .starttls = "502 5.5.1 What?\r\n" } }, IN(ALL), SEEN_ALL, LINK "STARTTLS|" GOT_MESSAGE, STORED },
	{ "must, refused", { MUST, .mta = { .ehlo = OFFERS, .starttls = "454 4.7.0 Later\r\n" } }, FAILS("451:4.7.321"), LINK "STARTTLS|)", "" },
	{ "must, unknown", { MUST, .mta = { .ehlo = OFFERS, .starttls = "502 5.5.1 What?\r\n" } }, FAILS("451:4.7.321"), LINK "STARTTLS|)", "" },
	{ "may, closing", { MAY, .mta = { .ehlo = OFFERS, .starttls = "421 4.3.2 Bye\r\n" } }, FAILS("451:4.3.2"), LINK "STARTTLS|)", "" },
	{ "may, closed", { MAY, .mta = { .ehlo = OFFERS, .starttls = "" } }, FAILS("451:4.4.1"), LINK "STARTTLS|)", "" },
	{ "a reply in many lines", { MUST, .mta = { .ehlo = OFFERS, .starttls = "220-2.0.0 Go\r\n220-on\r\n220 now\r\n", .ehlo_in_tls = INSIDE } },
	  IN(ALL), SEEN_ALL, LINK "STARTTLS|+EHLO edge.test|" GOT_MESSAGE, STORED },
	{ "another yes is none", { MAY, .mta = { .ehlo = OFFERS, .starttls = "250 Ok\r\n" } }, FAILS("451:4.3.0"), LINK "STARTTLS|)", "" },
	{ "octets behind the 220", { MUST, .mta = { .ehlo = OFFERS, .starttls = "220 Go\r\n250-mta\r\n250 PIPELINING\r\n" } }, FAILS("451:4.3.0"), LINK "STARTTLS|)", "" },
	{ "half a line behind the 220", { MAY, .mta = { .ehlo = OFFERS, .starttls = "220 Go\r\n2" } }, FAILS("451:4.3.0"), LINK "STARTTLS|)", "" },
	{ "STARTTLS is offered again", { MUST, .mta = { .ehlo = OFFERS, .ehlo_in_tls = OFFERS } }, IN(ALL), SEEN_ALL, LINK "STARTTLS|+EHLO edge.test|" GOT_MESSAGE, STORED },
	{ "what was offered in clear is forgotten", { MUST, .mta = { .ehlo = "250-mta\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 STARTTLS\r\n", .ehlo_in_tls = "250 mta\r\n" } },
	  IN(HI "MAIL FROM:<a@b.test> BODY=8BITMIME\r\nRCPT TO:<c@d.test>\r\n"), SEEN_HI "250:2.1.0 451:4.6.3 ", LINK "STARTTLS|+EHLO edge.test|)" },
	{ "what was not offered in clear counts", { MUST, .mta = { .ehlo = OFFERS, .ehlo_in_tls = "250-mta\r\n250 8BITMIME\r\n" } },
	  IN(HI "MAIL FROM:<a@b.test> BODY=8BITMIME\r\nRCPT TO:<c@d.test>\r\nRSET\r\n"), SEEN_HI "250:2.1.0 250:2.1.5 250:2.0.0 ",
	  LINK "STARTTLS|+EHLO edge.test|MAIL FROM:<a@b.test> BODY=8BITMIME|RCPT TO:<c@d.test>|RSET|)" },
	{ "EHLO is refused inside", { MUST, .mta = { .ehlo = OFFERS, .ehlo_in_tls = "502 5.5.1 What?\r\n" } }, FAILS("451:4.3.5"), LINK "STARTTLS|+EHLO edge.test|)", "" },
	{ "closed inside", { MUST, .mta = { .ehlo = OFFERS, .ehlo_in_tls = "" } }, FAILS("451:4.4.1"), LINK "STARTTLS|+EHLO edge.test|)", "" },
	{ "EHLO is refused in clear", { MUST, .mta.ehlo = "502 5.5.1 What?\r\n" }, FAILS("451:4.3.5"), LINK ")", "" },
	{ "XCLIENT inside only", { MUST, .xclient = true, .mta = { .ehlo = "250-mta\r\n250-XCLIENT ADDR\r\n250 STARTTLS\r\n", .ehlo_in_tls = "250-mta\r\n250 XCLIENT ADDR\r\n" } },
	  IN(ALL), SEEN_ALL, LINK "STARTTLS|+EHLO edge.test|XCLIENT ADDR=IPV6:2001:db8::7|EHLO me.test|" GOT_MESSAGE, STORED },
	{ "XCLIENT, then STARTTLS is offered again", { MAY, .xclient = true, .mta = { .ehlo = "250-mta\r\n250-XCLIENT ADDR\r\n250 STARTTLS\r\n", .starttls = "454 4.7.0 Later\r\n" } },
	  IN(ALL), SEEN_ALL, LINK "STARTTLS|XCLIENT ADDR=IPV6:2001:db8::7|EHLO me.test|" GOT_MESSAGE, STORED },
	{ "XCLIENT in clear does not count", { MUST, .xclient = true, .mta = { .ehlo = "250-mta\r\n250-XCLIENT ADDR\r\n250 STARTTLS\r\n", .ehlo_in_tls = INSIDE } },
	  FAILS("451:4.3.5"), LINK "STARTTLS|+EHLO edge.test|)", "" },
	{ "XFORWARD inside", { MUST, .xforward = true, .mta = { .ehlo = OFFERS, .ehlo_in_tls = "250-mta\r\n250 XFORWARD ADDR\r\n" } },
	  IN(ALL), SEEN_ALL, LINK "STARTTLS|+EHLO edge.test|XFORWARD ADDR=IPV6:2001:db8::7|" GOT_MESSAGE, STORED },
	{ "LMTP inside", { MUST, .lmtp = true, .xclient = true, .mta = { .ehlo = OFFERS, .ehlo_in_tls = "250-mta\r\n250 XCLIENT ADDR\r\n" } },
	  IN(ALL), SEEN_ALL, "(LHLO edge.test|STARTTLS|+LHLO edge.test|XCLIENT ADDR=IPV6:2001:db8::7|LHLO me.test|" GOT_MESSAGE, STORED },
};

int main(void)
{
	return dialogue_run_all("ways", ways, sizeof ways / sizeof *ways) + dialogue_run_all("tls behind", tls, sizeof tls / sizeof *tls);
}
