/* SPDX-License-Identifier: ISC */
/* Settings of a user as they are kept, and the script that comes of them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "authd/rules.h"
#include "common/compat/compat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct user u, again;
	char script[RULES_SCRIPT_MAX + 1], text[2 * sizeof(u.rules)];
	const char *at;
	struct rule r;
	size_t n = 0;
	int len;

	memset(&u, 0, sizeof(u));
	memset(&again, 0, sizeof(again));
	/* A value of a record: one line, no space. */
	for (size_t i = 0; i < size && i + 1 < sizeof(u.rules); i++)
		u.rules[i] = data[i] == '\n' || data[i] == ' ' ? '_' : (char)data[i];
	memcpy(u.vacation, u.rules, sizeof(u.vacation) - 1);
	memcpy(u.forward, u.rules, sizeof(u.forward) - 1);
	at = u.rules;
	while (rules_next(&at, &r)) {
		if (++n > sizeof(u.rules))
			abort();
		rule_print(&r, text, sizeof(text));
		(void)rules_add(&again, &r);
	}
	/* What was written by us reads the same. */
	at = again.rules;
	while (rules_next(&at, &r))
		;
	if (*at != '\0')
		abort();
	len = rules_script(&u, script);
	if (len != -1 && strlen(script) != (size_t)len)
		abort();
	(void)rules_keep_nothing(&u);
	(void)rules_only_commands(&u);
	(void)rules_delete(&u, n);
	return 0;
}
