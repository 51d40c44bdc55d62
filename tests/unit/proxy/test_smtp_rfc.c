/* What the RFCs ask of a server, section by section, where no other table has it. */
#include "dialogue.h"

#define BYE "221:2.0.0 [quit]"
#define FROM "MAIL FROM:<a@b.test>\r\n"
#define X16 "0123456789abcdef"
#define X64 X16 X16 X16 X16
#define X512 X64 X64 X64 X64 X64 X64 X64 X64
#define TLS "STARTTLS\r\n" WAIT HI
#define SEEN_TLS "220:2.0.0 TLS 250 "
#define ALL_CAPS (SMTP_CAP_PIPELINING | SMTP_CAP_SIZE | SMTP_CAP_8BITMIME | SMTP_CAP_DSN | SMTP_CAP_SMTPUTF8 | SMTP_CAP_REQUIRETLS)

/* One command after another, all answered locally; `seen` behind greeting and EHLO. */
#define LOCAL(title, in, seen) { title, { 0 }, IN(HI in), SEEN_HI seen, "" }
/* MAIL parameters or RCPT parameters, as the backend gets them. */
#define PASSED(title, mail, rcpt) \
	{ title, { 0 }, IN(HI "MAIL FROM:" mail "\r\nRCPT TO:" rcpt "\r\n"), SEEN_HI SEEN_ENVELOPE, LINK "MAIL FROM:" mail "|RCPT TO:" rcpt "|)" }

static const struct dialogue rfcs[] = {
	/* RFC 5321 */
	{ "5321 3.3: several recipients of the null sender", { 0 },
	  IN(HI "MAIL FROM:<>\r\nRCPT TO:<c@d>\r\nRCPT TO:<no@d>\r\nRCPT TO:<e@d>\r\nDATA\r\nx\r\n.\r\n"),
	  SEEN_HI "250:2.1.0 250:2.1.5 550:5.1.1 250:2.1.5 354 250:2.6.0 ", LINK "MAIL FROM:<>|RCPT TO:<c@d>|RCPT TO:<no@d>|RCPT TO:<e@d>|DATA|.|)", "x\r\n\n--\n" },
	{ "5321 3.3: the same recipient twice", { 0 }, IN(HI ENVELOPE "RCPT TO:<c@d.test>\r\n"), SEEN_HI SEEN_ENVELOPE "250:2.1.5 ",
	  LINK GOT_ENVELOPE "RCPT TO:<c@d.test>|)" },
	LOCAL("5321 3.3: MAIL twice, and the first one stays", FROM FROM "RSET\r\n" FROM, "250:2.1.0 503:5.5.1 250:2.0.0 250:2.1.0 "),
	{ "5321 3.3: DATA and no recipient, then one", { 0 }, IN(HI FROM "DATA\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\r\n.\r\n"),
	  SEEN_HI "250:2.1.0 503:5.5.1 250:2.1.5 354 250:2.6.0 ", LINK GOT_ENVELOPE "DATA|.|)", "x\r\n\n--\n" },
	{ "5321 3.8: QUIT in a transaction", { 0 }, IN(HI ENVELOPE "QUIT\r\n"), SEEN_HI SEEN_ENVELOPE BYE, LINK GOT_ENVELOPE "RSET|)", "" },
	{ "5321 4.1.1.1: the whole reply to EHLO", { 0 }, IN(HI), NULL, "", NULL,
	  "220 edge.test ESMTP\n250-edge.test\n250-PIPELINING\n250-STARTTLS\n250-8BITMIME\n250-DSN\n250-SMTPUTF8\n250-CHUNKING\n"
	  "250-SIZE\n250-LIMITS MAILMAX=100 RCPTMAX=1000\n250 ENHANCEDSTATUSCODES\n" },
	{ "5321 4.1.1.1: HELO offers nothing", { 0 }, IN("HELO me\r\nMAIL FROM:<a@b> BODY=8BITMIME\r\nMAIL FROM:<a@b> SMTPUTF8\r\nSTARTTLS\r\nBDAT 1 LAST\r\nx"),
	  "220 250 555:5.5.4 555:5.5.4 503:5.5.1 503:5.5.1 ", "" },
	LOCAL("5321 4.1.1.1: EHLO after EHLO, HELO after EHLO", "EHLO other.test\r\nHELO third.test\r\n" HI, "250 250 250 "),
	LOCAL("5321 4.1.1.1: names", "EHLO x\r\nEHLO a-b.c\r\nEHLO 1.2.3.4\r\nEHLO under_score\r\nEHLO [IPv6:::1]\r\nEHLO a b\r\nEHLO a,b\r\nEHLO\r\nEHLO \r\n",
	      "250 250 250 250 250 501:5.5.4 501:5.5.4 501:5.5.4 501:5.5.4 "),
	LOCAL("5321 4.1.1.2: no parameter but those offered", "MAIL FROM:<a@b> MT-PRIORITY=3\r\nMAIL FROM:<a@b> HOLDFOR=9\r\nMAIL FROM:<a@b> BY=9;R\r\nMAIL FROM:<a@b> X\r\n",
	      "555:5.5.4 555:5.5.4 555:5.5.4 555:5.5.4 "),
	{ "5321 4.1.1.3: no parameter but those offered", { 0 }, IN(HI FROM "RCPT TO:<c@d> RRVS=2026-01-01T00:00:00Z\r\nRCPT TO:<c@d> SIZE=1\r\nRCPT TO:<c@d> X=\r\n"),
	  SEEN_HI "250:2.1.0 555:5.5.4 555:5.5.4 501:5.5.4 ", "" },
	{ "5321 4.1.1.3: source routes are forgotten", { 0 }, IN(HI "MAIL FROM:<@x.test,@y:a@b.test>\r\nRCPT TO:<@z:c@d.test>\r\n"), SEEN_HI SEEN_ENVELOPE,
	  LINK GOT_ENVELOPE ")" },
	{ "5321 4.1.1.3: postmaster needs no domain", { 0 }, IN(HI FROM "RCPT TO:<pOSTMaster>\r\nRCPT TO:<\"postmaster\">\r\nRCPT TO:<c>\r\nRCPT TO:<>\r\n"),
	  SEEN_HI "250:2.1.0 250:2.1.5 501:5.1.3 501:5.1.3 501:5.1.3 ", LINK "MAIL FROM:<a@b.test>|RCPT TO:<pOSTMaster>|)" },
	{ "5321 4.1.1.4: DATA takes nothing but <CRLF>.<CRLF>", { 0 }, IN(HI ENVELOPE "DATA\r\n. \r\n .\r\n..\r\n.\t\r\n.\r\n"),
	  SEEN_HI SEEN_ENVELOPE "354 250:2.6.0 ", NULL, " \r\n .\r\n.\r\n\t\r\n\n--\n" },
	LOCAL("5321 4.1.1.5: RSET is always right", "RSET\r\nRSET\r\n" FROM "RSET\r\nRSET\r\n", "250:2.0.0 250:2.0.0 250:2.1.0 250:2.0.0 250:2.0.0 "),
	LOCAL("5321 4.1.1.6, 3.5: VRFY says that it does not, EXPN is not there", "VRFY a@b\r\nVRFY\r\nVRFY  \r\nEXPN list\r\nEXPN\r\n",
	      "252:2.5.0 501:5.5.4 501:5.5.4 502:5.5.1 502:5.5.1 "),
	{ "5321 4.1.1.9: NOOP and the like change nothing", { 0 }, IN(HI ENVELOPE "NOOP\r\nNOOP x\r\nVRFY x\r\nHELP\r\nEXPN x\r\nFOO\r\nDATA\r\nx\r\n.\r\n"),
	  SEEN_HI SEEN_ENVELOPE "250:2.0.0 250:2.0.0 252:2.5.0 214:2.0.0 502:5.5.1 500:5.5.1 354 250:2.6.0 ", LINK GOT_ENVELOPE "DATA|.|)", "x\r\n\n--\n" },
	{ "5321 4.1.4: what needs no EHLO", { 0 }, IN("NOOP\r\nHELP\r\nRSET\r\nVRFY x\r\nEXPN x\r\nQUIT\r\n"),
	  "220 250:2.0.0 214:2.0.0 250:2.0.0 252:2.5.0 502:5.5.1 " BYE, "" },
	LOCAL("5321 4.2.4: known and not offered is 502, unknown 500",
	      "AUTH PLAIN\r\nETRN x\r\nTURN\r\nSEND FROM:<a@b>\r\nXCLIENT ADDR=1.2.3.4\r\nFOO\r\nMAILX FROM:<a@b>\r\nMAI\r\nEHL x\r\n",
	      "502:5.5.1 502:5.5.1 502:5.5.1 502:5.5.1 502:5.5.1 500:5.5.1 500:5.5.1 500:5.5.1 500:5.5.1 "),
	{ "5321 4.5.3.1.6: text lines of any length", { 0 }, IN(HI ENVELOPE "DATA\r\n" X512 X512 "\r\n" X512 X512 X512 "\r\n.\r\n"),
	  SEEN_HI SEEN_ENVELOPE "354 250:2.6.0 ", NULL, X512 X512 "\r\n" X512 X512 X512 "\r\n\n--\n" },
	LOCAL("5321 4.5.3.1.4: 512 octets, more where an extension needs them",
	      "NOOP " X512 "\r\nMAIL FROM:<a@b> " X512 "\r\nEHLO " X512 "\r\nFOO " X512 "\r\n", "500:5.5.2 555:5.5.4 500:5.5.2 500:5.5.1 "),
	{ "5321 4.5.5: only MAIL may be empty", { 0 }, IN(HI "MAIL FROM:<>\r\nRCPT TO:<>\r\nRCPT TO:<c@d.test>\r\n"), SEEN_HI "250:2.1.0 501:5.1.3 250:2.1.5 ",
	  LINK "MAIL FROM:<>|RCPT TO:<c@d.test>|)" },
	PASSED("5321 4.1.2: quoted local parts, empty ones too", "<\"a b\\\"\\\\\"@b.test>", "<\"\"@d.test>"),
	PASSED("5321 4.1.3: address literals", "<a@[192.0.2.1]>", "<c@[IPv6:2001:db8::1]>"),

	/* RFC 1870 */
	LOCAL("1870 4: SIZE=0, leading zeros, twenty digits", "MAIL FROM:<a@b> SIZE=0\r\nRSET\r\nMAIL FROM:<a@b> SIZE=00000000000000000001\r\nRSET\r\n"
	      "MAIL FROM:<a@b> SIZE=000000000000000000001\r\n", "250:2.1.0 250:2.0.0 250:2.1.0 250:2.0.0 501:5.5.4 "),
	{ "1870 6.1: refused at MAIL, and no transaction", { .max_size = 1000 }, IN(HI "MAIL FROM:<a@b> SIZE=1001\r\nRCPT TO:<c@d>\r\nMAIL FROM:<a@b> SIZE=1000\r\n"),
	  SEEN_HI "552:5.3.4 503:5.5.1 250:2.1.0 ", "" },
	{ "1870 6.3: less declared than sent is no reason", { .max_size = 1000 }, IN(HI "MAIL FROM:<a@b.test> SIZE=1\r\nRCPT TO:<c@d.test>\r\nDATA\r\nlonger\r\n.\r\n"),
	  SEEN_HI SEEN_ENVELOPE "354 250:2.6.0 ", NULL, "longer\r\n\n--\n" },

	/* RFC 2920 3.1, 3.2 */
	{ "2920: a refused MAIL in a group", { 0 }, IN(HI "MAIL FROM:<a@b> X=Y\r\nRCPT TO:<c@d>\r\nDATA\r\nNOOP\r\n"),
	  SEEN_HI "555:5.5.4 503:5.5.1 503:5.5.1 250:2.0.0 ", "" },
	{ "2920: RSET between groups", { 0 }, IN(HI ENVELOPE "RSET\r\n" ENVELOPE "RSET\r\n" ENVELOPE "DATA\r\nx\r\n.\r\n"),
	  SEEN_HI SEEN_ENVELOPE "250:2.0.0 " SEEN_ENVELOPE "250:2.0.0 " SEEN_ENVELOPE "354 250:2.6.0 ",
	  LINK GOT_ENVELOPE "RSET|" GOT_ENVELOPE "RSET|" GOT_ENVELOPE "DATA|.|)", "x\r\n\n--\n" },

	/* RFC 3207 */
	LOCAL("3207 4: in order only", "STARTTLS x\r\n" FROM "STARTTLS\r\nRSET\r\nSTARTTLS\r\n" WAIT "STARTTLS\r\n" HI "STARTTLS\r\n",
	      "501:5.5.4 250:2.1.0 503:5.5.1 250:2.0.0 220:2.0.0 TLS 503:5.5.1 250 503:5.5.1 "),
	{ "3207 4.2: HELO will do inside, and offers nothing", { 0 }, IN(HI "STARTTLS\r\n" WAIT "HELO me\r\nMAIL FROM:<a@b> SIZE=1\r\n"),
	  SEEN_HI "220:2.0.0 TLS 250 555:5.5.4 ", "" },

	/* RFC 3461 */
	PASSED("3461 4: all of it", "<a@b.test> RET=HDRS ENVID=" X64 "+2B", "<c@d.test> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;x+2By@z"),
	PASSED("3461 4.1: NEVER", "<> RET=FULL", "<c@d.test> NOTIFY=NEVER"),
	LOCAL("3461 4.3, 4.4: RET and ENVID", "MAIL FROM:<a@b> RET=\r\nMAIL FROM:<a@b> RET=HDRS RET=HDRS\r\nMAIL FROM:<a@b> ENVID=" X64 X16 X16 "01234\r\n"
	      "MAIL FROM:<a@b> ENVID=a=b\r\nMAIL FROM:<a@b> ENVID=a+2b\r\n", "501:5.5.4 501:5.5.4 501:5.5.4 501:5.5.4 501:5.5.4 "),
	{ "3461 4.1, 4.2: NOTIFY and ORCPT", { 0 }, IN(HI FROM "RCPT TO:<c@d> NOTIFY=NEVER,DELAY\r\nRCPT TO:<c@d> NOTIFY\r\nRCPT TO:<c@d> ORCPT=c@d\r\n"
	  "RCPT TO:<c@d> NOTIFY=DELAY NOTIFY=DELAY\r\n"), SEEN_HI "250:2.1.0 501:5.5.4 501:5.5.4 501:5.5.4 501:5.5.4 ", "" },

	/* RFC 6152: what is sent arrives, whatever BODY says */
	{ "6152 3: 8-bit content without BODY, and with 7BIT", { 0 },
	  IN(HI ENVELOPE "DATA\r\n\xc3\xa4\x80\x81\r\n.\r\nMAIL FROM:<a@b.test> BODY=7BIT\r\nRCPT TO:<c@d.test>\r\nDATA\r\n\xfe\r\n.\r\n"),
	  SEEN_HI SEEN_ENVELOPE "354 250:2.6.0 " SEEN_ENVELOPE "354 250:2.6.0 ", NULL, "\xc3\xa4\x80\x81\r\n\n--\n\xfe\r\n\n--\n" },

	/* RFC 6531 */
	PASSED("6531 3.3: UTF-8 in all parts", "<\xc3\xa4@\xc3\xb6.test> SMTPUTF8", "<\"\xe2\x82\xac \xf0\x9f\x98\x80\"@\xc3\xbc.test>"),
	{ "6531 3.1: not without 8BITMIME", { .caps = SMTP_CAP_PIPELINING | SMTP_CAP_SMTPUTF8 }, IN(HI "MAIL FROM:<a@b> SMTPUTF8\r\n"), SEEN_HI "555:5.5.4 ", "" },
	{ "6531 3.4: addresses that need it", { 0 }, IN(HI "MAIL FROM:<\xc3\xa4@b>\r\nMAIL FROM:<a@\xc3\xa4.test>\r\nMAIL FROM:<\"\xc3\xa4\"@b>\r\n" FROM "RCPT TO:<\xc3\xa4@b>\r\n"),
	  SEEN_HI "553:5.6.7 553:5.6.7 553:5.6.7 250:2.1.0 553:5.6.7 ", "" },

	/* RFC 8689 */
	{ "8689 2: in clear it is not there", { .caps = ALL_CAPS }, IN(HI "MAIL FROM:<a@b> REQUIRETLS\r\n"), SEEN_HI "555:5.5.4 ", "" },
	{ "8689 2: inside TLS it goes on", { .caps = ALL_CAPS, .mta = { .ehlo = "250-mta\r\n250-PIPELINING\r\n250 REQUIRETLS\r\n" } },
	  IN(HI TLS "MAIL FROM:<a@b.test> REQUIRETLS\r\nRCPT TO:<c@d.test>\r\n"), SEEN_HI SEEN_TLS SEEN_ENVELOPE,
	  LINK "MAIL FROM:<a@b.test> REQUIRETLS|RCPT TO:<c@d.test>|)" },
	{ "8689 4.2.1: a backend that lost it", { .caps = ALL_CAPS }, IN(HI TLS "MAIL FROM:<a@b.test> REQUIRETLS\r\nRCPT TO:<c@d.test>\r\n"),
	  SEEN_HI SEEN_TLS "250:2.1.0 451:4.7.30 ", LINK ")" },
	{ "8689 2: it takes no value", { .caps = ALL_CAPS }, IN(HI TLS "MAIL FROM:<a@b.test> REQUIRETLS=1\r\n"), SEEN_HI SEEN_TLS "501:5.5.4 ", "" },

	/* RFC 9422 */
	{ "9422 4.2: RCPTMAX is what 452 follows", { .max_recipients = 1 }, IN(HI FROM "RCPT TO:<c@d>\r\nRCPT TO:<e@d>\r\n"),
	  SEEN_HI "250:2.1.0 250:2.1.5 452:4.5.3 ", NULL, NULL, "250-LIMITS MAILMAX=100 RCPTMAX=1\n" },
	{ "9422 4.1: MAILMAX is what 421 follows", { .max_transactions = 1 }, IN(HI FROM "RSET\r\n" FROM), SEEN_HI "250:2.1.0 250:2.0.0 421:4.7.0 [too_many_messages]",
	  "", NULL, "250-LIMITS MAILMAX=1 RCPTMAX=1000\n" },

	/* BDAT numbers that ambush a reader */
	{ "3030 2: a tab is no blank", { 0 }, IN(HI ENVELOPE "BDAT\t5\r\nhelloNOOP\r\n"), SEEN_HI SEEN_ENVELOPE "501:5.5.4 [bdat_size]", LINK GOT_ENVELOPE ")", "" },
	{ "3030 2: a bare LF behind the number", { 0 }, IN(HI ENVELOPE "BDAT 5\nhello\r\nNOOP\r\n"), SEEN_HI SEEN_ENVELOPE "501:5.5.4 [bdat_size]", LINK GOT_ENVELOPE ")", "" },
	{ "3030 2: more zeros than a line holds", { 0 }, IN(HI ENVELOPE "BDAT 0" X512 "\r\nNOOP\r\n"), SEEN_HI SEEN_ENVELOPE "501:5.5.4 [bdat_size]", LINK GOT_ENVELOPE ")", "" },
};

int main(void)
{
	return dialogue_run_all("rfc", rfcs, sizeof rfcs / sizeof *rfcs);
}
