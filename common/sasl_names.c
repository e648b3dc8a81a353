/* SPDX-License-Identifier: ISC */
/* Names of SASL mechanisms; see sasl_names.h. */
#include "common/sasl_names.h"

#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"

static const struct {
	const char *name;
	bool plus;
	bool server_first;
	bool certificate;
} names[] = {
	{ "EXTERNAL", true, false, .certificate = true },
	{ "SCRAM-SHA-256-PLUS", true, false },
	{ "SCRAM-SHA-1-PLUS", true, false },
	{ "SCRAM-SHA-256", false, false },
	{ "SCRAM-SHA-1", false, false },
	{ "PLAIN", false, false },
	{ "LOGIN", false, true },
};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

const char *
sasl_name_find(const char *name, size_t len, bool tls, bool certificate)
{
	for (size_t i = 0; i < N_NAMES; i++)
		if (strlen(names[i].name) == len &&
		    strncasecmp(names[i].name, name, len) == 0)
			return (names[i].plus && !tls) ||
				       (names[i].certificate && !certificate)
				   ? NULL
				   : names[i].name;
	return NULL;
}

void
sasl_names_list(bool tls, bool certificate, const char *before, const char *after,
    char *buf, size_t cap)
{
	buf[0] = '\0';
	for (size_t i = 0; i < N_NAMES; i++) {
		if ((names[i].plus && !tls) || (names[i].certificate && !certificate))
			continue;
		strlcat(buf, before, cap);
		strlcat(buf, names[i].name, cap);
		strlcat(buf, after, cap);
	}
}

bool
sasl_name_server_first(const char *name)
{
	for (size_t i = 0; i < N_NAMES; i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].server_first;
	return false;
}
