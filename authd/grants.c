/* SPDX-License-Identifier: ISC */
/* Who shares something with whom; see grants.h. */
#include "authd/grants.h"

#include <stdlib.h>
#include <string.h>

#include "authd/account.h"
#include "authd/auth.h"
#include "authd/side_file.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

#define INDEX_MS 5000 /* an alias may lead to somebody else by then */

struct grant {
	char *owner;
	char *text; /* identifiers, a line each */
};

/* By identifier, or by the user to whom an alias among them leads. */
struct pointer {
	char *identifier;
	size_t owner; /* in the table */
};

static struct side_file file = { .what = "grants" };
static struct {
	struct grant *v; /* in order of owners */
	size_t n, cap;
	struct pointer *index;
	size_t n_index, index_cap;
	uint64_t indexed_ms; /* 0: not at all */
} grants;

/* ---- the table ---- */

static size_t
place(const char *owner, int *found)
{
	size_t lo = 0, hi = grants.n;

	*found = 0;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(grants.v[mid].owner, owner);

		if (c == 0) {
			*found = 1;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
index_drop(void)
{
	for (size_t i = 0; i < grants.n_index; i++)
		free(grants.index[i].identifier);
	grants.n_index = 0;
	grants.indexed_ms = 0;
}

/* text "": none. */
static int
keep(const char *owner, const char *text)
{
	int found;
	size_t i = place(owner, &found);
	char *copy, *name;

	index_drop();
	if (found && text[0] == '\0') {
		free(grants.v[i].owner);
		free(grants.v[i].text);
		grants.n--;
		memmove(
		    grants.v + i, grants.v + i + 1, (grants.n - i) * sizeof(*grants.v));
		return 0;
	}
	if (text[0] == '\0')
		return 0;
	if ((copy = strdup(text)) == NULL)
		return -1;
	if (found) {
		free(grants.v[i].text);
		grants.v[i].text = copy;
		return 0;
	}
	if (grants.n == grants.cap) {
		size_t cap = grants.cap * 2 + 64;
		struct grant *v = grants.n >= GRANTS_OWNERS_MAX
				      ? NULL
				      : reallocarray(grants.v, cap, sizeof(*v));

		if (v == NULL) {
			free(copy);
			return -1;
		}
		grants.v = v;
		grants.cap = cap;
	}
	if ((name = strdup(owner)) == NULL) {
		free(copy);
		return -1;
	}
	memmove(grants.v + i + 1, grants.v + i, (grants.n - i) * sizeof(*grants.v));
	grants.v[i] = (struct grant){ name, copy };
	grants.n++;
	return 0;
}

static const char *
text_of(const char *owner)
{
	int found;
	size_t i = place(owner, &found);

	return found ? grants.v[i].text : "";
}

/* ---- the file ---- */

static int
save(const char *owner, const char *text)
{
	MDB_val k = { strlen(owner), (void *)(uintptr_t)owner };
	MDB_val v = { strlen(text), (void *)(uintptr_t)text };
	MDB_txn *txn;
	int rc;

	if (file.env == NULL || side_file_begin(&file, 0, &txn) == -1)
		return -1;
	if (text[0] != '\0')
		rc = mdb_put(txn, file.dbi, &k, &v, 0);
	else if ((rc = mdb_del(txn, file.dbi, &k, NULL)) == MDB_NOTFOUND)
		rc = 0;
	return side_file_end(&file, txn, rc);
}

static int
text_valid(const char *text, size_t len)
{
	if (len > GRANTS_TEXT_MAX || (len > 0 && text[len - 1] != '\n'))
		return 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < ' ' && c != '\n') || c == 0x7f ||
		    (c == '\n' && (i == 0 || text[i - 1] == '\n')))
			return 0;
	}
	return 1;
}

static void
take(const MDB_val *k, const MDB_val *v, void *arg)
{
	char owner[ADDRESS_MAX + 1], text[GRANTS_TEXT_MAX + 1];

	if (k->mv_size > ADDRESS_MAX || !text_valid(v->mv_data, v->mv_size))
		return;
	memcpy(owner, k->mv_data, k->mv_size);
	owner[k->mv_size] = '\0';
	memcpy(text, v->mv_data, v->mv_size);
	text[v->mv_size] = '\0';
	(void)keep(owner, text);
}

void
grants_open(const char *path)
{
	(void)side_file_open(&file, path, take, NULL);
}

void
grants_close(void)
{
	side_file_close(&file);
	while (grants.n > 0)
		(void)keep(grants.v[grants.n - 1].owner, "");
	free(grants.v);
	free(grants.index);
	memset(&grants, 0, sizeof(grants));
}

int
grants_put(const char *owner, const char *text, size_t len)
{
	char copy[GRANTS_TEXT_MAX + 1];

	if (!text_valid(text, len))
		return -1;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (strcmp(text_of(owner), copy) == 0)
		return 0;
	/* In this order what was not saved is new the next time as well. */
	if (save(owner, copy) == -1)
		return -1;
	return keep(owner, copy);
}

void
grants_forget(const char *owner)
{
	if (text_of(owner)[0] == '\0')
		return;
	(void)save(owner, "");
	(void)keep(owner, "");
}

void
grants_rename(const char *owner, const char *new_owner)
{
	char *text = strdup(text_of(owner));

	if (text != NULL && text[0] != '\0') {
		(void)keep(new_owner, text);
		(void)save(new_owner, text);
		grants_forget(owner);
	}
	free(text);
	index_drop();
}

/* ---- identifiers ---- */

/* Whose is it? Other addresses than a user's own may lead to one, as after a renaming. */
static int
means(const char *identifier, const struct user *u)
{
	char key[ADDRESS_MAX + 1];
	struct user other;

	if (identifier[0] == '$')
		return u->group[0] != '\0' && strcmp(identifier + 1, u->group) == 0;
	if (strcmp(identifier, "anyone") == 0 || strcmp(identifier, "authenticated") == 0)
		return 1;
	if (strcmp(identifier, u->address) == 0)
		return 1;
	return directory_user_get(auth.directory, identifier, &other) == DIR_NONE &&
	       resolve_user(&auth.resolver, identifier, key, sizeof(key)) == RESOLVE_OK &&
	       strcmp(key, u->address) == 0;
}

/* The next line of *text into out. -1: the end. */
static int
next(const char **text, char *out, size_t cap)
{
	size_t len = strcspn(*text, "\n");

	if (**text == '\0')
		return -1;
	out[0] = '\0';
	if (len < cap) {
		memcpy(out, *text, len);
		out[len] = '\0';
	}
	*text += len + ((*text)[len] != '\0');
	return 0;
}

int
grants_identify(const char *owner, const struct user *u, char *out, size_t cap)
{
	const char *text = text_of(owner);
	char identifier[ADDRESS_MAX + 2];
	size_t n = strlcpy(out, u->address, cap);
	int any = 0;

	if (n + 2 > cap)
		return 0;
	out[n++] = '\n';
	out[n] = '\0';
	/* Groups may have rights taken away though they were given none. */
	if (u->group[0] != '\0' && n + strlen(u->group) + 3 < cap) {
		strlcat(out, "$", cap);
		strlcat(out, u->group, cap);
		strlcat(out, "\n", cap);
		n = strlen(out);
	}
	while (next(&text, identifier, sizeof(identifier)) == 0) {
		const char *name = identifier + (identifier[0] == '-');

		if (name[0] == '\0' || !means(name, u))
			continue;
		any |= name == identifier;
		if (name[0] == '$' || strchr(name, '@') == NULL ||
		    strcmp(name, u->address) == 0 || n + strlen(name) + 2 >= cap)
			continue;
		strlcat(out, name, cap);
		strlcat(out, "\n", cap);
		n = strlen(out);
	}
	return any;
}

static int
compare(const void *a, const void *b)
{
	const struct pointer *x = a, *y = b;
	int c = strcmp(x->identifier, y->identifier);

	return c != 0 ? c : (x->owner > y->owner) - (x->owner < y->owner);
}

static int
index_add(const char *identifier, size_t owner)
{
	struct pointer *p;

	if (grants.n_index == grants.index_cap) {
		size_t cap = grants.index_cap * 2 + 64;

		if ((p = reallocarray(grants.index, cap, sizeof(*p))) == NULL)
			return -1;
		grants.index = p;
		grants.index_cap = cap;
	}
	p = &grants.index[grants.n_index];
	p->owner = owner;
	if ((p->identifier = strdup(identifier)) == NULL)
		return -1;
	grants.n_index++;
	return 0;
}

static void
index_make(void)
{
	char identifier[ADDRESS_MAX + 2], key[ADDRESS_MAX + 1];
	uint64_t now = now_ms();
	struct user u;

	if (grants.indexed_ms != 0 && now - grants.indexed_ms < INDEX_MS)
		return;
	index_drop();
	for (size_t i = 0; i < grants.n; i++) {
		const char *text = grants.v[i].text;

		while (next(&text, identifier, sizeof(identifier)) == 0) {
			const char *name = identifier;

			if (name[0] == '-')
				continue; /* that alone gives nothing */
			if (strchr(name, '@') != NULL && name[0] != '$' &&
			    directory_user_get(auth.directory, name, &u) == DIR_NONE) {
				if (resolve_user(&auth.resolver, name, key,
					sizeof(key)) != RESOLVE_OK)
					continue;
				name = key;
			}
			if (index_add(name, i) == -1) {
				log_warnx("no memory for who shares with whom");
				break;
			}
		}
	}
	if (grants.n_index > 1)
		qsort(grants.index, grants.n_index, sizeof(*grants.index), compare);
	grants.indexed_ms = now;
}

static void
add_owners(
    const char *identifier, const struct user *u, char *out, size_t cap, char *seen)
{
	size_t lo = 0, hi = grants.n_index;
	struct user owner;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(grants.index[mid].identifier, identifier) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (;
	     lo < grants.n_index && strcmp(grants.index[lo].identifier, identifier) == 0;
	     lo++) {
		const char *name = grants.v[grants.index[lo].owner].owner;
		size_t n = strlen(out);

		if (seen[grants.index[lo].owner] || strcmp(name, u->address) == 0 ||
		    directory_user_get(auth.directory, name, &owner) != DIR_OK ||
		    owner.disabled || owner.closed)
			continue;
		seen[grants.index[lo].owner] = 1;
		if (n + strlen(name) + 2 > cap)
			break;
		strlcat(out, name, cap);
		strlcat(out, "\n", cap);
	}
}

size_t
grants_owners(const struct user *u, char *out, size_t cap)
{
	char group[GROUP_NAME_MAX + 2] = "$", *seen;

	out[0] = '\0';
	if (u->closed)
		return 0;
	index_make();
	if ((seen = calloc(grants.n + 1, 1)) == NULL)
		return 0;
	add_owners(u->address, u, out, cap, seen);
	if (u->group[0] != '\0') {
		strlcat(group, u->group, sizeof(group));
		add_owners(group, u, out, cap, seen);
	}
	add_owners("anyone", u, out, cap, seen);
	add_owners("authenticated", u, out, cap, seen);
	free(seen);
	return strlen(out);
}

/* ---- mboxd's questions ---- */

static void
answer_shares(struct channel *ch, struct msg *m)
{
	struct msg_share_owners r = { .status = MSG_OK };
	static char out[GRANTS_TEXT_MAX + 1];
	struct user u;

	if (auth_user_of_mailbox(m->p.share_ask.mailbox, &u) == -1)
		r.status = MSG_UNKNOWN;
	else {
		r.owners_len = grants_owners(&u, out, sizeof(out));
		r.owners = (const uint8_t *)out;
	}
	channel_send(ch, MSG_AUTHD_MBOXD_SHARES_ARE, m->id, &r, -1);
}

static void
answer_share(struct channel *ch, struct msg *m)
{
	const struct msg_share_ask *q = &m->p.share_ask;
	struct msg_share_is r = { .status = MSG_UNKNOWN };
	struct user guest, owner;

	if (auth_user_of_mailbox(q->mailbox, &guest) == 0 && !guest.disabled &&
	    !guest.closed &&
	    directory_user_get(auth.directory, q->owner, &owner) == DIR_OK &&
	    !owner.disabled && !owner.closed &&
	    strcmp(owner.address, guest.address) != 0 &&
	    grants_identify(owner.address, &guest, r.guest, sizeof(r.guest))) {
		r.status = MSG_OK;
		r.uid = owner.uid;
		r.quota = account_quota(&owner, LIMIT_QUOTA);
		r.quota_messages = account_quota(&owner, LIMIT_QUOTA_MESSAGES);
		r.quota_hard = (uint8_t)auth.quota_hard;
		strlcpy(r.address, owner.address, sizeof(r.address));
		strlcpy(r.mailbox, owner.mailbox, sizeof(r.mailbox));
	} else
		r.guest[0] = '\0';
	channel_send(ch, MSG_AUTHD_MBOXD_SHARE_IS, m->id, &r, -1);
}

static void
answer_grants(struct channel *ch, struct msg *m)
{
	const struct msg_share_grants *q = &m->p.share_grants;
	struct msg_status r = { .status = MSG_OK };
	struct user u;

	if (auth_user_of_mailbox(q->mailbox, &u) == -1)
		r.status = MSG_UNKNOWN;
	else if (grants_put(
		     u.address, (const char *)q->identifiers, q->identifiers_len) == -1)
		r.status = MSG_TEMP;
	channel_send(ch, MSG_AUTHD_MBOXD_GRANTED, m->id, &r, -1);
}

void
grants_message(struct channel *ch, struct msg *m)
{
	switch (m->type) {
	case MSG_MBOXD_AUTHD_SHARES:
		answer_shares(ch, m);
		break;
	case MSG_MBOXD_AUTHD_SHARE:
		answer_share(ch, m);
		break;
	case MSG_MBOXD_AUTHD_GRANTS:
		answer_grants(ch, m);
		break;
	default:
		break;
	}
}
