/* The rows of the list of attacks that concern the engine; each test's name
 * begins with the row it belongs to. */
#include "dialogue.h"

#define START HI ENVELOPE "DATA\r\n"
#define XFORWARD_EHLO "250-mta.test\r\n250-PIPELINING\r\n250 XFORWARD NAME ADDR PORT PROTO HELO IDENT\r\n"
#define XFORWARDED "XFORWARD NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::7 PORT=4711 PROTO=ESMTP|XFORWARD HELO=me.test IDENT=id1|"
#define SEEN SEEN_HI SEEN_ENVELOPE "354 "
#define LONG100 "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
#define LONG500 LONG100 LONG100 LONG100 LONG100 LONG100
#define LONG2000 LONG500 LONG500 LONG500 LONG500

/* A message with `how` in the middle, and after it what a smuggler hopes will
 * be a second message. In reject mode nothing arrives and the whole is refused;
 * in normalize mode one message arrives that contains it all. */
#define SMUGGLED "MAIL FROM:<evil@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nsmuggled\r\n"
#define SMUGGLE(title, how, fixed)                                                                              \
	{ "smuggling, reject: " title, { 0 }, IN(START "one" how SMUGGLED ".\r\nQUIT\r\n"),                     \
	  SEEN "554:5.6.0 221:2.0.0 [quit]", LINK GOT_ENVELOPE "DATA|)", "" },                                  \
	{ "smuggling, normalize: " title, { .normalize = true }, IN(START "one" how SMUGGLED ".\r\nQUIT\r\n"),  \
	  SEEN "250:2.6.0 221:2.0.0 [quit]", LINK GOT_ENVELOPE "DATA|.|)", "one" fixed SMUGGLED "\n--\n" },     \
	{ "smuggling at body start, reject: " title, { 0 }, IN(START how SMUGGLED ".\r\nQUIT\r\n"),             \
	  SEEN "554:5.6.0 221:2.0.0 [quit]", LINK GOT_ENVELOPE "DATA|)", "" },                                  \
	{ "smuggling at body start, normalize: " title, { .normalize = true },                                  \
	  IN(START how SMUGGLED ".\r\nQUIT\r\n"), SEEN "250:2.6.0 221:2.0.0 [quit]",                            \
	  LINK GOT_ENVELOPE "DATA|.|)", fixed SMUGGLED "\n--\n" }

/* The same through BDAT: the chunk is content from end to end. */
#define B12 "0\n.\r\nQUIT\r\n9"

static const struct dialogue attacks[] = {
	/* SMTP smuggling: CVE-2023-51764, -51765, -51766, VU#302671 */
	SMUGGLE("LF.LF", "\n.\n", "\r\n.\r\n"),
	SMUGGLE("LF.CRLF", "\n.\r\n", "\r\n.\r\n"),
	SMUGGLE("CRLF.LF", "\r\n.\n", "\r\n.\r\n"),
	SMUGGLE("CR.CR", "\r.\r", "\r\n.\r\n"),
	SMUGGLE("CR.CRLF", "\r.\r\n", "\r\n.\r\n"),
	SMUGGLE("CRLF.CR", "\r\n.\r", "\r\n.\r\n"),
	SMUGGLE("CR.LF", "\r.\n", "\r\n.\r\n"),
	SMUGGLE("LF.CR", "\n.\r", "\r\n.\r\n"),
	SMUGGLE("CR CR LF . CR CR LF", "\r\r\n.\r\r\n", "\r\n\r\n.\r\n\r\n"),
	SMUGGLE("CRLF . CR CR LF", "\r\n.\r\r\n", "\r\n.\r\n\r\n"),
	SMUGGLE("LF LF . LF LF", "\n\n.\n\n", "\r\n\r\n.\r\n\r\n"),
	SMUGGLE("LF CR . LF CR", "\n\r.\n\r", "\r\n\r\n.\r\n\r\n"),
	SMUGGLE("LF..LF", "\n..\n", "\r\n..\r\n"),
	SMUGGLE("CR..CRLF", "\r..\r\n", "\r\n..\r\n"),
	{ "smuggling, a stray CR before the real end", { 0 }, IN(START "one\r\r\n.\r\nQUIT\r\n"), SEEN "554:5.6.0 221:2.0.0 [quit]",
	  LINK GOT_ENVELOPE "DATA|)", "" },
	{ "smuggling, a stray CR before the real end, normalize", { .normalize = true }, IN(START "one\r\r\n.\r\nQUIT\r\n"),
	  SEEN "250:2.6.0 221:2.0.0 [quit]", LINK GOT_ENVELOPE "DATA|.|)", "one\r\n\r\n\n--\n" },
	{ "smuggling, NUL is refused in reject", { 0 }, IN(START "a\0b\r\n.\r\nNOOP\r\n"), SEEN "554:5.6.0 250:2.0.0 ", LINK GOT_ENVELOPE "DATA|)", "" },
	{ "smuggling, NUL is refused in normalize", { .normalize = true }, IN(START "a\0b\r\n.\r\nNOOP\r\n"), SEEN "554:5.6.0 250:2.0.0 ",
	  LINK GOT_ENVELOPE "DATA|)", "" },
	{ "smuggling, NUL between CRLF and dot", { .normalize = true }, IN(START "a\r\n\0.\r\nRSET\r\n.\r\nNOOP\r\n"), SEEN "554:5.6.0 250:2.0.0 ",
	  LINK GOT_ENVELOPE "DATA|)", "" },
	{ "smuggling, NUL between dot and CRLF", { .normalize = true }, IN(START "a\r\n.\0\r\nRSET\r\n.\r\nNOOP\r\n"), SEEN "554:5.6.0 250:2.0.0 ",
	  LINK GOT_ENVELOPE "DATA|)", "" },
	{ "smuggling, NUL between CR and LF", { .normalize = true }, IN(START "a\r\0\n.\r\nRSET\r\n.\r\nNOOP\r\n"), SEEN "554:5.6.0 250:2.0.0 ",
	  LINK GOT_ENVELOPE "DATA|)", "" },
	{ "smuggling, dots of the sender are content", { 0 }, IN(START "..\r\n...\r\n.x\r\n..y\r\n.\r\n"), SEEN "250:2.6.0 ", NULL,
	  ".\r\n..\r\nx\r\n.y\r\n\n--\n" },
	{ "smuggling, the refused message ends where it ends", { 0 }, IN(START "a\nb\r\n.\r\n" ENVELOPE "DATA\r\nok\r\n.\r\n"),
	  SEEN "554:5.6.0 " SEEN_ENVELOPE "354 250:2.6.0 ", LINK GOT_ENVELOPE "DATA|)" LINK GOT_ENVELOPE "DATA|.|)", "ok\r\n\n--\n" },

	/* Smuggling through BDAT */
	{ "bdat smuggling, LF.CRLF in a chunk, reject", { 0 }, IN(HI ENVELOPE "BDAT 12 LAST\r\n" B12 "NOOP\r\n"),
	  SEEN_HI SEEN_ENVELOPE "554:5.6.0 250:2.0.0 ", LINK GOT_ENVELOPE "DATA|)", "" },
	{ "bdat smuggling, LF.CRLF in a chunk, normalize", { .normalize = true }, IN(HI ENVELOPE "BDAT 12 LAST\r\n" B12 "NOOP\r\n"),
	  SEEN_HI SEEN_ENVELOPE "250:2.6.0 250:2.0.0 ", LINK GOT_ENVELOPE "DATA|.|)", "0\r\n.\r\nQUIT\r\n9\r\n\n--\n" },
	{ "bdat smuggling, the end of DATA is content", { 0 }, IN(HI ENVELOPE "BDAT 14 LAST\r\nx\r\n.\r\nQUIT\r\n\r\nNOOP\r\n"),
	  SEEN_HI SEEN_ENVELOPE "250:2.6.0 250:2.0.0 ", LINK GOT_ENVELOPE "DATA|.|)", "x\r\n.\r\nQUIT\r\n\r\n\n--\n" },
	{ "bdat smuggling, a refused chunk before mail", { 0 }, IN(HI "BDAT 12\r\n" B12 "NOOP\r\n"), SEEN_HI "503:5.5.1 250:2.0.0 ", "" },
	{ "bdat smuggling, a refused chunk before rcpt", { 0 }, IN(HI "MAIL FROM:<a@b>\r\nBDAT 12 LAST\r\n" B12 "NOOP\r\n"),
	  SEEN_HI "250:2.1.0 503:5.5.1 250:2.0.0 ", "" },
	{ "bdat smuggling, a refused chunk after refused rcpt", { 0 }, IN(HI "MAIL FROM:<a@b>\r\nRCPT TO:<no@x>\r\nBDAT 12 LAST\r\n" B12 "NOOP\r\n"),
	  SEEN_HI "250:2.1.0 550:5.1.1 503:5.5.1 250:2.0.0 ", NULL, "" },
	{ "bdat smuggling, chunks behind a bad one", { 0 }, IN(HI ENVELOPE "BDAT 12\r\n" B12 "BDAT 12\r\n" B12 "BDAT 12 LAST\r\n" B12 ENVELOPE),
	  SEEN_HI SEEN_ENVELOPE "554:5.6.0 554:5.6.0 554:5.6.0 " SEEN_ENVELOPE, LINK GOT_ENVELOPE "DATA|)" LINK GOT_ENVELOPE ")", "" },
	{ "bdat smuggling, a CR at the very end", { 0 }, IN(HI ENVELOPE "BDAT 2 LAST\r\nx\rNOOP\r\n"), SEEN_HI SEEN_ENVELOPE "554:5.6.0 250:2.0.0 ",
	  LINK GOT_ENVELOPE "DATA|)", "" },
	{ "bdat smuggling, a CR at the very end, normalize", { .normalize = true }, IN(HI ENVELOPE "BDAT 2 LAST\r\nx\rNOOP\r\n"),
	  SEEN_HI SEEN_ENVELOPE "250:2.6.0 250:2.0.0 ", NULL, "x\r\n\n--\n" },
	{ "bdat smuggling, CR and LF in two chunks are one end", { 0 }, IN(HI ENVELOPE "BDAT 2\r\nx\rBDAT 5 LAST\r\n\n.\r\nyNOOP\r\n"),
	  SEEN_HI SEEN_ENVELOPE "250:2.0.0 250:2.6.0 250:2.0.0 ", NULL, "x\r\n.\r\ny\r\n\n--\n" },

	/* BDAT numbers: CVE-2017-16943, -16944, CVE-2020-28019 */
#define BAD_BDAT(title, arg) { "bdat number, " title, { 0 }, IN(HI ENVELOPE "BDAT" arg "\r\nNOOP\r\n"), \
	  SEEN_HI SEEN_ENVELOPE "501:5.5.4 [bdat_size]", LINK GOT_ENVELOPE ")", "" }
	BAD_BDAT("none", ""), BAD_BDAT("blank", " "), BAD_BDAT("minus", " -1"), BAD_BDAT("plus", " +5"),
	BAD_BDAT("two blanks", "  5"), BAD_BDAT("blank behind", " 5 "), BAD_BDAT("letters", " 5x"), BAD_BDAT("hex", " 0x5"),
	BAD_BDAT("2^64", " 18446744073709551616"), BAD_BDAT("many digits", " 99999999999999999999999999999999"),
	BAD_BDAT("not LAST", " 5 LAS"), BAD_BDAT("LAST twice", " 5 LAST LAST"), BAD_BDAT("two numbers", " 5 5"),
	BAD_BDAT("a tab", " 5\tLAST"), BAD_BDAT("LAST alone", " LAST"), BAD_BDAT("a point", " 5.0"),
	{ "bdat number, beyond the limit", { .max_size = 1000 }, IN(HI ENVELOPE "BDAT 1001\r\nNOOP\r\n"),
	  SEEN_HI SEEN_ENVELOPE "552:5.3.4 [message_too_big]", LINK GOT_ENVELOPE ")", "" },
	{ "bdat number, bad before mail too", { 0 }, IN("BDAT x\r\nNOOP\r\n"), "220 501:5.5.4 [bdat_size]", "" },

	/* STARTTLS command injection: CVE-2011-0411. What follows in the same bytes
	 * can only be seen when it is in the same bytes: see test_injection below. */
	{ "starttls state, envelope and name are forgotten", { 0 }, IN(HI "MAIL FROM:<a@b>\r\nRSET\r\nSTARTTLS\r\n" WAIT "RCPT TO:<c@d>\r\nDATA\r\nMAIL FROM:<a@b>\r\n"),
	  SEEN_HI "250:2.1.0 250:2.0.0 220:2.0.0 TLS 503:5.5.1 503:5.5.1 503:5.5.1 ", "" },
	{ "starttls state, errors are forgotten", { .max_errors = 2 }, IN(HI "FOO\r\nSTARTTLS\r\n" WAIT "BAR\r\nNOOP\r\n"),
	  SEEN_HI "500:5.5.1 220:2.0.0 TLS 500:5.5.1 250:2.0.0 ", "" },
	{ "starttls, half a command before", { 0 }, IN(HI "START" WAIT "TLS\r\n" WAIT HI), SEEN_HI "220:2.0.0 TLS 250 ", "" },

	/* Parameter injection: CVE-2020-28021, -28026, -7247 */
#define REFUSED(title, line, seen) { "injection, " title, { 0 }, IN(HI line "\r\nNOOP\r\n"), SEEN_HI seen "250:2.0.0 ", "", "" }
#define REFUSED_RCPT(title, line, seen) \
	{ "injection, " title, { 0 }, IN(HI "MAIL FROM:<a@b> SMTPUTF8\r\n" line "\r\nNOOP\r\n"), SEEN_HI "250:2.1.0 " seen "250:2.0.0 ", "", "" }
	REFUSED("bare CR in MAIL", "MAIL FROM:<a@b>\rRCPT TO:<c@d>", "501:5.5.2 "),
	REFUSED("bare LF in MAIL", "MAIL FROM:<a@b>\nRCPT TO:<c@d>", "501:5.5.2 "),
	REFUSED("NUL in MAIL", "MAIL FROM:<a\0@b>", "501:5.5.2 "),
	REFUSED("tab in MAIL", "MAIL FROM:<a@b>\tSIZE=1", "501:5.5.2 "),
	REFUSED("DEL in MAIL", "MAIL FROM:<a\x7f@b>", "501:5.5.2 "),
	REFUSED("escape in quotes", "MAIL FROM:<\"a\x1b\"@b>", "501:5.5.2 "),
	REFUSED("CR in quotes", "MAIL FROM:<\"a\\\rb\"@b>", "501:5.5.2 "),
	REFUSED("LF in quotes", "MAIL FROM:<\"a\\\nb\"@b>", "501:5.5.2 "),
	REFUSED("CRLF as xtext in ENVID", "MAIL FROM:<a@b> ENVID=x+0D+0ARCPT", "501:5.5.4 "),
	REFUSED("NUL as xtext in ENVID", "MAIL FROM:<a@b> ENVID=x+00", "501:5.5.4 "),
	REFUSED("bad xtext", "MAIL FROM:<a@b> ENVID=x+4", "501:5.5.4 "),
	REFUSED("shell words in the local part", "MAIL FROM:<;sleep 66;>", "501:5.1.7 "),
	REFUSED("text behind the path", "MAIL FROM:<a@b>SIZE=1", "501:5.5.4 "),
	REFUSED("a second path", "MAIL FROM:<a@b><c@d>", "501:5.5.4 "),
	REFUSED("no brackets", "MAIL FROM:a@b", "501:5.1.7 "),
	REFUSED("a parameter twice", "MAIL FROM:<a@b> SIZE=1 SIZE=1", "501:5.5.4 "),
	REFUSED("a parameter that is none", "MAIL FROM:<a@b> FOO=1", "555:5.5.4 "),
	REFUSED("AUTH as a parameter", "MAIL FROM:<a@b> AUTH=<>", "555:5.5.4 "),
	REFUSED("XVERP as a parameter", "MAIL FROM:<a@b> XVERP", "555:5.5.4 "),
	REFUSED("RCPT's parameter at MAIL", "MAIL FROM:<a@b> NOTIFY=NEVER", "555:5.5.4 "),
	REFUSED("BINARYMIME", "MAIL FROM:<a@b> BODY=BINARYMIME", "555:5.5.4 "),
	REFUSED("REQUIRETLS in clear", "MAIL FROM:<a@b> REQUIRETLS", "555:5.5.4 "),
	REFUSED("UTF-8 without SMTPUTF8", "MAIL FROM:<\xc3\xa4@b>", "553:5.6.7 "),
	REFUSED("not UTF-8", "MAIL FROM:<\xc3@b> SMTPUTF8", "501:5.1.7 "),
	REFUSED("overlong UTF-8", "MAIL FROM:<\xc0\x8a@b> SMTPUTF8", "501:5.1.7 "),
	REFUSED("control in EHLO", "EHLO a\tb", "501:5.5.2 "),
	REFUSED("quotes in EHLO", "EHLO a\"b", "501:5.5.4 "),
	REFUSED("UTF-8 in EHLO", "EHLO \xc3\xa4.test", "501:5.5.4 "),
	REFUSED_RCPT("CRLF as xtext in ORCPT", "RCPT TO:<a@b> ORCPT=rfc822;x+0D+0A", "501:5.5.4 "),
	REFUSED_RCPT("LF in a utf-8 ORCPT", "RCPT TO:<a@b> ORCPT=utf-8;x\\x{0A}", "501:5.5.4 "),
	REFUSED_RCPT("bare CR in RCPT", "RCPT TO:<a@b>\rDATA", "501:5.5.2 "),
	REFUSED_RCPT("next line character", "RCPT TO:<a\xc2\x85@b>", "501:5.1.3 "),
	REFUSED_RCPT("line separator", "RCPT TO:<a\xe2\x80\xa8@b>", "501:5.1.3 "),
	REFUSED_RCPT("null recipient", "RCPT TO:<>", "501:5.1.3 "),
	REFUSED_RCPT("no domain", "RCPT TO:<joe>", "501:5.1.3 "),
	REFUSED_RCPT("NOTIFY=NEVER with others", "RCPT TO:<a@b> NOTIFY=NEVER,DELAY", "501:5.5.4 "),

	/* Hostile or broken backend */
#define MTA_SAYS(title, field, text, seen, why) \
	{ "hostile backend, " title, { .mta = { .field = text } }, IN(START "x\r\n.\r\nNOOP\r\n"), seen "250:2.0.0 ", NULL, "", why }
	MTA_SAYS("greets with 554", greeting, "554 No\r\n", SEEN_HI "250:2.1.0 451:4.3.5 503:5.5.1 500:5.5.1 500:5.5.1 ", "behind"),
	MTA_SAYS("354 to the dot", final, "354 Go on\r\n", SEEN "451:4.3.0 ", NULL),
	MTA_SAYS("220 to the dot", final, "220 Hello\r\n", SEEN "451:4.3.0 ", NULL),
	MTA_SAYS("251 to the dot", final, "251 Well\r\n", SEEN "451:4.3.0 ", NULL),
	MTA_SAYS("garbage to the dot", final, "What?\r\n", SEEN "451:4.3.0 ", NULL),
	MTA_SAYS("bare LF to the dot", final, "350 Ok\n", SEEN "451:4.3.0 ", NULL),
	MTA_SAYS("421 to the dot", final, "421 4.3.2 Closing\r\n", SEEN "451:4.3.2 ", NULL),
	MTA_SAYS("closes instead of a word to the dot", final, "", SEEN "451:4.4.2 ", NULL),
	{ "hostile backend, half a reply to the dot", { .mta = { .final = "450-4.3.0 Not\r\n" } }, IN(START "x\r\n.\r\nNOOP\r\n"), SEEN, NULL, "" },
	MTA_SAYS("wants a login", final, "530 5.7.0 Authentication required\r\n", SEEN "451:4.3.5 ", NULL),
	{ "hostile backend, 250 with a bare LF to the dot", { .mta = { .final = "250 Ok\n" } }, IN(START "x\r\n.\r\nNOOP\r\n"), SEEN "451:4.3.0 250:2.0.0 ", NULL },
	{ "hostile backend, a bare CR", { .mta = { .rcpt = "250 O\rk\r\n" } }, IN(HI ENVELOPE "NOOP\r\n"), SEEN_HI "250:2.1.0 451:4.3.0 250:2.0.0 ", NULL },
	{ "hostile backend, codes that differ", { .mta = { .rcpt = "250-Ok\r\n550 No\r\n" } }, IN(HI ENVELOPE "NOOP\r\n"), SEEN_HI "250:2.1.0 451:4.3.0 250:2.0.0 ", NULL },
	{ "hostile backend, no blank behind the code", { .mta = { .rcpt = "250Ok\r\n" } }, IN(HI ENVELOPE "NOOP\r\n"), SEEN_HI "250:2.1.0 451:4.3.0 250:2.0.0 ", NULL },
	{ "hostile backend, code 999", { .mta = { .rcpt = "999 Ok\r\n" } }, IN(HI ENVELOPE "NOOP\r\n"), SEEN_HI "250:2.1.0 451:4.3.0 250:2.0.0 ", NULL },
	{ "hostile backend, code 199", { .mta = { .rcpt = "199 Ok\r\n" } }, IN(HI ENVELOPE "NOOP\r\n"), SEEN_HI "250:2.1.0 451:4.3.0 250:2.0.0 ", NULL },
	{ "hostile backend, an empty line", { .mta = { .rcpt = "\r\n" } }, IN(HI ENVELOPE "NOOP\r\n"), SEEN_HI "250:2.1.0 451:4.3.0 250:2.0.0 ", NULL },
	{ "hostile backend, 354 to RCPT", { .mta = { .rcpt = "354 Go\r\n" } }, IN(HI ENVELOPE "NOOP\r\n"), SEEN_HI "250:2.1.0 451:4.3.0 250:2.0.0 ", NULL },
	{ "hostile backend, 250 to DATA", { .mta = { .data = "250 Ok\r\n" } }, IN(HI ENVELOPE "DATA\r\nNOOP\r\n"), SEEN_HI SEEN_ENVELOPE "451:4.3.0 250:2.0.0 ", LINK GOT_ENVELOPE "DATA|)" },
	{ "hostile backend, 421 to RCPT", { .mta = { .rcpt = "421 Bye\r\n" } }, IN(HI ENVELOPE "NOOP\r\n"), SEEN_HI "250:2.1.0 451:4.3.2 250:2.0.0 ", NULL },
	{ "hostile backend, closes at RCPT", { .mta = { .rcpt = "" } }, IN(HI ENVELOPE "NOOP\r\n"), SEEN_HI "250:2.1.0 451:4.4.2 250:2.0.0 ", NULL },
	{ "hostile backend, closes at DATA", { .mta = { .data = "" } }, IN(HI ENVELOPE "DATA\r\nNOOP\r\n"), SEEN_HI SEEN_ENVELOPE "451:4.4.2 250:2.0.0 ", NULL },
	{ "hostile backend, closes at the greeting", { .mta = { .greeting = "" } }, IN(HI ENVELOPE "NOOP\r\n"), SEEN_HI "250:2.1.0 451:4.4.1 250:2.0.0 ", "()" },
	{ "hostile backend, not there", { .mta = { .refuse_connect = true } }, IN(HI ENVELOPE "RCPT TO:<e@f>\r\nNOOP\r\n"),
	  SEEN_HI "250:2.1.0 451:4.4.1 451:4.4.1 250:2.0.0 ", "" },
	{ "hostile backend, over-long line", { .mta = { .rcpt = "250 " LONG2000 LONG100 "\r\n" } }, IN(HI ENVELOPE "NOOP\r\n"), SEEN_HI "250:2.1.0 451:4.3.0 250:2.0.0 ", NULL },
	{ "hostile backend, a long line is cut", { .mta = { .rcpt = "550 5.1.1 " LONG500 LONG500 "\r\n" } }, IN(HI ENVELOPE "NOOP\r\n"), SEEN_HI "250:2.1.0 550:5.1.1 250:2.0.0 ", NULL },
	{ "hostile backend, a reply too many", { .mta = { .data = "354 Go\r\n250 Ok\r\n" } }, IN(START "x\r\n.\r\nNOOP\r\n"), NULL, NULL, "" },
	{ "hostile backend, refuses EHLO", { .mta = { .ehlo = "502 What?\r\n" } }, IN(HI ENVELOPE "NOOP\r\n"), SEEN_HI "250:2.1.0 451:4.3.5 250:2.0.0 ", "(EHLO edge.test|)" },
	{ "hostile backend, refuses in the middle of the body", { .mta = { .blurt = "552 5.3.4 Too much\r\n" } }, IN(START LONG500 "\r\n" WAIT LONG500 "\r\n.\r\nNOOP\r\n"),
	  SEEN "451:4.3.0 250:2.0.0 ", LINK GOT_ENVELOPE "DATA|)", "" },
	{ "hostile backend, says 250 in the middle of the body", { .mta = { .blurt = "250 2.0.0 Ok\r\n" } }, IN(START LONG500 "\r\n" WAIT LONG500 "\r\n.\r\nNOOP\r\n"),
	  SEEN "451:4.3.0 250:2.0.0 ", LINK GOT_ENVELOPE "DATA|)", "" },
	{ "hostile backend, says 421 in the middle of the body", { .mta = { .blurt = "421 4.3.2 Bye\r\n" } }, IN(START LONG500 "\r\n" WAIT LONG500 "\r\n.\r\nNOOP\r\n"),
	  SEEN "451:4.3.2 250:2.0.0 ", LINK GOT_ENVELOPE "DATA|)", "" },
	{ "hostile backend, closes in the middle of the body", { .mta = { .blurt = "" } }, IN(START LONG500 "\r\n" WAIT LONG500 "\r\n.\r\nNOOP\r\n"),
	  SEEN "451:4.4.2 250:2.0.0 ", LINK GOT_ENVELOPE "DATA|)", "" },
	{ "hostile backend, gone after a message: the next one finds another", { .mta = { .close_after_final = true } },
	  IN(START "x\r\n.\r\n" WAIT ENVELOPE "DATA\r\ny\r\n.\r\n"), SEEN "250:2.6.0 " SEEN_ENVELOPE "354 250:2.6.0 ",
	  LINK GOT_ENVELOPE "DATA|.|)" LINK GOT_ENVELOPE "DATA|.|)", "x\r\n\n--\ny\r\n\n--\n" },
	{ "hostile backend, dies with a recipient: the message is not delivered to fewer", { 0 },
	  IN(HI "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n" WAIT "RCPT TO:<die@d>\r\nRCPT TO:<e@d>\r\nDATA\r\n" ENVELOPE "DATA\r\ny\r\n.\r\n"),
	  SEEN_HI "250:2.1.0 250:2.1.5 451:4.4.2 451:4.4.2 451:4.4.2 " SEEN_ENVELOPE "354 250:2.6.0 ", NULL, "y\r\n\n--\n" },
	{ "hostile backend, dies with the first recipient: the next finds another", { 0 },
	  IN(HI "MAIL FROM:<a@b>\r\nRCPT TO:<die@d>\r\n" WAIT "RCPT TO:<e@d>\r\nDATA\r\ny\r\n.\r\n"),
	  SEEN_HI "250:2.1.0 451:4.4.2 250:2.1.5 354 250:2.6.0 ", LINK "MAIL FROM:<a@b>|RCPT TO:<die@d>|)" LINK "MAIL FROM:<a@b>|RCPT TO:<e@d>|DATA|.|)", "y\r\n\n--\n" },
	{ "hostile backend, dies twice under a reused link: one retry only", { .two = true, .mta = { .close_after_final = true }, .mta_later = { .rcpt = "" } },
	  IN(START "x\r\n.\r\n" ENVELOPE "NOOP\r\n"), SEEN "250:2.6.0 250:2.1.0 451:4.4.2 250:2.0.0 ", NULL, "x\r\n\n--\n" },

	/* Trust protocols from strangers */
#define NEVER(verb) { "stranger, " verb, { 0 }, IN(verb " x\r\n" HI verb " ADDR=1.2.3.4\r\n" ENVELOPE verb " NAME=x\r\n" "NOOP\r\n"), \
	  "220 502:5.5.1 250 502:5.5.1 " SEEN_ENVELOPE "502:5.5.1 250:2.0.0 ", LINK GOT_ENVELOPE ")" }
	NEVER("XCLIENT"), NEVER("XFORWARD"), NEVER("AUTH"), NEVER("ETRN"), NEVER("TURN"), NEVER("EXPN"), NEVER("xclient"),
	{ "stranger, PROXY v1", { 0 }, IN("PROXY TCP4 1.2.3.4 5.6.7.8 1 25\r\n" HI), "220 500:5.5.1 [foreign_protocol]", "" },
	{ "stranger, PROXY v2", { 0 }, IN("\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c" "aaaabbbbccdd" HI), "220 500:5.5.1 500:5.5.1 500:5.5.2 [binary_first_bytes]", "" },

	/* Cross-protocol: ALPACA */
	{ "cross-protocol, HTTP GET", { 0 }, IN("GET / HTTP/1.1\r\nHost: x\r\n\r\n" HI), "220 500:5.5.1 [foreign_protocol]", "" },
	{ "cross-protocol, HTTP POST with commands", { 0 }, IN("POST / HTTP/1.1\r\n\r\n" HI ENVELOPE), "220 500:5.5.1 [foreign_protocol]", "" },
	{ "cross-protocol, HTTP in a transaction", { 0 }, IN(HI ENVELOPE "GET / HTTP/1.0\r\nDATA\r\n"), SEEN_HI SEEN_ENVELOPE "500:5.5.1 [foreign_protocol]", LINK GOT_ENVELOPE ")" },
	{ "cross-protocol, TLS ClientHello", { 0 }, IN("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "220 500:5.5.2 [binary_first_bytes]", "" },
	{ "cross-protocol, octets above 127", { 0 }, IN("\x80\x2e\x01\x00\x02"), "220 500:5.5.2 [binary_first_bytes]", "" },
	{ "cross-protocol, in TLS", { 0 }, IN(HI "STARTTLS\r\n" WAIT "\x16\x03\x01"), SEEN_HI "220:2.0.0 TLS 500:5.5.2 [binary_first_bytes]", "" },

	/* Truncation */
	{ "truncation, in DATA", { .eof = true }, IN(START "half a mess"), SEEN "[client_closed]", LINK GOT_ENVELOPE "DATA|)", "" },
	{ "truncation, behind CRLF .", { .eof = true }, IN(START "x\r\n."), SEEN "[client_closed]", LINK GOT_ENVELOPE "DATA|)", "" },
	{ "truncation, behind CRLF . CR", { .eof = true }, IN(START "x\r\n.\r"), SEEN "[client_closed]", LINK GOT_ENVELOPE "DATA|)", "" },
	{ "truncation, in a chunk", { .eof = true }, IN(HI ENVELOPE "BDAT 9 LAST\r\nhalf"), SEEN_HI SEEN_ENVELOPE "[client_closed]", LINK GOT_ENVELOPE "DATA|)", "" },
	{ "truncation, between chunks", { .eof = true }, IN(HI ENVELOPE "BDAT 4\r\nhalf"), SEEN_HI SEEN_ENVELOPE "250:2.0.0 [client_closed]", LINK GOT_ENVELOPE "DATA|)", "" },
	{ "truncation, behind DATA", { .eof = true }, IN(START), SEEN "[client_closed]", LINK GOT_ENVELOPE "DATA|)", "" },

	/* Floods: lines */
	{ "flood, over-long line", { 0 }, IN(HI LONG2000 LONG2000 "\r\nNOOP\r\n"), SEEN_HI "500:5.5.2 250:2.0.0 ", "" },
	{ "flood, over-long MAIL", { 0 }, IN(HI "MAIL FROM:<a@b> ENVID=" LONG2000 LONG100 "\r\nNOOP\r\n"), SEEN_HI "500:5.5.2 250:2.0.0 ", "" },
	{ "flood, over-long line with LF in it", { 0 }, IN(HI LONG2000 LONG100 "\nQUIT\n\r\r\nNOOP\r\n"), SEEN_HI "500:5.5.2 250:2.0.0 ", "" },
	{ "flood, NOOP of 512 octets", { 0 }, IN(HI "NOOP 12345" LONG500 "\r\nNOOP 123456" LONG500 "\r\n"), SEEN_HI "250:2.0.0 500:5.5.2 ", "" },
	{ "flood, bare LF commands", { 0 }, IN("EHLO me\nMAIL FROM:<a@b>\nQUIT\n\r\nNOOP\r\n"), "220 501:5.5.2 250:2.0.0 ", "" },
	{ "flood, bare LF is answered at once", { 0 }, IN("NOOP\n" WAIT "NOOP\n" WAIT "\r\nNOOP\r\n"), "220 501:5.5.2 250:2.0.0 ", "" },
	{ "flood, bare CR commands", { 0 }, IN("EHLO me\rMAIL FROM:<a@b>\r\nNOOP\r\n"), "220 501:5.5.2 250:2.0.0 ", "" },

	/* Pipelining */
	{ "early talker", { .talk_early = true }, IN("EHLO me\r\n"), "554:5.5.0 [early_talk]", "" },
	{ "pipelining, everything behind DATA of a refused transaction is commands", { 0 },
	  IN(HI "MAIL FROM:<a@b>\r\nRCPT TO:<no@d>\r\nDATA\r\nRSET\r\nNOOP\r\n"), SEEN_HI "250:2.1.0 550:5.1.1 503:5.5.1 250:2.0.0 250:2.0.0 ", NULL },

	/* XCLIENT towards the backend */
	{ "xclient is sent, encoded, and EHLO again", { .xclient = true }, IN(START "x\r\n.\r\n"), SEEN "250:2.6.0 ",
	  "(EHLO edge.test|XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::7 PORT=4711 PROTO=ESMTP HELO=me.test|EHLO me.test|" GOT_ENVELOPE "DATA|.|)" },
	{ "xclient not offered: we would be trusted", { .xclient = true, .mta = { .ehlo = "250 mta\r\n" } }, IN(HI ENVELOPE "NOOP\r\n"),
	  SEEN_HI "250:2.1.0 451:4.3.5 250:2.0.0 ", "(EHLO edge.test|)" },
	{ "xclient refused", { .xclient = true, .mta = { .xclient = "550 5.7.0 No\r\n" } }, IN(HI ENVELOPE "NOOP\r\n"), SEEN_HI "250:2.1.0 451:4.3.5 250:2.0.0 ", NULL },

	/* XFORWARD: before each MAIL, because the backend forgets it with each message */
	{ "xforward is sent, and again on a link used before", { .xforward = true, .mta = { .ehlo = XFORWARD_EHLO } },
	  IN(START "x\r\n.\r\n" ENVELOPE "DATA\r\ny\r\n.\r\n"), SEEN "250:2.6.0 " SEEN_ENVELOPE "354 250:2.6.0 ",
	  "(EHLO edge.test|" XFORWARDED GOT_ENVELOPE "DATA|.|" XFORWARDED GOT_ENVELOPE "DATA|.|)" },
	{ "xforward not offered", { .xforward = true }, IN(HI ENVELOPE "NOOP\r\n"), SEEN_HI "250:2.1.0 451:4.3.5 250:2.0.0 ",
	  "(EHLO edge.test|)" },
	{ "xforward refused", { .xforward = true, .mta = { .ehlo = XFORWARD_EHLO, .xforward = "550 5.7.0 No\r\n" } },
	  IN(HI ENVELOPE "NOOP\r\n"), SEEN_HI "250:2.1.0 451:4.3.5 250:2.0.0 ", NULL },

	/* Clients in smtp.bare_newline_exempt */
	{ "exempt, bare LF becomes CRLF, and ends nothing", { .exempt = true }, IN(START "a\n.\nb\r\n.\r\n"), SEEN "250:2.6.0 ",
	  NULL, "a\r\n.\r\nb\r\n\n--\n" },
	{ "not exempt, the same is refused", { 0 }, IN(START "a\n.\nb\r\n.\r\nNOOP\r\n"), SEEN "554:5.6.0 250:2.0.0 ", NULL, "" },
};

int main(void)
{
	return dialogue_run_all("attacks", attacks, sizeof attacks / sizeof *attacks);
}
