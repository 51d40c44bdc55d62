/* Owns:  IP addresses with ports as values: text to `struct sockaddr_storage`
 *        and back, comparison, network prefixes.
 * Never: resolves a name or an interface; only numbers are accepted.
 * Spec:  RFC 4291 2.2, RFC 5952 (printed form), RFC 3986 3.2.2 (brackets).
 * Start at: address_parse. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/ec.h"
#include "base/slice.h"

/* Room for "[xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:255.255.255.255]:65535" and a NUL. */
enum { ADDRESS_TEXT_SIZE = 64 };

/* address_parse reads "192.0.2.1", "192.0.2.1:53", "2001:db8::1",
 * "[2001:db8::1]" or "[2001:db8::1]:53". Without a port in the text it takes
 * `default_port`. Returns EC_SYNTAX (a name, a zone id "%eth0", anything else),
 * EC_RANGE (port 0 or above 65535), EC_MISSING (no port and `default_port` 0). */
enum ec address_parse(struct slice text, uint16_t default_port, struct sockaddr_storage *out, struct why *why)
	MUST_CHECK;

/* address_from_ip4 and address_from_ip6 build one from 4 or 16 octets in
 * network order (the rdata of A and AAAA) and a port in host order. */
struct sockaddr_storage address_from_ip4(const uint8_t octets[4], uint16_t port);
struct sockaddr_storage address_from_ip6(const uint8_t octets[16], uint16_t port);

/* address_print writes "192.0.2.1:53" or "[2001:db8::1]:53"; address_print_ip
 * leaves brackets and port out. A family other than these prints as "-". */
void address_print(char out[ADDRESS_TEXT_SIZE], const struct sockaddr_storage *a);
void address_print_ip(char out[ADDRESS_TEXT_SIZE], const struct sockaddr_storage *a);

/* address_port and address_set_port use host byte order. */
uint16_t address_port(const struct sockaddr_storage *a);
void address_set_port(struct sockaddr_storage *a, uint16_t port);

/* address_len returns the length that bind, connect and uv_* expect. */
socklen_t address_len(const struct sockaddr_storage *a);

/* address_eq compares family, address and port; address_eq_ip leaves the port
 * out. An IPv4-mapped IPv6 address differs from the IPv4 one: see address_unmap. */
bool address_eq(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
bool address_eq_ip(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

/* address_unmap turns ::ffff:192.0.2.1 into 192.0.2.1, so that a peer on a
 * dual-stack listener is counted once. Others stay as they are. */
void address_unmap(struct sockaddr_storage *a);

/* address_in_prefix tells whether both have the same family and the same
 * first `bits` bits of address (at most 32 or 128). */
bool address_in_prefix(const struct sockaddr_storage *a, const struct sockaddr_storage *network, unsigned bits);

/* address_mask clears the bits after the first `bits`, and the port. */
void address_mask(struct sockaddr_storage *a, unsigned bits);

#endif
