/* SPDX-License-Identifier: ISC */
/* Login records; see records.h. */
#include "authd/records.h"

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"

#define LOGINS_MAX 65536
/* What one front may have of them: one that was taken over does not lock out the
 * users of the others. */
#define LOGINS_SHARE 16384
#define BUCKETS 4096

LIST_HEAD(login_list, login);
static struct login_list by_id[BUCKETS], by_address[BUCKETS];
static size_t n_logins;

/* How many records a channel has; an entry lives as long as its channel. */
struct share {
	LIST_ENTRY(share) entry;
	uint64_t channel;
	size_t logins;
};
static LIST_HEAD(, share) shares = LIST_HEAD_INITIALIZER(shares);

static struct share *
share_find(uint64_t channel)
{
	struct share *s;

	LIST_FOREACH (s, &shares, entry)
		if (s->channel == channel)
			return s;
	return NULL;
}

static struct share *
share_get(uint64_t channel)
{
	struct share *s = share_find(channel);

	if (s == NULL && (s = calloc(1, sizeof(*s))) != NULL) {
		s->channel = channel;
		LIST_INSERT_HEAD(&shares, s, entry);
	}
	return s;
}

static struct login_list *
list_of(const char *address)
{
	uint32_t h = 2166136261u;

	for (; *address != '\0'; address++)
		h = (h ^ (unsigned char)*address) * 16777619u;
	return &by_address[h % BUCKETS];
}

struct login *
login_find(uint64_t id)
{
	struct login *l;

	LIST_FOREACH (l, &by_id[id % BUCKETS], bucket)
		if (l->id == id)
			return l;
	return NULL;
}

struct login *
login_new(uint64_t channel, const char *address)
{
	struct share *share = share_get(channel);
	struct login *l;

	if (share == NULL || share->logins >= LOGINS_SHARE || n_logins >= LOGINS_MAX ||
	    (l = calloc(1, sizeof(*l))) == NULL)
		return NULL;
	do
		arc4random_buf(&l->id, sizeof(l->id));
	while (l->id == 0 || login_find(l->id) != NULL);
	l->channel = channel;
	l->since = wall_s();
	l->began_ms = now_ms();
	strlcpy(l->address, address, sizeof(l->address));
	LIST_INSERT_HEAD(&by_id[l->id % BUCKETS], l, bucket);
	LIST_INSERT_HEAD(list_of(l->address), l, same);
	n_logins++;
	share->logins++;
	return l;
}

void
login_free(struct login *l)
{
	struct share *share = share_find(l->channel);

	LIST_REMOVE(l, bucket);
	LIST_REMOVE(l, same);
	n_logins--;
	if (share != NULL)
		share->logins--;
	free(l);
}

const char *
logins_address(uint64_t id)
{
	struct login *l = login_find(id);

	return l == NULL ? NULL : l->address;
}

const char *
logins_address_of(struct channel *ch, uint64_t id)
{
	struct login *l = login_find(id);

	return l == NULL || l->channel != channel_serial(ch) ? NULL : l->address;
}

size_t
logins_count(void)
{
	return n_logins;
}

size_t
logins_count_of(const char *address)
{
	struct login *l;
	size_t n = 0;

	LIST_FOREACH (l, list_of(address), same)
		n += strcmp(l->address, address) == 0;
	return n;
}

const struct login *
logins_next(const struct login *l)
{
	size_t i = 0;

	if (l != NULL) {
		if (LIST_NEXT(l, bucket) != NULL)
			return LIST_NEXT(l, bucket);
		i = l->id % BUCKETS + 1;
	}
	for (; i < BUCKETS; i++)
		if (!LIST_EMPTY(&by_id[i]))
			return LIST_FIRST(&by_id[i]);
	return NULL;
}

void
logins_logout(struct channel *ch, uint64_t id)
{
	struct login *l = login_find(id);

	/* A front ends its own logins only. */
	if (l != NULL && l->channel == channel_serial(ch))
		login_free(l);
}

size_t
logins_forget(const char *address, const char *by)
{
	struct login *l, *next;
	size_t n = 0;

	for (l = LIST_FIRST(list_of(address)); l != NULL; l = next) {
		struct msg_login_id m = { .login = l->id };
		struct channel *ch = channel_find(l->channel);

		next = LIST_NEXT(l, same);
		if (strcmp(l->address, address) != 0 ||
		    (by != NULL && strcmp(l->by, by) != 0))
			continue;
		if (ch != NULL)
			channel_send(ch, MSG_AUTHD_FRONT_LOGIN_ENDED, 0, &m, -1);
		login_free(l);
		n++;
	}
	return n;
}

void
logins_front_gone(uint64_t serial)
{
	struct share *share;

	for (size_t i = 0; i < BUCKETS; i++) {
		struct login *l, *next;

		for (l = LIST_FIRST(&by_id[i]); l != NULL; l = next) {
			next = LIST_NEXT(l, bucket);
			if (l->channel == serial)
				login_free(l);
		}
	}
	if ((share = share_find(serial)) != NULL) {
		LIST_REMOVE(share, entry);
		free(share);
	}
}
