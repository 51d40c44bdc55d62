#include "dns/secure_config.h"

#include "base/address.h"

#include <string.h>

/* Why each: see unbound.conf(5). Nothing may outlive its truth (serve-expired,
 * aggressive-nsec, val-bogus-ttl, neg-cache), and a server that was dead a moment
 * ago is tried again (infra-*). */
static const char fixed_config[] = "server:\n"
				   " verbosity: 0\n"
				   " use-syslog: no\n"
				   " module-config: \"validator iterator\"\n"
				   " do-not-query-localhost: no\n"
				   " qname-minimisation: yes\n"
				   " harden-glue: yes\n"
				   " harden-dnssec-stripped: yes\n"
				   " harden-below-nxdomain: yes\n"
				   " edns-buffer-size: 1232\n"
				   " minimal-responses: no\n"
				   " trust-anchor-signaling: no\n"
				   " aggressive-nsec: no\n"
				   " serve-expired: no\n"
				   " prefetch: no\n"
				   " val-bogus-ttl: 0\n"
				   " neg-cache-size: 0\n"
				   " infra-host-ttl: 1\n"
				   " infra-keep-probing: yes\n"
				   " msg-cache-slabs: 1\n"
				   " rrset-cache-slabs: 1\n"
				   " infra-cache-slabs: 1\n"
				   " key-cache-slabs: 1\n";

/* "192.0.2.1@53", as unbound.conf wants it. */
static void write_address(struct writer *w, const struct sockaddr_storage *a)
{
	char ip[ADDRESS_TEXT_SIZE];
	address_print_ip(ip, a);
	writer_format(w, "%s@%u", ip, address_port(a));
}

static enum ec write_forwarders(struct writer *w, const struct secure_options *o, struct why *why)
{
	if (o->num_forwarders == 0)
		return EC_OK;
	writer_str(w, "forward-zone:\n name: \".\"\n");
	for (size_t i = 0; i < o->num_forwarders; i++) {
		struct sockaddr_storage a;
		enum ec ec = address_parse(slice_str(o->forwarders[i]), 53, &a, why);
		if (ec != EC_OK) {
			why_prefix(why, "resolver \"%.100s\"", o->forwarders[i]);
			return EC_SYNTAX;
		}
		writer_str(w, " forward-addr: ");
		write_address(w, &a);
		writer_str(w, "\n");
	}
	return EC_OK;
}

/* One server for one zone. Without the key cache its DNSKEY is fetched from it
 * too, each time. The name comes from DNS: nothing in it may end the quotes. */
static enum ec write_stub(struct writer *w, const struct dns_name *zone, const struct sockaddr_storage *at,
			  struct why *why)
{
	char name[DNS_NAME_TEXT_SIZE];
	dns_name_print(name, zone);
	if (strchr(name, '\\') != NULL)
		return why_set(why, EC_UNSUPPORTED, "the zone name %.200s has unusual characters", name);
	writer_format(w, " key-cache-size: 0\nstub-zone:\n name: \"%s\"\n stub-no-cache: yes\n stub-addr: ", name);
	write_address(w, at);
	writer_str(w, "\n");
	return EC_OK;
}

enum ec secure_config_write(const struct secure_options *options, const struct dns_name *zone,
			    const struct sockaddr_storage *at, struct writer *w, struct why *why)
{
	enum ec ec = EC_OK;
	writer_str(w, fixed_config);
	if (zone != NULL)
		ec = write_stub(w, zone, at, why);
	if (ec == EC_OK)
		ec = write_forwarders(w, options, why);
	if (ec == EC_OK && w->bad)
		return why_set(why, EC_NO_SPACE, "too many resolvers");
	return ec;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct slice next_word(struct slice *line)
{
	while (line->len > 0 && is_blank(line->p[0]))
		*line = slice_from(*line, 1);
	size_t len = 0;
	while (len < line->len && !is_blank(line->p[len]))
		len++;
	struct slice word = slice_first(*line, len);
	*line = slice_from(*line, len);
	return word;
}

/* One line up to a comment: owner first, then the type among class and TTL. */
static bool line_anchors_root(struct slice line)
{
	size_t len = 0;
	while (len < line.len && line.p[len] != ';')
		len++;
	line = slice_first(line, len);
	if (is_blank(line.len > 0 ? line.p[0] : ' ') || !slice_eq(next_word(&line), SLICE_LIT(".")))
		return false;
	for (struct slice word = next_word(&line); word.len > 0; word = next_word(&line)) {
		if (slice_eq_nocase(word, SLICE_LIT("DS")) || slice_eq_nocase(word, SLICE_LIT("DNSKEY")))
			return true;
	}
	return false;
}

bool secure_config_anchors_root(struct slice text)
{
	while (text.len > 0) {
		size_t len = 0;
		while (len < text.len && text.p[len] != '\n')
			len++;
		if (line_anchors_root(slice_first(text, len)))
			return true;
		text = slice_from(text, len < text.len ? len + 1 : len);
	}
	return false;
}
