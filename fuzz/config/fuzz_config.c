/* The configuration parser: any bytes give a configuration or complaints, and a
 * configuration is equal to what its dump reads back to. */
#include <stdlib.h>

#include "config/config.h"
#include "config/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(void *arg, const char *key, bool reloadable)
{
	(void)key;
	(void)reloadable;
	++*(unsigned *)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *cfg = NULL, *back = NULL;
	struct config_errors *errs = calloc(1, sizeof *errs);
	struct bytes dump = { 0 };
	if (errs == NULL)
		return 0;
	enum ec ec = config_parse(slice_of(data, size), "f", &cfg, errs);
	if ((ec == EC_OK) != (errs->num == 0) || (ec == EC_OK) != (cfg != NULL))
		abort();
	if (cfg != NULL) {
		unsigned changes = 0;
		if (config_dump(cfg, &dump) != EC_OK)
			abort();
		/* A dump may outgrow the limit that its source just met. */
		if (bytes_len(&dump) <= CONFIG_TEXT_MAX) {
			if (config_parse(bytes_slice(&dump), "f", &back, errs) != EC_OK)
				abort();
			(void)config_diff(cfg, back, count, &changes);
			if (changes != 0)
				abort();
		}
	}
	if (cfg != NULL) {
		(void)!config_check_for(cfg, CONFIG_FOR_DANEGATE, errs);
		(void)!config_check_for(cfg, CONFIG_FOR_TLSA_SYNC, errs);
	}
	config_free(back);
	config_free(cfg);
	bytes_fini(&dump);
	free(errs);
	return 0;
}
