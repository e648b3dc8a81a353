/* SPDX-License-Identifier: ISC */
/* The options of commands on one mailbox, from root's words to a request. */
#include "mboxd/admin_words.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "mailbox/store.h"

/* Digits and one letter of units. 0, or -1. */
static int
number(const char *s, const char *units, const uint64_t *factors, uint64_t max,
    uint64_t *out)
{
	const char *unit;
	uint64_t v = 0, factor = 1;

	if (*s < '0' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (v > (max - (uint64_t)(*s - '0')) / 10)
			return -1;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	if (*s != '\0') {
		char c = *s >= 'A' && *s <= 'Z' ? (char)(*s - 'A' + 'a') : *s;

		if ((unit = strchr(units, c)) == NULL || s[1] != '\0')
			return -1;
		factor = factors[unit - units];
	}
	if (v > max / factor)
		return -1;
	*out = v * factor;
	return 0;
}

static int
flag(const char *s, uint8_t *flags, char *keyword, size_t cap)
{
	static const struct {
		const char *name;
		uint8_t flag;
	} names[] = { { "seen", FLAG_SEEN }, { "answered", FLAG_ANSWERED },
		{ "flagged", FLAG_FLAGGED }, { "deleted", FLAG_DELETED },
		{ "draft", FLAG_DRAFT } };
	const char *name = s[0] == '\\' ? s + 1 : s;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(names[i].name, name) == 0) {
			*flags |= names[i].flag;
			return 0;
		}
	if (s[0] == '\\' || s[0] == '\0' || keyword[0] != '\0' ||
	    strlcpy(keyword, s, cap) >= cap)
		return -1;
	return 0;
}

/* 0, -1 bad value, -2 no such option of this command. */
static int
option(struct msg_mbox_admin *o, const char *word, const char *value, int64_t now)
{
	static const uint64_t seconds[] = { 1, 60, 3600, 86400, 604800, 31536000 };
	static const uint64_t octets[] = { 1024, 1024 * 1024, 1024 * 1024 * 1024 };
	uint64_t n;

	if (strcmp(word, "--folder") == 0 && o->verb != MBOX_REINDEX)
		return value[0] == '\0' || strlcpy(o->folder, value, sizeof(o->folder)) >=
					       sizeof(o->folder)
			   ? -1
			   : 0;
	if (o->verb != MBOX_PURGE)
		return -2;
	if (strcmp(word, "--older") == 0) {
		if (number(value, "smhdwy", seconds, INT32_MAX, &n) == -1)
			return -1;
		/* 0 would mean any age. */
		o->before = now - (int64_t)n > 0 ? now - (int64_t)n : 1;
		return 0;
	}
	if (strcmp(word, "--larger") == 0)
		return number(value, "kmg", octets, UINT64_MAX / 2, &o->larger);
	if (strcmp(word, "--from") == 0)
		return value[0] == '\0' ||
			       strlcpy(o->from, value, sizeof(o->from)) >= sizeof(o->from)
			   ? -1
			   : 0;
	if (strcmp(word, "--flag") == 0)
		return flag(value, &o->flags, o->keyword, sizeof(o->keyword));
	if (strcmp(word, "--unflag") == 0)
		return flag(value, &o->not_flags, o->not_keyword, sizeof(o->not_keyword));
	return -2;
}

int
admin_parse(int verb, int argc, char **argv, int64_t now, struct msg_mbox_admin *out,
    char *why, size_t cap)
{
	memset(out, 0, sizeof(*out));
	out->verb = (uint8_t)verb;
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i], *value;
		int r;

		if (verb == MBOX_PURGE && strcmp(word, "--dry-run") == 0) {
			out->options |= MBOX_ADMIN_DRY_RUN;
			continue;
		}
		if (verb == MBOX_EXPORT && strcmp(word, "--mbox") == 0) {
			out->options |= MBOX_ADMIN_MBOX;
			continue;
		}
		if (verb == MBOX_IMPORT && strcmp(word, "--dovecot") == 0) {
			out->options |= MBOX_ADMIN_DOVECOT;
			continue;
		}
		value = i + 1 < argc ? argv[i + 1] : NULL;
		if ((r = option(out, word, value == NULL ? "" : value, now)) == -2)
			snprintf(why, cap, "%s: no such option; see fifectl(8)", word);
		else if (value == NULL)
			snprintf(why, cap, "%s needs a value", word);
		else if (r == -1)
			snprintf(why, cap, "%s: %s is not understood", word, value);
		else {
			i++;
			continue;
		}
		return -1;
	}
	return 0;
}
