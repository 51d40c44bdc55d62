/* What OpenSSL's DANE verifier says about the cases that it is given (cases.h has their
 * form): one line each, "ok", "unusable", "name", "expired", or "mismatch" and the number of
 * the error. A program of its own: OpenSSL's names must not meet BoringSSL's in one. Set up as
 * Postfix does it: RFC 7672 3.1.3 (no PKIX usages), 3.1.1 (DANE-EE: no name), 3.2.3 (whole labels). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

enum { LIST_MAX = 16 };

struct octets {
	unsigned char *p;
	size_t len;
};

struct input {
	time_t now;
	char *names[LIST_MAX];
	int num_names;
	struct octets records[LIST_MAX];
	int num_records;
	struct octets chain[LIST_MAX];
	int num_chain;
};

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "openssl.c: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(2);
}

static struct octets from_hex(const char *text)
{
	long len = 0;
	unsigned char *p = OPENSSL_hexstr2buf(text, &len);
	must(p != NULL, "hex");
	return (struct octets){ p, (size_t)len };
}

/* read_case returns 0 at the end of the input. */
static int read_case(FILE *from, struct input *in)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	*in = (struct input){ 0 };
	while ((len = getline(&line, &cap, from)) > 0) {
		line[len - 1] = '\0';
		char *value = strchr(line, ' ');
		if (strcmp(line, "end") == 0)
			break;
		must(value != NULL && in->num_names < LIST_MAX && in->num_records < LIST_MAX && in->num_chain < LIST_MAX, "syntax");
		*value++ = '\0';
		if (strcmp(line, "now") == 0)
			in->now = (time_t)atoll(value);
		else if (strcmp(line, "name") == 0)
			in->names[in->num_names++] = strdup(value);
		else if (strcmp(line, "record") == 0)
			in->records[in->num_records++] = from_hex(value);
		else if (strcmp(line, "cert") == 0)
			in->chain[in->num_chain++] = from_hex(value);
	}
	free(line);
	return len > 0;
}

static void free_case(struct input *in)
{
	for (int i = 0; i < in->num_names; i++)
		free(in->names[i]);
	for (int i = 0; i < in->num_records; i++)
		OPENSSL_free(in->records[i].p);
	for (int i = 0; i < in->num_chain; i++)
		OPENSSL_free(in->chain[i].p);
}

static SSL *new_ssl(SSL_CTX *ctx, const struct input *in)
{
	SSL *ssl = SSL_new(ctx);
	must(ssl != NULL && SSL_dane_enable(ssl, in->names[0]) > 0, "SSL_dane_enable");
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (int i = 1; i < in->num_names; i++)
		must(SSL_add1_host(ssl, in->names[i]), "SSL_add1_host");
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return ssl;
}

static int add_records(SSL *ssl, const struct input *in)
{
	int usable = 0;
	for (int i = 0; i < in->num_records; i++) {
		const unsigned char *p = in->records[i].p;
		if (in->records[i].len < 4 || (p[0] != 2 && p[0] != 3))
			continue;
		int r = SSL_dane_tlsa_add(ssl, p[0], p[1], p[2], p + 3, in->records[i].len - 3);
		usable += r > 0;
		/* A negative answer is about a record that can't be decoded: RFC 7671 4. */
		ERR_clear_error();
	}
	return usable;
}

static X509 *decode(struct octets o)
{
	const unsigned char *p = o.p;
	X509 *x = d2i_X509(NULL, &p, (long)o.len);
	must(x != NULL, "certificate");
	return x;
}

/* What is wrong besides: OpenSSL looks at names before signatures, and at dates between
 * them. It is asked to go on, so that the gravest reason counts and not the first. */
static int wrong_name, wrong_date;

static int on_error(int ok, X509_STORE_CTX *ctx)
{
	int error = X509_STORE_CTX_get_error(ctx);
	if (ok)
		return 1;
	wrong_name |= error == X509_V_ERR_HOSTNAME_MISMATCH;
	wrong_date |= error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;
	return error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_CERT_HAS_EXPIRED ||
	       error == X509_V_ERR_CERT_NOT_YET_VALID;
}

static const char *verify(SSL *ssl, const struct input *in)
{
	STACK_OF(X509) *sent = sk_X509_new_null();
	X509_STORE *nobody = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	static char text[64];
	for (int i = 0; i < in->num_chain; i++)
		sk_X509_push(sent, decode(in->chain[i]));
	must(X509_STORE_CTX_init(ctx, nobody, sk_X509_value(sent, 0), sent), "init");
	must(X509_STORE_CTX_set_default(ctx, "ssl_server"), "ssl_server");
	must(X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(ctx), SSL_get0_param(ssl)), "param");
	X509_STORE_CTX_set0_dane(ctx, SSL_get0_dane(ssl));
	X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), in->now);
	X509_STORE_CTX_set_verify_cb(ctx, on_error);
	wrong_name = wrong_date = 0;
	int ok = X509_verify_cert(ctx) == 1;
	if (ok)
		snprintf(text, sizeof text, "%s", wrong_name ? "name" : wrong_date ? "expired" : "ok");
	else
		snprintf(text, sizeof text, "mismatch %d", X509_STORE_CTX_get_error(ctx));
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(nobody);
	sk_X509_pop_free(sent, X509_free);
	return text;
}

int main(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct input in;
	must(ctx != NULL && SSL_CTX_dane_enable(ctx) > 0, "SSL_CTX_dane_enable");
	while (read_case(stdin, &in)) {
		SSL *ssl = new_ssl(ctx, &in);
		puts(add_records(ssl, &in) == 0 ? "unusable" : verify(ssl, &in));
		SSL_free(ssl);
		free_case(&in);
	}
	SSL_CTX_free(ctx);
	return fflush(stdout) == 0 ? 0 : 2;
}
