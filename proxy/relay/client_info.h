/* Owns:  the commands that tell a backend who the real client is.
 * Never: says what the backend did not list; leaves a value unencoded.
 * Spec:  Postfix XCLIENT_README, XFORWARD_README; RFC 3461 4 (xtext).
 * Start at: client_info_xclient. */
#ifndef PROXY_RELAY_CLIENT_INFO_H
#define PROXY_RELAY_CLIENT_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "proxy/smtp/command.h"

/* Attributes that a backend lists behind XCLIENT or XFORWARD. */
enum client_info_attribute {
	CLIENT_INFO_NAME = 1 << 0,
	CLIENT_INFO_ADDR = 1 << 1,
	CLIENT_INFO_PORT = 1 << 2,
	CLIENT_INFO_PROTO = 1 << 3,
	CLIENT_INFO_HELO = 1 << 4,
	CLIENT_INFO_IDENT = 1 << 5,
};

/* XFORWARD_README, notes 1 and 2: of one value, and of one command. */
enum { XFORWARD_VALUE_MAX = 255, XFORWARD_LINE_MAX = 512, XCLIENT_LINE_MAX = 2048 };

/* struct client_info is a client; "" and port 0 mean not known. */
struct client_info {
	char addr[64]; /* numeric text */
	char helo[SMTP_HELO_MAX + 1];
	char id[64]; /* of its session */
	uint16_t port;
	bool esmtp;
};

/* client_info_attributes reads the list behind the keyword in an EHLO reply. */
unsigned client_info_attributes(struct slice rest);

/* client_info_xclient writes the XCLIENT command, at most XCLIENT_LINE_MAX octets. */
void client_info_xclient(struct writer *w, const struct client_info *c, unsigned taken);

/* client_info_xforward_where and _who write two XFORWARD commands: no one command
 * is too long then, whatever the client called itself. Each writes nothing if the
 * backend takes none of its attributes, and at most XFORWARD_LINE_MAX octets. */
void client_info_xforward_where(struct writer *w, const struct client_info *c, unsigned taken);
void client_info_xforward_who(struct writer *w, const struct client_info *c, unsigned taken);

#endif
