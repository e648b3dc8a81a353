/* SPDX-License-Identifier: ISC */
/* Mailing lists; see lists.h. */
#include "authd/lists.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/log.h"

enum dir_status
lists_get(struct directory *d, const char *list, struct listconf *l)
{
	char text[LISTCONF_TEXT_MAX + 1];
	enum dir_status st = directory_list_get(d, list, text, sizeof(text));

	if (st == DIR_OK && listconf_parse(text, l) == -1) {
		log_warnx("directory: the record of list %s is damaged", list);
		return DIR_IO;
	}
	return st;
}

enum dir_status
lists_find(struct directory *d, const char *key, char list[ADDRESS_MAX + 1],
    char part[ADDRESS_MAX + 1])
{
	static const struct {
		const char *suffix;
		const char *part;
	} parts[] = {
		{ "-request", "request" },
		{ "-join", "join" },
		{ "-subscribe", "join" },
		{ "-leave", "leave" },
		{ "-unsubscribe", "leave" },
		{ "-confirm", "confirm" },
		{ "-bounces", "bounces" },
		{ "-owner", "owner" },
		{ "-approve", "approve" },
		{ "-reject", "reject" },
		{ "-discard", "discard" },
	};
	const char *at = strrchr(key, '@'), *plus;
	size_t len;

	if (at == NULL || !directory_has_lists(d))
		return DIR_NONE;
	strlcpy(list, key, ADDRESS_MAX + 1);
	strlcpy(part, "post", ADDRESS_MAX + 1);
	if (directory_list_get(d, list, NULL, 0) == DIR_OK)
		return DIR_OK;
	/* A list may have a plus sign in its own name: the detail is behind the suffix.
	 */
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		size_t n = strlen(parts[i].suffix);

		for (const char *p = key;
		     (p = strstr(p, parts[i].suffix)) != NULL && p < at; p++) {
			plus = p + n;
			if (p == key || (*plus != '+' && plus != at))
				continue;
			len = (size_t)(p - key);
			memcpy(list, key, len);
			strlcpy(list + len, at, ADDRESS_MAX + 1 - len);
			if (directory_list_get(d, list, NULL, 0) != DIR_OK)
				continue;
			snprintf(part, ADDRESS_MAX + 1, "%s%.*s", parts[i].part,
			    (int)(at - plus), plus);
			return DIR_OK;
		}
	}
	return DIR_NONE;
}

struct owners {
	char *targets;
	size_t cap;
};

static int
add_owner(const char *member, const char *text, void *arg)
{
	struct owners *o = arg;
	struct member m;

	if (member_decode(text, &m) == -1 || !(m.roles & LIST_IS_OWNER) ||
	    strlen(o->targets) + strlen(member) + 2 > o->cap)
		return 0;
	if (o->targets[0] != '\0')
		strlcat(o->targets, " ", o->cap);
	strlcat(o->targets, member, o->cap);
	return 0;
}

void
lists_owners(struct directory *d, const char *list, char *targets, size_t cap)
{
	struct owners o = { targets, cap };

	targets[0] = '\0';
	(void)directory_members_walk(d, list, "", add_owner, &o);
}

int
lists_post(struct directory *d, const uint8_t secret[32], int64_t now, const char *list,
    char *out, size_t cap)
{
	struct listpost p = { 0 };
	struct listconf l;
	int rv;

	if (secret == NULL || lists_get(d, list, &l) != DIR_OK)
		return -1;
	strlcpy(p.list, list, sizeof(p.list));
	strlcpy(p.uri, l.uri, sizeof(p.uri));
	p.period = (uint8_t)(now / LISTPOST_PERIOD_S % LISTPOST_PERIODS);
	listpost_key(secret, list, now / LISTPOST_PERIOD_S, p.key);
	rv = listpost_format(&p, out, cap);
	explicit_bzero(&p, sizeof(p));
	return rv;
}

enum dir_status
lists_member_get(struct directory *d, const char *list, const char *key, struct member *m)
{
	char text[MEMBER_TEXT_MAX + 1];
	enum dir_status st = directory_member_get(d, list, key, text, sizeof(text));

	if (st == DIR_OK && member_decode(text, m) == -1) {
		log_warnx("directory: the record of %s in list %s is damaged", key, list);
		return DIR_IO;
	}
	return st;
}

enum dir_status
lists_member_put(
    struct directory *d, const char *list, const char *key, const struct member *m)
{
	char text[MEMBER_TEXT_MAX + 1];

	return member_encode(m, text, sizeof(text)) == -1
		   ? DIR_BAD
		   : directory_member_put(d, list, key, text);
}

enum dir_status
lists_role_add(
    struct directory *d, const char *list, const char *key, uint8_t role, int64_t now)
{
	struct member m = { 0 };
	enum dir_status st = lists_member_get(d, list, key, &m);

	if (st != DIR_OK && st != DIR_NONE)
		return st;
	if (m.roles & role)
		return DIR_EXISTS;
	if (st == DIR_NONE || role == LIST_IS_MEMBER)
		m.since = now;
	/* Who comes anew gets mail, whatever became of it before. */
	if (role == LIST_IS_MEMBER)
		member_resume(&m);
	m.roles |= role;
	return lists_member_put(d, list, key, &m);
}

enum dir_status
lists_role_del(struct directory *d, const char *list, const char *key, uint8_t role)
{
	struct member m;
	enum dir_status st = lists_member_get(d, list, key, &m);

	if (st != DIR_OK)
		return st;
	if (!(m.roles & role))
		return DIR_NONE;
	m.roles &= (uint8_t)~role;
	return m.roles == 0 ? directory_member_del(d, list, key)
			    : lists_member_put(d, list, key, &m);
}
