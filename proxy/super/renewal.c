#include "proxy/super/renewal.h"

enum { LAST_MOMENT_S = 3600, LAST_PART = 30, RENEWAL_PART = 3 };

bool renewal_due(const struct key_info *key, enum config_issuer issuer, struct wall now)
{
	if (issuer == CONFIG_FILES || !key->certified)
		return false;
	int64_t life_s = key->not_after.s - key->not_before.s;
	int64_t left_s = key->not_after.s - now.s;
	if (issuer != CONFIG_COMMAND || key->issuer == CERT_SELF_SIGNED)
		return left_s < life_s / RENEWAL_PART;
	int64_t last_s = life_s / LAST_PART < LAST_MOMENT_S ? life_s / LAST_PART : LAST_MOMENT_S;
	return left_s < last_s;
}
