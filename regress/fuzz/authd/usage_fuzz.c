/* SPDX-License-Identifier: ISC */
/* Records of what accounts have sent, and of accounts and groups, as damage leaves them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "authd/directory.h"
#include "authd/usage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW 1800000000

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct usage_watch watch = { 3600, 10, 2, 5, 3 };
	char text[32768], out[32768], line[USAGE_TEXT_MAX];
	struct usage *u = usage_new();
	const void *iter = NULL;
	uint32_t value, usual;
	struct user user, again;
	struct group group;

	if (size >= sizeof(text))
		size = sizeof(text) - 1;
	memcpy(text, data, size);
	text[size] = '\0';
	if (u == NULL)
		abort();
	if (usage_restore(u, "a", text, NOW) == 0) {
		(void)usage_alarm(u, "a", &watch, NOW, &value, &usual);
		usage_sent(u, "a", watch.window_s, NOW);
		usage_refused(u, "a", watch.window_s, NOW + 1);
		usage_network(u, "a", "192.0.2.1", NOW + 2);
		if (usage_next(u, &iter, 0, line) == NULL ||
		    usage_restore(u, "b", line, NOW) == -1)
			abort();
	}
	usage_free(u);
	if (user_decode("a@b.test", text, &user) == 0 &&
	    user_encode(&user, out, sizeof(out)) == 0 &&
	    (user_decode("a@b.test", out, &again) == -1 || again.uid != user.uid ||
		memcmp(&again.limits, &user.limits, sizeof(user.limits)) != 0))
		abort();
	if (group_decode("staff", text, &group) == 0 &&
	    group_encode(&group, out, sizeof(out)) == -1)
		abort();
	return 0;
}
