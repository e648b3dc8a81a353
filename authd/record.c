/* SPDX-License-Identifier: ISC */
/* Records of users and groups as text: lines of key=value; see directory.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authd/directory.h"
#include "common/compat/compat.h"

static int
line_value(const char *text, const char *name, char *out, size_t cap)
{
	size_t len = strlen(name);

	out[0] = '\0';
	while (text != NULL && *text != '\0') {
		const char *end = strchr(text, '\n');

		if (end == NULL)
			return -1;
		if (strncmp(text, name, len) == 0 && text[len] == '=') {
			size_t n = (size_t)(end - text) - len - 1;

			if (n >= cap)
				return -1;
			memcpy(out, text + len + 1, n);
			out[n] = '\0';
			return 0;
		}
		text = end + 1;
	}
	return 0; /* absent: the default */
}

static int
line_number(const char *text, const char *name, long long max, long long *out)
{
	char buf[32];
	const char *bad = NULL;

	*out = 0;
	if (line_value(text, name, buf, sizeof(buf)) == -1)
		return -1;
	if (buf[0] != '\0')
		*out = strtonum(buf, 0, max, &bad);
	return bad == NULL ? 0 : -1;
}

/* Lines of what is said; what is inherited has none. -1: no room. */
static int
limits_encode(const struct limits *l, char *buf, size_t cap)
{
	size_t len = 0;

	buf[0] = '\0';
	for (int i = 0; i < LIMITS; i++) {
		char value[LIMIT_TEXT_MAX];
		int n;

		if (l->v[i] == LIMIT_INHERITED)
			continue;
		limit_format(l->v[i], value);
		n = snprintf(
		    buf + len, cap - len, "%s=%s\n", limit_word((enum limit)i), value);
		if (n < 0 || (size_t)n >= cap - len)
			return -1;
		len += (size_t)n;
	}
	return 0;
}

static int
limits_decode(const char *text, struct limits *l)
{
	for (int i = 0; i < LIMITS; i++) {
		char value[LIMIT_TEXT_MAX];

		if (line_value(text, limit_word((enum limit)i), value, sizeof(value)) ==
		    -1)
			return -1;
		if (value[0] != '\0' &&
		    limit_parse((enum limit)i, value, &l->v[i]) != NULL)
			return -1;
	}
	return 0;
}

int
user_encode(const struct user *u, char *buf, size_t cap)
{
	char limits[LIMITS * 48];
	int n;

	if (limits_encode(&u->limits, limits, sizeof(limits)) == -1)
		return -1;
	n = snprintf(buf, cap,
	    "mailbox=%s\nuid=%u\ndisabled=%d\nclosed=%d\nadministrator=%d\nforward=%s\n"
	    "forward-keep=%d\n"
	    "created=%lld\nsince=%lld\nscram-sha-256=%s\nscram-sha-1=%s\ncrypt=%s\nsend-"
	    "as=%s\n"
	    "app-passwords=%s\nvacation=%s\nvacation-subject=%s\nrules=%s\ngroup=%"
	    "s\nsuspect=%"
	    "s\nsuspect-since=%lld\npop3-folders=%s\n%s",
	    u->mailbox, u->uid, u->disabled, u->closed, u->administrator, u->forward,
	    u->forward_keep, (long long)u->created, (long long)u->since,
	    u->password.scram_sha256, u->password.scram_sha1, u->password.crypt,
	    u->send_as, u->apppass, u->vacation, u->vacation_subject, u->rules, u->group,
	    u->suspect, (long long)u->suspect_since, u->pop3_folders, limits);
	return n < 0 || (size_t)n >= cap ? -1 : 0;
}

int
user_decode(const char *key, const char *text, struct user *u)
{
	long long n;

	memset(u, 0, sizeof(*u));
	if (strlcpy(u->address, key, sizeof(u->address)) >= sizeof(u->address))
		return -1;
	if (line_value(text, "mailbox", u->mailbox, sizeof(u->mailbox)) == -1 ||
	    line_value(text, "forward", u->forward, sizeof(u->forward)) == -1 ||
	    line_value(text, "scram-sha-256", u->password.scram_sha256,
		sizeof(u->password.scram_sha256)) == -1 ||
	    line_value(text, "scram-sha-1", u->password.scram_sha1,
		sizeof(u->password.scram_sha1)) == -1 ||
	    line_value(text, "crypt", u->password.crypt, sizeof(u->password.crypt)) ==
		-1 ||
	    line_value(text, "send-as", u->send_as, sizeof(u->send_as)) == -1 ||
	    line_value(text, "app-passwords", u->apppass, sizeof(u->apppass)) == -1 ||
	    line_value(text, "vacation", u->vacation, sizeof(u->vacation)) == -1 ||
	    line_value(text, "vacation-subject", u->vacation_subject,
		sizeof(u->vacation_subject)) == -1 ||
	    line_value(text, "pop3-folders", u->pop3_folders, sizeof(u->pop3_folders)) ==
		-1 ||
	    line_value(text, "rules", u->rules, sizeof(u->rules)) == -1 ||
	    line_value(text, "group", u->group, sizeof(u->group)) == -1 ||
	    line_value(text, "suspect", u->suspect, sizeof(u->suspect)) == -1)
		return -1;
	if (line_number(text, "uid", UINT32_MAX, &n) == -1)
		return -1;
	u->uid = (uint32_t)n;
	if (line_number(text, "disabled", 1, &n) == -1)
		return -1;
	u->disabled = (int)n;
	if (line_number(text, "closed", 1, &n) == -1)
		return -1;
	u->closed = (int)n;
	if (line_number(text, "administrator", 1, &n) == -1)
		return -1;
	u->administrator = (int)n;
	if (limits_decode(text, &u->limits) == -1 ||
	    line_number(text, "suspect-since", INT64_MAX, &n) == -1)
		return -1;
	u->suspect_since = n;
	if (line_number(text, "forward-keep", 1, &n) == -1)
		return -1;
	u->forward_keep = (int)n;
	if (line_number(text, "created", INT64_MAX, &n) == -1)
		return -1;
	u->created = n;
	if (line_number(text, "since", INT64_MAX, &n) == -1)
		return -1;
	u->since = n != 0 ? n : u->created;
	return u->uid != 0 && u->mailbox[0] != '\0' ? 0 : -1;
}

int
group_name_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= GROUP_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

int
group_encode(const struct group *g, char *buf, size_t cap)
{
	char limits[LIMITS * 48];
	int n;

	if (limits_encode(&g->limits, limits, sizeof(limits)) == -1)
		return -1;
	n = snprintf(buf, cap, "send-as=%s\n%s", g->send_as, limits);
	return n < 0 || (size_t)n >= cap ? -1 : 0;
}

int
group_decode(const char *name, const char *text, struct group *g)
{
	memset(g, 0, sizeof(*g));
	if (!group_name_valid(name) ||
	    strlcpy(g->name, name, sizeof(g->name)) >= sizeof(g->name) ||
	    line_value(text, "send-as", g->send_as, sizeof(g->send_as)) == -1)
		return -1;
	return limits_decode(text, &g->limits);
}
