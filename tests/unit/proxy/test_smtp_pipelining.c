/* DATA in one group with its RCPTs: it goes to a backend that pipelines before the RCPTs are
 * answered, and the client sees the same as if it had waited. RFC 2920 3.1.
 *
 * Played whole the group is in hand at once, octet by octet nothing ever is: that each row
 * has one outcome for both is the point. Where a link ends early, what the backend heard
 * hangs on the cut and is not looked at. */
#include "dialogue.h"

#define FROM "MAIL FROM:<a@b.test>\r\n"
#define TO "RCPT TO:<c@d.test>\r\n"
#define GOT_FROM "MAIL FROM:<a@b.test>|"
#define GOT_TO "RCPT TO:<c@d.test>|"
#define MESSAGE "DATA\r\nx\r\n.\r\n"
#define STORED "x\r\n\n--\n"
#define SEEN_MESSAGE "354 250:2.6.0 "
#define BYE "221:2.0.0 [quit]"
#define LONE_LINK "250 mta.test\r\n"
#define PIPELINES "250-mta\r\n250 PIPELINING\r\n"
/* Says the first message's 250 and closes: the next transaction finds the link dead. */
#define DIES_REUSED .two = true, .mta = { .close_after_final = true }
#define FIRST FROM TO MESSAGE
#define SEEN_FIRST SEEN_ENVELOPE SEEN_MESSAGE

static const struct dialogue groups[] = {
	/* Turns: EHLO; MAIL, RCPT and DATA; the message. */
	{ "one group, one answer to wait for", { 0 }, IN(HI FROM TO MESSAGE "QUIT\r\n"), SEEN_HI SEEN_ENVELOPE SEEN_MESSAGE BYE,
	  LINK GOT_FROM GOT_TO "DATA|.|)", STORED, NULL, 3 },
	{ "many recipients in the group", { 0 }, IN(HI FROM TO "RCPT TO:<no@d>\r\nRCPT TO:<later@d>\r\n" TO MESSAGE),
	  SEEN_HI "250:2.1.0 250:2.1.5 550:5.1.1 450:4.2.1 250:2.1.5 " SEEN_MESSAGE,
	  LINK GOT_FROM GOT_TO "RCPT TO:<no@d>|RCPT TO:<later@d>|" GOT_TO "DATA|.|)", STORED, NULL, 3 },
	{ "a backend without PIPELINING waits as before", { .mta = { .ehlo = LONE_LINK } }, IN(HI FROM TO MESSAGE),
	  SEEN_HI SEEN_ENVELOPE SEEN_MESSAGE, LINK GOT_FROM GOT_TO "DATA|.|)", STORED, NULL, 5 },
	{ "without PIPELINING no DATA for nobody", { .mta = { .ehlo = LONE_LINK, .data_for_nobody = true } },
	  IN(HI FROM "RCPT TO:<no@d>\r\nDATA\r\nRSET\r\n"), SEEN_HI "250:2.1.0 550:5.1.1 503:5.5.1 250:2.0.0 ",
	  LINK GOT_FROM "RCPT TO:<no@d>|RSET|)", "" },
	{ "three messages on one link", { 0 }, IN(HI FIRST FIRST FIRST "QUIT\r\n"), SEEN_HI SEEN_FIRST SEEN_FIRST SEEN_FIRST BYE,
	  LINK GOT_FROM GOT_TO "DATA|.|" GOT_FROM GOT_TO "DATA|.|" GOT_FROM GOT_TO "DATA|.|)", STORED STORED STORED, NULL, 7 },
	{ "a blank behind DATA", { 0 }, IN(HI FROM TO "DATA \r\nx\r\n.\r\n"), SEEN_HI SEEN_ENVELOPE SEEN_MESSAGE, NULL, STORED, NULL, 3 },
	{ "DATA with an argument waits, and is refused", { 0 }, IN(HI FROM TO "DATA x\r\nRSET\r\n"), SEEN_HI SEEN_ENVELOPE "501:5.5.4 250:2.0.0 ",
	  LINK GOT_FROM GOT_TO "RSET|)", "" },
	{ "DATA with a control octet waits, and is refused", { 0 }, IN(HI FROM TO "DATA \x01\r\nRSET\r\n"), SEEN_HI SEEN_ENVELOPE "501:5.5.2 250:2.0.0 ",
	  LINK GOT_FROM GOT_TO "RSET|)", "" },
	{ "BINARYMIME forbids DATA", { .mta = { .ehlo = "250-mta\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 BINARYMIME\r\n" },
	                               .caps = SMTP_CAP_8BITMIME | SMTP_CAP_CHUNKING | SMTP_CAP_BINARYMIME },
	  IN(HI "MAIL FROM:<a@b.test> BODY=BINARYMIME\r\n" TO "DATA\r\nRSET\r\n"), SEEN_HI SEEN_ENVELOPE "503:5.5.1 250:2.0.0 ",
	  LINK "MAIL FROM:<a@b.test> BODY=BINARYMIME|" GOT_TO "RSET|)", "" },

	/* Nobody accepted */
	{ "all refused: the answer is ours, RSET ends it", { 0 }, IN(HI FROM "RCPT TO:<no@d>\r\nRCPT TO:<later@d>\r\nDATA\r\nRSET\r\n" FIRST),
	  SEEN_HI "250:2.1.0 550:5.1.1 450:4.2.1 503:5.5.1 250:2.0.0 " SEEN_FIRST,
	  LINK GOT_FROM "RCPT TO:<no@d>|RCPT TO:<later@d>|RSET|" GOT_FROM GOT_TO "DATA|.|)", STORED },
	{ "all refused, then one more that is not", { 0 }, IN(HI FROM "RCPT TO:<no@d>\r\nDATA\r\n" TO MESSAGE),
	  SEEN_HI "250:2.1.0 550:5.1.1 503:5.5.1 250:2.1.5 " SEEN_MESSAGE, LINK GOT_FROM "RCPT TO:<no@d>|" GOT_TO "DATA|.|)", STORED },
	{ "all refused, and a 354 all the same", { .mta = { .data_for_nobody = true } }, IN(HI FROM "RCPT TO:<no@d>\r\nDATA\r\nNOOP\r\nRSET\r\n" FIRST),
	  SEEN_HI "250:2.1.0 550:5.1.1 503:5.5.1 250:2.0.0 250:2.0.0 " SEEN_FIRST, NULL, STORED },
	{ "after such a 354 a recipient finds another link", { .mta = { .data_for_nobody = true } }, IN(HI FROM "RCPT TO:<no@d>\r\nDATA\r\n" TO MESSAGE),
	  SEEN_HI "250:2.1.0 550:5.1.1 503:5.5.1 250:2.1.5 " SEEN_MESSAGE, NULL, STORED },
	{ "after such a 354 what looks like a message is commands", { .mta = { .data_for_nobody = true } },
	  IN(HI FROM "RCPT TO:<no@d>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"), SEEN_HI "250:2.1.0 550:5.1.1 503:5.5.1 500:5.5.1 500:5.5.1 " BYE, NULL, "" },
	{ "all refused, DATA: garbage", { .mta = { .data_for_nobody = true, .data = "hello\r\n" } }, IN(HI FROM "RCPT TO:<no@d>\r\nDATA\r\nRSET\r\n" FROM),
	  SEEN_HI "250:2.1.0 550:5.1.1 503:5.5.1 250:2.0.0 250:2.1.0 ", NULL, "" },
	{ "all refused, DATA: 250", { .mta = { .data_for_nobody = true, .data = "250 2.0.0 Ok\r\n" } }, IN(HI FROM "RCPT TO:<no@d>\r\nDATA\r\nRSET\r\n"),
	  SEEN_HI "250:2.1.0 550:5.1.1 503:5.5.1 250:2.0.0 ", NULL, "" },
	{ "all refused, DATA: 421", { .mta = { .data_for_nobody = true, .data = "421 4.3.2 Bye\r\n" } }, IN(HI FROM "RCPT TO:<no@d>\r\nDATA\r\nRSET\r\n"),
	  SEEN_HI "250:2.1.0 550:5.1.1 503:5.5.1 250:2.0.0 ", NULL, "" },
	{ "all refused, DATA: the link ends", { .mta = { .data_for_nobody = true, .data = "" } }, IN(HI FROM "RCPT TO:<no@d>\r\nDATA\r\nRSET\r\n" FROM),
	  SEEN_HI "250:2.1.0 550:5.1.1 503:5.5.1 250:2.0.0 250:2.1.0 ", NULL, "" },
	{ "DATA for nobody counts as an error", { .max_errors = 2, .mta = { .data_for_nobody = true } }, IN(HI FROM "RCPT TO:<no@d>\r\nDATA\r\nDATA\r\nNOOP\r\n"),
	  SEEN_HI "250:2.1.0 550:5.1.1 503:5.5.1 421:4.7.0 [too_many_errors]", NULL, "" },
	{ "MAIL refused", { .mta = { .mail = "550 5.7.1 No\r\n" } }, IN(HI FROM "RCPT TO:<no@d>\r\nDATA\r\nRSET\r\n"),
	  SEEN_HI "250:2.1.0 550:5.7.1 503:5.5.1 250:2.0.0 ", LINK GOT_FROM "RCPT TO:<no@d>|RSET|)", "" },
	{ "MAIL refused, RCPT taken, 354", { .mta = { .mail = "450 4.7.1 No\r\n", .data_for_nobody = true } }, IN(HI FROM TO "DATA\r\nx\r\n.\r\nQUIT\r\n"),
	  SEEN_HI "250:2.1.0 450:4.7.1 503:5.5.1 500:5.5.1 500:5.5.1 " BYE, NULL, "" },

	/* Somebody accepted, DATA not */
	{ "DATA refused", { .mta = { .data = "451 4.3.0 Not now\r\n" } }, IN(HI FROM TO "DATA\r\nDATA\r\nRSET\r\nQUIT\r\n"),
	  SEEN_HI SEEN_ENVELOPE "451:4.3.0 451:4.3.0 250:2.0.0 " BYE, LINK GOT_FROM GOT_TO "DATA|DATA|RSET|)", "" },
	{ "DATA: 250 is no answer", { .mta = { .data = "250 2.0.0 Ok\r\n" } }, IN(HI FROM TO "DATA\r\nNOOP\r\n"),
	  SEEN_HI SEEN_ENVELOPE "451:4.3.0 250:2.0.0 ", LINK GOT_FROM GOT_TO "DATA|)", "" },
	{ "DATA: 421", { .mta = { .data = "421 4.3.2 Bye\r\n" } }, IN(HI FROM TO "DATA\r\nNOOP\r\n"),
	  SEEN_HI SEEN_ENVELOPE "451:4.3.2 250:2.0.0 ", LINK GOT_FROM GOT_TO "DATA|)", "" },
	{ "the link ends at DATA", { .mta = { .data = "" } }, IN(HI FROM TO "DATA\r\nNOOP\r\n"),
	  SEEN_HI SEEN_ENVELOPE "451:4.4.2 250:2.0.0 ", LINK GOT_FROM GOT_TO "DATA|)", "" },
	{ "354 to a RCPT", { .mta = { .rcpt = "354 Go on\r\n" } }, IN(HI FROM TO "DATA\r\nx\r\n.\r\n"),
	  SEEN_HI "250:2.1.0 451:4.3.0 503:5.5.1 500:5.5.1 500:5.5.1 ", NULL, "" },
	{ "one answer too many to a RCPT is not DATA's", { .mta = { .rcpt = "250 2.1.5 Ok\r\n354 Go on\r\n" } }, IN(HI FROM TO "DATA\r\nx\r\n.\r\n"),
	  NULL, NULL, "" },

	/* The link is lost with DATA behind: RFC 5321 3.3, no recipient is forgotten. */
	{ "lost at the only RCPT", { 0 }, IN(HI FROM "RCPT TO:<die@d>\r\nDATA\r\nRSET\r\n" FIRST),
	  SEEN_HI "250:2.1.0 451:4.4.2 503:5.5.1 250:2.0.0 " SEEN_FIRST, NULL, STORED },
	{ "lost behind an accepted RCPT", { 0 }, IN(HI FROM TO "RCPT TO:<die@d>\r\nDATA\r\nNOOP\r\n"),
	  SEEN_HI "250:2.1.0 250:2.1.5 451:4.4.2 451:4.4.2 250:2.0.0 ", NULL, "" },
	{ "421 to a RCPT", { .mta = { .rcpt = "421 4.3.2 Bye\r\n" } }, IN(HI FROM TO "DATA\r\nNOOP\r\n"),
	  SEEN_HI "250:2.1.0 451:4.3.2 503:5.5.1 250:2.0.0 ", NULL, "" },

	/* A reused link that is dead: once more, with DATA */
	{ "a dead link: RCPT and DATA go to the next", { DIES_REUSED }, IN(HI FIRST FIRST "QUIT\r\n"), SEEN_HI SEEN_FIRST SEEN_FIRST BYE,
	  NULL, STORED STORED },
	{ "a dead link: the next does not pipeline", { DIES_REUSED, .mta_later = { .ehlo = LONE_LINK } }, IN(HI FIRST FIRST), SEEN_HI SEEN_FIRST SEEN_FIRST,
	  NULL, STORED STORED },
	{ "a dead link: the next refuses RCPT, and DATA is not sent", { DIES_REUSED, .mta_later = { .ehlo = LONE_LINK, .data_for_nobody = true } },
	  IN(HI FIRST FROM "RCPT TO:<no@d>\r\nDATA\r\nRSET\r\n"), SEEN_HI SEEN_FIRST "250:2.1.0 550:5.1.1 503:5.5.1 250:2.0.0 ", NULL, STORED },
	{ "a dead link: the next refuses RCPT, and says 354", { DIES_REUSED, .mta_later = { .ehlo = PIPELINES, .data_for_nobody = true } },
	  IN(HI FIRST FROM "RCPT TO:<no@d>\r\nDATA\r\nRSET\r\n"), SEEN_HI SEEN_FIRST "250:2.1.0 550:5.1.1 503:5.5.1 250:2.0.0 ", NULL, STORED },
	{ "a dead link: the next is dead too", { DIES_REUSED, .mta_later = { .rcpt = "" } }, IN(HI FIRST FROM TO "DATA\r\nNOOP\r\n"),
	  SEEN_HI SEEN_FIRST "250:2.1.0 451:4.4.2 503:5.5.1 250:2.0.0 ", NULL, STORED },
	{ "a dead link: there is no next", { DIES_REUSED, .mta_later = { .refuse_connect = true } }, IN(HI FIRST FROM TO "DATA\r\nNOOP\r\n"),
	  SEEN_HI SEEN_FIRST "250:2.1.0 451:4.4.1 503:5.5.1 250:2.0.0 ", NULL, STORED },
	{ "a dead link: the next lacks 8BITMIME", { DIES_REUSED, .mta_later = { .ehlo = PIPELINES } },
	  IN(HI FIRST "MAIL FROM:<a@b.test> BODY=8BITMIME\r\n" TO "DATA\r\nNOOP\r\n"), SEEN_HI SEEN_FIRST "250:2.1.0 451:4.6.3 503:5.5.1 250:2.0.0 ",
	  NULL, STORED },

	/* Limits, ends */
	{ "more recipients than allowed, then DATA", { .max_recipients = 1 }, IN(HI FROM TO TO MESSAGE),
	  SEEN_HI SEEN_ENVELOPE "452:4.5.3 " SEEN_MESSAGE, LINK GOT_FROM GOT_TO "DATA|.|)", STORED },
	{ "half-close behind a group", { .eof = true }, IN(HI FROM TO "DATA\r\n"), SEEN_HI SEEN_ENVELOPE "354 [client_closed]",
	  LINK GOT_FROM GOT_TO "DATA|)", "" },
	{ "half-close behind a group for nobody", { .eof = true, .mta = { .data_for_nobody = true } }, IN(HI FROM "RCPT TO:<no@d>\r\nDATA\r\n"),
	  SEEN_HI "250:2.1.0 550:5.1.1 503:5.5.1 [client_closed]", NULL, "" },
	{ "BDAT waits as before", { 0 }, IN(HI FROM TO "BDAT 3 LAST\r\nx\r\n"), SEEN_HI SEEN_ENVELOPE "250:2.6.0 ", LINK GOT_FROM GOT_TO "DATA|.|)",
	  STORED, NULL, 4 },
};

int main(void)
{
	return dialogue_run_all("pipelining", groups, sizeof groups / sizeof *groups);
}
