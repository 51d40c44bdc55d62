/* BDAT to a backend that offers CHUNKING: it goes on as BDAT, every answer waits
 * for the backend's, and what is refused is never whole behind us. RFC 3030. */
#include "dialogue.h"

#define OFFERS "250-mta.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-CHUNKING\r\n"
#define CHUNKING OFFERS "250 SIZE\r\n"
#define BINARY OFFERS "250 BINARYMIME\r\n"
#define BINARY_CAPS (SMTP_CAP_PIPELINING | SMTP_CAP_8BITMIME | SMTP_CAP_CHUNKING | SMTP_CAP_BINARYMIME)
#define BY_BDAT .mta = { .ehlo = CHUNKING }
#define BY_BINARY .caps = BINARY_CAPS, .mta = { .ehlo = BINARY }
#define BINARY_ENVELOPE "MAIL FROM:<a@b.test> BODY=BINARYMIME\r\nRCPT TO:<c@d.test>\r\n"
#define GOT_BINARY "MAIL FROM:<a@b.test> BODY=BINARYMIME|RCPT TO:<c@d.test>|"
#define SEEN SEEN_HI SEEN_ENVELOPE
#define START HI ENVELOPE
#define OK_CHUNK "250:2.0.0 "
#define OK_LAST "250:2.6.0 "
#define BYE "221:2.0.0 [quit]"
#define T100 "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456\r\n!"
#define T500 T100 T100 T100 T100 T100

static const struct dialogue chunks[] = {
	/* Passed on */
	{ "one chunk", { BY_BDAT }, IN(START "BDAT 7 LAST\r\nhello\r\nQUIT\r\n"), SEEN OK_LAST BYE, LINK GOT_ENVELOPE "BDAT 7 LAST|)", "hello\r\n\n--\n" },
	{ "three chunks, a line end cut in two", { BY_BDAT }, IN(START "BDAT 4\r\nhellBDAT 2\r\no\rBDAT 1 LAST\r\n\nQUIT\r\n"),
	  SEEN OK_CHUNK OK_CHUNK OK_LAST BYE, LINK GOT_ENVELOPE "BDAT 4|BDAT 2|BDAT 1 LAST|)", "hello\r\n\n--\n" },
	{ "step by step", { BY_BDAT }, IN(START "BDAT 4\r\n" WAIT "hell" WAIT "BDAT 3 LAST\r\no" WAIT "\r" WAIT "\nQUIT\r\n"),
	  SEEN OK_CHUNK OK_LAST BYE, LINK GOT_ENVELOPE "BDAT 4|BDAT 3 LAST|)", "hello\r\n\n--\n" },
	{ "nothing is stuffed, nothing added", { BY_BDAT }, IN(START "BDAT 15 LAST\r\n.\r\n.x\r\n..\r\n.\r\n."), SEEN OK_LAST,
	  LINK GOT_ENVELOPE "BDAT 15 LAST|)", ".\r\n.x\r\n..\r\n.\r\n.\n--\n" },
	{ "lower case, and zeros before the number", { BY_BDAT }, IN(START "bdat 003 last\r\nabc"), SEEN OK_LAST,
	  LINK GOT_ENVELOPE "BDAT 3 LAST|)", "abc\n--\n" },
	{ "an empty last chunk", { BY_BDAT }, IN(START "BDAT 3\r\nx\r\nBDAT 0 LAST\r\n"), SEEN OK_CHUNK OK_LAST,
	  LINK GOT_ENVELOPE "BDAT 3|BDAT 0 LAST|)", "x\r\n\n--\n" },
	{ "an empty message", { BY_BDAT }, IN(START "BDAT 0 LAST\r\n"), SEEN OK_LAST, LINK GOT_ENVELOPE "BDAT 0 LAST|)", "\n--\n" },
	{ "empty chunks first, and between, where they go no further", { BY_BDAT }, IN(START "BDAT 0\r\nBDAT 1\r\nxBDAT 0\r\nBDAT 0 LAST\r\n"),
	  SEEN OK_CHUNK OK_CHUNK OK_CHUNK OK_LAST, LINK GOT_ENVELOPE "BDAT 0|BDAT 1|BDAT 0 LAST|)", "x\n--\n" },
	{ "chunks that look like commands and ends", { BY_BDAT }, IN(START "BDAT 9\r\n\r\n.\r\nQUITBDAT 8 LAST\r\n\r\nRSET\r\nNOOP\r\n"),
	  SEEN OK_CHUNK OK_LAST "250:2.0.0 ", LINK GOT_ENVELOPE "BDAT 9|BDAT 8 LAST|)", "\r\n.\r\nQUIT\r\nRSET\r\n\n--\n" },
	{ "two messages on one link, the second by DATA", { BY_BDAT }, IN(START "BDAT 3 LAST\r\nx\r\n" ENVELOPE "DATA\r\n..y\r\n.\r\nQUIT\r\n"),
	  SEEN OK_LAST SEEN_ENVELOPE "354 " OK_LAST BYE, LINK GOT_ENVELOPE "BDAT 3 LAST|" GOT_ENVELOPE "DATA|.|)", "x\r\n\n--\n.y\r\n\n--\n" },
	{ "two messages, the first by DATA", { BY_BDAT }, IN(START "DATA\r\ny\r\n.\r\n" ENVELOPE "BDAT 1\r\nxBDAT 2 LAST\r\n\r\n"),
	  SEEN "354 " OK_LAST SEEN_ENVELOPE OK_CHUNK OK_LAST, LINK GOT_ENVELOPE "DATA|.|" GOT_ENVELOPE "BDAT 1|BDAT 2 LAST|)", "y\r\n\n--\nx\r\n\n--\n" },
	{ "inside TLS", { BY_BDAT }, IN(HI "STARTTLS\r\n" WAIT HI ENVELOPE "BDAT 3\r\nx\r\nBDAT 0 LAST\r\n"),
	  SEEN_HI "220:2.0.0 TLS 250 " SEEN_ENVELOPE OK_CHUNK OK_LAST, LINK GOT_ENVELOPE "BDAT 3|BDAT 0 LAST|)", "x\r\n\n--\n" },
	{ "to a backend without PIPELINING", { .mta = { .ehlo = "250-mta\r\n250 CHUNKING\r\n" } }, IN(START "BDAT 1\r\nxBDAT 2 LAST\r\n\r\n"),
	  SEEN OK_CHUNK OK_LAST, LINK GOT_ENVELOPE "BDAT 1|BDAT 2 LAST|)", "x\r\n\n--\n" },
	{ "commands behind the last chunk wait for its answer", { BY_BDAT }, IN(START "BDAT 1 LAST\r\nxMAIL FROM:<e@f>\r\nRSET\r\nQUIT\r\n"),
	  SEEN OK_LAST "250:2.1.0 250:2.0.0 " BYE, NULL },
	{ "a chunk behind the last one", { BY_BDAT }, IN(START "BDAT 1 LAST\r\nxBDAT 5 LAST\r\nQUIT\rNOOP\r\n"),
	  SEEN OK_LAST "503:5.5.1 250:2.0.0 ", LINK GOT_ENVELOPE "BDAT 1 LAST|)", "x\n--\n" },
	{ "the limit counts the client's octets only", { BY_BDAT, .max_size = 8 }, IN(START "BDAT 4\r\nab\r\nBDAT 4 LAST\r\ncd\r\n"),
	  SEEN OK_CHUNK OK_LAST, NULL, "ab\r\ncd\r\n\n--\n" },

	/* Turned into DATA */
	{ "a backend that lost CHUNKING gets DATA", { .caps = SMTP_CAP_CHUNKING }, IN(START "BDAT 2\r\n.xBDAT 2 LAST\r\n\r\n"),
	  SEEN "250:2.0.0 " OK_LAST, LINK GOT_ENVELOPE "DATA|.|)", ".x\r\n\n--\n" },
	{ "normalize: repairs would change the sizes", { BY_BDAT, .normalize = true }, IN(START "BDAT 2\r\na\nBDAT 2 LAST\r\nb\n"),
	  SEEN "250:2.0.0 " OK_LAST, LINK GOT_ENVELOPE "DATA|.|)", "a\r\nb\r\n\n--\n" },
	{ "an exempt client the same", { BY_BDAT, .exempt = true }, IN(START "BDAT 4 LAST\r\na\nb\n"), SEEN OK_LAST,
	  LINK GOT_ENVELOPE "DATA|.|)", "a\r\nb\r\n\n--\n" },

	/* Replies: each is the backend's own */
	{ "words of the last answer", { .mta = { .ehlo = CHUNKING, .bdat = "250 2.0.0 3 octets\r\n", .final = "250 2.0.0 queued as 7\r\n" } },
	  IN(START "BDAT 3\r\nx\r\nBDAT 0 LAST\r\n"), SEEN "250:2.0.0 250:2.0.0 ", NULL, NULL, "250 2.0.0 Octets received\n250 2.0.0 queued as 7\n" },
	{ "naked codes", { .mta = { .ehlo = CHUNKING, .bdat = "250\r\n", .final = "250\r\n" } }, IN(START "BDAT 3\r\nx\r\nBDAT 0 LAST\r\n"),
	  SEEN "250:2.0.0 250:2.0.0 ", NULL },
	{ "the last chunk is refused", { .mta = { .ehlo = CHUNKING, .final = "554 5.7.1 Spam\r\n" } }, IN(START "BDAT 3 LAST\r\nx\r\n" ENVELOPE),
	  SEEN "554:5.7.1 " SEEN_ENVELOPE, LINK GOT_ENVELOPE "BDAT 3 LAST|RSET|" GOT_ENVELOPE ")", "" },
	{ "the last chunk is deferred", { .mta = { .ehlo = CHUNKING, .final = "452 4.3.1 Full\r\n" } }, IN(START "BDAT 3\r\nx\r\nBDAT 0 LAST\r\nNOOP\r\n"),
	  SEEN OK_CHUNK "452:4.3.1 250:2.0.0 ", LINK GOT_ENVELOPE "BDAT 3|BDAT 0 LAST|RSET|)", "" },
	{ "a chunk is refused: all behind it get the same", { .mta = { .ehlo = CHUNKING, .good_chunks = 1, .bdat = "452 4.3.1 Full\r\n" } },
	  IN(START "BDAT 1\r\naBDAT 1\r\nbBDAT 1\r\ncBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"),
	  SEEN OK_CHUNK "452:4.3.1 452:4.3.1 452:4.3.1 250:2.0.0 ", LINK GOT_ENVELOPE "BDAT 1|BDAT 1|RSET|)", "" },
	{ "a chunk is refused, and RSET", { .mta = { .ehlo = CHUNKING, .good_chunks = 1, .bdat = "552 5.3.4 Big\r\n" } },
	  IN(START "BDAT 1\r\naBDAT 1\r\nbRSET\r\n" ENVELOPE "BDAT 1 LAST\r\nc"),
	  SEEN OK_CHUNK "552:5.3.4 250:2.0.0 " SEEN_ENVELOPE OK_LAST, LINK GOT_ENVELOPE "BDAT 1|BDAT 1|RSET|" GOT_ENVELOPE "BDAT 1 LAST|)", "c\n--\n" },
	{ "chunks that hold nothing are not free after a refusal", { .max_commands = 4, .mta = { .ehlo = CHUNKING, .bdat = "452 4.3.1 Full\r\n" } },
	  IN(START "BDAT 1\r\nxBDAT 1\r\nxBDAT 1\r\nxBDAT 1\r\nxNOOP\r\n"),
	  SEEN "452:4.3.1 452:4.3.1 452:4.3.1 452:4.3.1 421:4.7.0 [too_many_commands]", NULL, "" },
	{ "354 to a chunk", { .mta = { .ehlo = CHUNKING, .bdat = "354 Go on\r\n" } }, IN(START "BDAT 1\r\nxBDAT 1 LAST\r\nyNOOP\r\n"),
	  SEEN "451:4.3.0 451:4.3.0 250:2.0.0 ", LINK GOT_ENVELOPE "BDAT 1|)", "" },
	{ "251 to a chunk", { .mta = { .ehlo = CHUNKING, .bdat = "251 Fine\r\n" } }, IN(START "BDAT 1\r\nxBDAT 1 LAST\r\nyNOOP\r\n"),
	  SEEN "451:4.3.0 451:4.3.0 250:2.0.0 ", LINK GOT_ENVELOPE "BDAT 1|)", "" },
	{ "251 to the last chunk", { .mta = { .ehlo = CHUNKING, .final = "251 Fine\r\n" } }, IN(START "BDAT 1 LAST\r\nxNOOP\r\n"),
	  SEEN "451:4.3.0 250:2.0.0 ", LINK GOT_ENVELOPE "BDAT 1 LAST|)", "" },
	{ "354 to the last chunk", { .mta = { .ehlo = CHUNKING, .final = "354 Go on\r\n" } }, IN(START "BDAT 1 LAST\r\nxNOOP\r\n"),
	  SEEN "451:4.3.0 250:2.0.0 ", LINK GOT_ENVELOPE "BDAT 1 LAST|)", "" },
	{ "421 to a chunk", { .mta = { .ehlo = CHUNKING, .bdat = "421 4.3.2 Bye\r\n" } }, IN(START "BDAT 1\r\nxBDAT 1 LAST\r\nyNOOP\r\n"),
	  SEEN "451:4.3.2 451:4.3.2 250:2.0.0 ", LINK GOT_ENVELOPE "BDAT 1|)", "" },
	{ "530 to a chunk is our affair", { .mta = { .ehlo = CHUNKING, .bdat = "530 5.7.0 Login\r\n" } }, IN(START "BDAT 1\r\nxRSET\r\nNOOP\r\n"),
	  SEEN "451:4.3.5 250:2.0.0 250:2.0.0 ", LINK GOT_ENVELOPE "BDAT 1|)", "" },
	{ "closes instead of answering a chunk", { .mta = { .ehlo = CHUNKING, .bdat = "" } }, IN(START "BDAT 1\r\nxBDAT 1 LAST\r\nyNOOP\r\n"),
	  SEEN "451:4.4.2 451:4.4.2 250:2.0.0 ", LINK GOT_ENVELOPE "BDAT 1|)", "" },
	{ "closes instead of answering the last", { .mta = { .ehlo = CHUNKING, .final = "" } }, IN(START "BDAT 1\r\nxBDAT 1 LAST\r\nyNOOP\r\n"),
	  SEEN OK_CHUNK "451:4.4.2 250:2.0.0 ", LINK GOT_ENVELOPE "BDAT 1|BDAT 1 LAST|)", "" },
	{ "closes in the middle of a chunk", { .mta = { .ehlo = CHUNKING, .blurt = "" } }, IN(START "BDAT 500 LAST\r\n" T500 "NOOP\r\n"),
	  SEEN "451:4.4.2 250:2.0.0 ", NULL, "" },
	/* RFC 3030 2: an answer comes behind the octets. One before them answers nothing. */
	{ "250 in the middle of the last chunk", { .mta = { .ehlo = CHUNKING, .blurt = "250 2.0.0 Stored\r\n", .final = "451 4.3.0 No\r\n" } },
	  IN(START "BDAT 500\r\n" T500 WAIT "BDAT 500 LAST\r\n" T500 "NOOP\r\n"), NULL, NULL, "" },
	{ "421 in the middle of a chunk", { .mta = { .ehlo = CHUNKING, .blurt = "421 4.3.2 Bye\r\n", .bdat = "" } },
	  IN(START "BDAT 500\r\n" WAIT T500 WAIT "BDAT 2 LAST\r\nxxNOOP\r\n"), SEEN "451:4.3.2 451:4.3.2 250:2.0.0 ", NULL, "" },
	/* The link is gone before the client was told: no 5xx may come of that. */
	{ "lost between chunks", { .mta = { .ehlo = CHUNKING, .close_after_final = true } },
	  IN(START "BDAT 1\r\nx" WAIT "BDAT 1\r\nyBDAT 1 LAST\r\nzNOOP\r\n"), SEEN OK_CHUNK "451:4.4.2 451:4.4.2 250:2.0.0 ", LINK GOT_ENVELOPE "BDAT 1|)", "" },

	/* RSET and ends */
	{ "RSET between chunks keeps the link", { BY_BDAT }, IN(START "BDAT 3\r\nx\r\nRSET\r\n" ENVELOPE "BDAT 1 LAST\r\ny"),
	  SEEN OK_CHUNK "250:2.0.0 " SEEN_ENVELOPE OK_LAST, LINK GOT_ENVELOPE "BDAT 3|RSET|" GOT_ENVELOPE "BDAT 1 LAST|)", "y\n--\n" },
	{ "EHLO between chunks is a RSET", { BY_BDAT }, IN(START "BDAT 3\r\nx\r\n" HI "BDAT 1 LAST\r\ny"),
	  SEEN OK_CHUNK "250 503:5.5.1 ", LINK GOT_ENVELOPE "BDAT 3|RSET|)", "" },
	{ "QUIT between chunks", { BY_BDAT }, IN(START "BDAT 3\r\nx\r\nQUIT\r\n"), SEEN OK_CHUNK BYE, LINK GOT_ENVELOPE "BDAT 3|RSET|)", "" },
	{ "DATA, MAIL, RCPT between chunks", { BY_BDAT }, IN(START "BDAT 3\r\nx\r\nDATA\r\nMAIL FROM:<e@f>\r\nRCPT TO:<e@f>\r\nSTARTTLS\r\nBDAT 0 LAST\r\n"),
	  SEEN OK_CHUNK "503:5.5.1 503:5.5.1 503:5.5.1 503:5.5.1 " OK_LAST, LINK GOT_ENVELOPE "BDAT 3|BDAT 0 LAST|)", "x\r\n\n--\n" },
	{ "the client leaves in the middle of a chunk", { BY_BDAT, .eof = true }, IN(START "BDAT 5 LAST\r\nhell"), SEEN "[client_closed]",
	  LINK GOT_ENVELOPE "BDAT )", "" },
	{ "the client leaves between chunks", { BY_BDAT, .eof = true }, IN(START "BDAT 4\r\nhell"), SEEN OK_CHUNK "[client_closed]",
	  LINK GOT_ENVELOPE "BDAT 4|)", "" },
	{ "the client leaves behind the last chunk", { BY_BDAT, .eof = true }, IN(START "BDAT 4 LAST\r\nhell"), SEEN OK_LAST "[client_closed]",
	  LINK GOT_ENVELOPE "BDAT 4 LAST|)", "hell\n--\n" },
	{ "draining lets all chunks through", { BY_BDAT, .draining = true }, IN(START "BDAT 1\r\nx" WAIT "BDAT 1 LAST\r\nyNOOP\r\n"),
	  SEEN OK_CHUNK OK_LAST "421:4.3.2 [shutdown]", NULL, "xy\n--\n" },

	/* The same policy about line ends; what is refused is never whole */
#define REFUSED_CHUNK(title, in, got) { "refused, " title, { BY_BDAT }, IN(START in "NOOP\r\n"), SEEN "554:5.6.0 250:2.0.0 ", LINK GOT_ENVELOPE got ")", "" }
	REFUSED_CHUNK("LF.LF", "BDAT 5 LAST\r\na\n.\nb", "BDAT "), REFUSED_CHUNK("CR.CR", "BDAT 5 LAST\r\na\r.\rb", "BDAT "),
	REFUSED_CHUNK("LF.CRLF", "BDAT 6 LAST\r\na\n.\r\nb", "BDAT "), REFUSED_CHUNK("CRLF.LF", "BDAT 6 LAST\r\na\r\n.\nb", "BDAT "),
	REFUSED_CHUNK("CRLF.CR", "BDAT 6 LAST\r\na\r\n.\rb", "BDAT "), REFUSED_CHUNK("NUL", "BDAT 3 LAST\r\na\0b", "BDAT "),
	REFUSED_CHUNK("LF at the start", "BDAT 2 LAST\r\n\nb", "BDAT "), REFUSED_CHUNK("LF at the end", "BDAT 2 LAST\r\na\n", "BDAT "),
	REFUSED_CHUNK("CR at the end", "BDAT 2 LAST\r\na\r", "BDAT "), REFUSED_CHUNK("NUL at the end", "BDAT 2 LAST\r\na\0", "BDAT "),
	REFUSED_CHUNK("CR CR LF", "BDAT 5 LAST\r\na\r\r\nb", "BDAT "),
#define REFUSED_LATER(title, in, got) { "refused, " title, { BY_BDAT }, IN(START in "NOOP\r\n"), SEEN OK_CHUNK "554:5.6.0 250:2.0.0 ", LINK GOT_ENVELOPE got ")", "" }
	REFUSED_LATER("a CR at the end of a chunk, no LF in the next", "BDAT 2\r\na\rBDAT 1 LAST\r\nb", "BDAT 2|BDAT "),
	REFUSED_LATER("a CR at the end of a chunk, CR in the next", "BDAT 2\r\na\rBDAT 2 LAST\r\n\r\n", "BDAT 2|BDAT "),
	/* Once announced, the empty chunk would have completed it. */
	REFUSED_LATER("a CR at the end of a chunk, and an empty last one", "BDAT 2\r\na\rBDAT 0 LAST\r\n", "BDAT 2|"),
	{ "refused, a CR at the end, an empty chunk, an empty last one", { BY_BDAT }, IN(START "BDAT 2\r\na\rBDAT 0\r\nBDAT 0 LAST\r\nNOOP\r\n"),
	  SEEN OK_CHUNK OK_CHUNK "554:5.6.0 250:2.0.0 ", LINK GOT_ENVELOPE "BDAT 2|)", "" },
	{ "a CR, an empty chunk, the LF", { BY_BDAT }, IN(START "BDAT 2\r\na\rBDAT 0\r\nBDAT 1 LAST\r\n\n"),
	  SEEN OK_CHUNK OK_CHUNK OK_LAST, NULL, "a\r\n\n--\n" },
	{ "refused, chunks behind it are read away", { BY_BDAT }, IN(START "BDAT 3\r\na\nbBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nRSET\r\n" ENVELOPE),
	  SEEN "554:5.6.0 554:5.6.0 554:5.6.0 " SEEN_ENVELOPE, LINK GOT_ENVELOPE "BDAT )" LINK GOT_ENVELOPE ")", "" },
	{ "refused, beyond the limit in the second chunk", { BY_BDAT, .max_size = 8 }, IN(START "BDAT 5\r\nabc\r\nBDAT 5 LAST\r\ndef\r\nNOOP\r\n"),
	  SEEN OK_CHUNK "552:5.3.4 250:2.0.0 ", NULL, "" },
	{ "refused, one CR beyond the limit", { BY_BDAT, .max_size = 3 }, IN(START "BDAT 2\r\nabBDAT 2\r\nc\rBDAT 1 LAST\r\n\nNOOP\r\n"),
	  SEEN OK_CHUNK "552:5.3.4 552:5.3.4 250:2.0.0 ", NULL, "" },
	{ "a chunk of 2^63", { BY_BDAT }, IN(START "BDAT 9223372036854775808 LAST\r\nNOOP\r\n"), SEEN "552:5.3.4 [message_too_big]", LINK GOT_ENVELOPE ")", "" },

	/* BINARYMIME */
	{ "BINARYMIME is offered", { BY_BINARY }, IN(HI), SEEN_HI, NULL, NULL, "250-CHUNKING\n250-BINARYMIME\n" },
	{ "BINARYMIME passes every octet", { BY_BINARY }, IN(HI BINARY_ENVELOPE "BDAT 9\r\na\n.\nb\r\0\r\rBDAT 4 LAST\r\n\n.\r\nQUIT\r\n"),
	  SEEN OK_CHUNK OK_LAST BYE, LINK GOT_BINARY "BDAT 9|BDAT 4 LAST|)" },
	{ "BINARYMIME in normalize passes too", { .caps = BINARY_CAPS, .mta = { .ehlo = BINARY }, .normalize = true },
	  IN(HI BINARY_ENVELOPE "BDAT 4\r\na\n\rbBDAT 1 LAST\r\n\rQUIT\r\n"), SEEN OK_CHUNK OK_LAST BYE, LINK GOT_BINARY "BDAT 4|BDAT 1 LAST|)", "a\n\rb\r\n--\n" },
	{ "BINARYMIME has a limit too", { .caps = BINARY_CAPS, .mta = { .ehlo = BINARY }, .max_size = 3 },
	  IN(HI BINARY_ENVELOPE "BDAT 2\r\na\nBDAT 2 LAST\r\nb\nNOOP\r\n"), SEEN OK_CHUNK "552:5.3.4 250:2.0.0 ", NULL, "" },
	{ "BINARYMIME and DATA", { BY_BINARY }, IN(HI BINARY_ENVELOPE "DATA\r\nBDAT 2 LAST\r\na\nQUIT\r\n"),
	  SEEN "503:5.5.1 " OK_LAST BYE, LINK GOT_BINARY "BDAT 2 LAST|)", "a\n\n--\n" },
	{ "the next message is not binary", { BY_BINARY }, IN(HI BINARY_ENVELOPE "BDAT 1 LAST\r\n\n" ENVELOPE "BDAT 1 LAST\r\n\nNOOP\r\n"),
	  SEEN OK_LAST SEEN_ENVELOPE "554:5.6.0 250:2.0.0 ", LINK GOT_BINARY "BDAT 1 LAST|" GOT_ENVELOPE "BDAT )", "\n\n--\n" },
	{ "no BINARYMIME without CHUNKING behind", { .caps = SMTP_CAP_8BITMIME | SMTP_CAP_BINARYMIME }, IN(HI BINARY_ENVELOPE), SEEN_HI "555:5.5.4 503:5.5.1 ", "" },
	{ "no BINARYMIME without 8BITMIME behind", { .caps = SMTP_CAP_CHUNKING | SMTP_CAP_BINARYMIME }, IN(HI BINARY_ENVELOPE), SEEN_HI "555:5.5.4 503:5.5.1 ", "" },
	{ "no BINARYMIME without BINARYMIME behind", { .caps = SMTP_CAP_CHUNKING | SMTP_CAP_8BITMIME }, IN(HI BINARY_ENVELOPE), SEEN_HI "555:5.5.4 503:5.5.1 ", "" },
	{ "BINARYMIME lost: later", { .caps = BINARY_CAPS, .mta = { .ehlo = CHUNKING } }, IN(HI BINARY_ENVELOPE "RSET\r\n"),
	  SEEN_HI "250:2.1.0 451:4.6.3 250:2.0.0 ", LINK ")" },
	{ "CHUNKING lost: later", { .caps = BINARY_CAPS, .mta = { .ehlo = "250-m\r\n250-8BITMIME\r\n250 BINARYMIME\r\n" } }, IN(HI BINARY_ENVELOPE "RSET\r\n"),
	  SEEN_HI "250:2.1.0 451:4.6.3 250:2.0.0 ", LINK ")" },
};

int main(void)
{
	return dialogue_run_all("chunks", chunks, sizeof chunks / sizeof *chunks);
}
