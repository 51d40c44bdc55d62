/* Prints DNS updates made by update_build, one a line: a name, then hex. For
 * check_update.py, which reads them with another implementation. */
#include "dns/update_ldns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "print_update: %s\n", what);
		exit(1);
	}
}

static struct tlsa filled(uint8_t octet)
{
	uint8_t digest[32];
	memset(digest, octet, sizeof digest);
	return tlsa_311(digest);
}

static void print(const char *name, const struct update *u, const struct tsig_key *key)
{
	static struct update_request r;
	static char hex[2 * UPDATE_WIRE_MAX + 1];
	struct why why = { 0 };
	must(update_build(u, key, 0x1234, &r, &why) == EC_OK, why.text);
	hex_encode(hex, slice_of(r.wire, r.len));
	printf("%s %s ", name, hex);
	hex_encode(hex, slice_of(r.mac, r.mac_len));
	printf("%s\n", r.mac_len > 0 ? hex : "-");
}

int main(void)
{
	struct tsig_key sha256, sha512;
	struct tlsa a = filled(0xaa), b = filled(0xbb), c = filled(0xcc);
	struct why why = { 0 };
	/* 32 octets 0x64.. as in make_packets.py */
	struct slice secret = SLICE_LIT("ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=\n");
	must(tsig_key_init(&sha256, SLICE_LIT("Upd.Example"), SLICE_LIT("hmac-sha256"), secret, &why) == EC_OK, why.text);
	must(tsig_key_init(&sha512, SLICE_LIT("Upd.Example"), SLICE_LIT("HMAC-SHA512"), secret, &why) == EC_OK, why.text);
	struct update u = { .ttl_s = 3600 };
	must(dns_name_parse(SLICE_LIT("example.org"), &u.zone, &why) == EC_OK, why.text);
	must(dns_name_parse(SLICE_LIT("_25._tcp.mx1.example.org"), &u.owner, &why) == EC_OK, why.text);
	must(tlsa_set_add(&u.adds, &a) == EC_OK && tlsa_set_add(&u.adds, &b) == EC_OK, "full");
	must(tlsa_set_add(&u.deletes, &c) == EC_OK, "full");
	print("exact-unsigned", &u, NULL);
	print("exact-sha256", &u, &sha256);
	print("exact-sha512", &u, &sha512);
	u.deletes.num = 0;
	u.replace = true;
	print("replace-sha256", &u, &sha256);
	u = (struct update){ .zone = u.zone, .owner = u.owner, .rehearsal = true };
	print("rehearsal-sha256", &u, &sha256);
	tsig_key_fini(&sha256);
	tsig_key_fini(&sha512);
	return 0;
}
