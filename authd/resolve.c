/* SPDX-License-Identifier: ISC */
/* Resolution of addresses against the directory; see resolve.h. */
#include "authd/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "authd/domain.h"
#include "authd/lists.h"
#include "authd/rules.h"
#include "authd/srs.h"
#include "common/compat/compat.h"

#define DOMAIN_ALIASES_MAX 4 /* of each other */
#define ROUNDS_MAX 4000      /* addresses looked at for one resolution */

/* What one look-up of one address says. */
struct step {
	struct user user; /* of RESOLVE_OK with is_user */
	int is_user;
	int is_list; /* of RESOLVE_OK: these two */
	char list[ADDRESS_MAX + 1], part[ADDRESS_MAX + 1];
	char owner[ADDRESS_MAX + 2];             /* whose entry that is */
	char targets[DIRECTORY_TARGETS_MAX + 1]; /* else: addresses to go on with */
};

struct walk {
	const struct resolver *r;
	char (*seen)[ADDRESS_MAX + 1]; /* keys looked at or waiting */
	size_t n_seen;
	size_t seen_cap;
	size_t next;
	struct target *targets;
	size_t n;
	size_t cap;
};

static int
is_role_address(const char *key)
{
	return strncmp(key, "postmaster@", 11) == 0 || strncmp(key, "abuse@", 6) == 0 ||
	       strncmp(key, "root@", 5) == 0;
}

int
resolve_domain_is_local(const struct resolver *r, const char *domain)
{
	return directory_domain_get(r->directory, domain) == DIR_OK;
}

/* Where mail for postmaster goes: the configured address, or the first user who takes
 * mail. */
static int
postmaster_target(const struct resolver *r, char *out, size_t cap)
{
	char key[ADDRESS_MAX + 1] = "", *value;
	struct address a;
	struct user u;
	int rc = -1;

	if (r->postmaster[0] != '\0') {
		if (address_parse(r->postmaster, strlen(r->postmaster), &a) == -1)
			return -1;
		return address_fold_key(&a, out, cap) == -1 ? -1 : 0;
	}
	if ((value = malloc(DIRECTORY_VALUE_MAX)) == NULL)
		return -1;
	while (rc == -1 && directory_next(r->directory, DIR_USERS, key, sizeof(key),
			       value, DIRECTORY_VALUE_MAX) == DIR_OK)
		if (user_decode(key, value, &u) == 0 && !u.disabled && !u.closed)
			rc = strlcpy(out, key, cap) < cap ? 0 : -1;
	freezero(value, DIRECTORY_VALUE_MAX);
	explicit_bzero(&u, sizeof(u));
	return rc;
}

/* User or alias of exactly this key. */
static enum resolve_status
look_up_exact(const struct resolver *r, const char *key, struct step *s)
{
	enum dir_status st = directory_user_get(r->directory, key, &s->user);

	s->is_user = 0;
	strlcpy(s->owner, key, sizeof(s->owner));
	if (st == DIR_OK) {
		s->is_user = 1;
		return s->user.disabled || s->user.closed ? RESOLVE_DISABLED : RESOLVE_OK;
	}
	if (st != DIR_NONE)
		return RESOLVE_TEMP;
	st = directory_alias_get(r->directory, key, s->targets, sizeof(s->targets));
	if (st == DIR_OK)
		return RESOLVE_OK;
	return st == DIR_NONE ? RESOLVE_UNKNOWN : RESOLVE_TEMP;
}

/* An address of a mailing list. Its owners are an alias, and without one the postmaster
 * is asked. */
static enum resolve_status
look_up_list(const struct resolver *r, const char *key, struct step *s)
{
	enum dir_status st = lists_find(r->directory, key, s->list, s->part);

	if (st != DIR_OK)
		return st == DIR_NONE ? RESOLVE_UNKNOWN : RESOLVE_TEMP;
	if (strcmp(s->part, "owner") != 0) {
		s->is_list = 1;
		return RESOLVE_OK;
	}
	s->owner[0] = '\0';
	lists_owners(r->directory, s->list, s->targets, sizeof(s->targets));
	if (s->targets[0] == '\0' &&
	    postmaster_target(r, s->targets, sizeof(s->targets)) == -1)
		return RESOLVE_UNKNOWN;
	return RESOLVE_OK;
}

static enum resolve_status look_up_at(
    const struct resolver *, const char *, struct step *, int depth);

/* The same address of the domain that this one is an alias of. */
static enum resolve_status
look_up_alias_of(const struct resolver *r, const char *key, struct step *s, int depth)
{
	char settings[DOMAIN_SETTINGS_MAX], other[ADDRESS_MAX + 1];
	const char *at = strrchr(key, '@');
	struct domain_settings ds;
	enum dir_status st =
	    directory_domain_settings(r->directory, at + 1, settings, sizeof(settings));
	int n;

	if (st != DIR_OK)
		return st == DIR_NONE ? RESOLVE_UNKNOWN : RESOLVE_TEMP;
	domain_settings_parse(settings, &ds);
	if (ds.alias_of[0] == '\0' || depth >= DOMAIN_ALIASES_MAX)
		return RESOLVE_UNKNOWN;
	n = snprintf(other, sizeof(other), "%.*s@%s", (int)(at - key), key, ds.alias_of);
	if (n < 0 || (size_t)n >= sizeof(other))
		return RESOLVE_UNKNOWN;
	return look_up_at(r, other, s, depth + 1);
}

static enum resolve_status
look_up_at(const struct resolver *r, const char *key, struct step *s, int depth)
{
	char other[ADDRESS_MAX + 1];
	const char *at = strrchr(key, '@'), *plus;
	enum resolve_status st;
	enum dir_status domain;

	s->is_user = s->is_list = 0;
	s->targets[0] = '\0';
	if (at == NULL)
		return RESOLVE_UNKNOWN;
	domain = directory_domain_get(r->directory, at + 1);
	if (domain != DIR_OK && domain != DIR_NONE)
		return RESOLVE_TEMP;
	if (domain == DIR_NONE) {
		/* The host's own name is no mail domain, but its postmaster is reached.
		 */
		if (strcmp(at + 1, r->hostname) != 0)
			return RESOLVE_REMOTE;
		if (!is_role_address(key))
			return RESOLVE_UNKNOWN;
	} else if ((st = look_up_exact(r, key, s)) != RESOLVE_UNKNOWN ||
		   (st = look_up_list(r, key, s)) != RESOLVE_UNKNOWN)
		return st;
	plus = memchr(key, '+', (size_t)(at - key));
	if (plus != NULL && plus > key) {
		memcpy(other, key, (size_t)(plus - key));
		strlcpy(other + (plus - key), at, sizeof(other) - (size_t)(plus - key));
		if ((st = look_up_exact(r, other, s)) != RESOLVE_UNKNOWN)
			return st;
	}
	st = look_up_alias_of(r, key, s, depth);
	if (st != RESOLVE_UNKNOWN && st != RESOLVE_REMOTE)
		return st;
	if (is_role_address(key) && postmaster_target(r, other, sizeof(other)) == 0 &&
	    strcmp(other, key) != 0) {
		strlcpy(s->targets, other, sizeof(s->targets));
		return RESOLVE_OK;
	}
	return look_up_exact(r, at, s); /* catch-all */
}

static enum resolve_status
look_up(const struct resolver *r, const char *key, struct step *s)
{
	return look_up_at(r, key, s, 0);
}

static int
key_of(const char *address, char *key, size_t cap)
{
	struct address a;

	if (address_parse_flags(address, strlen(address), ADDRESS_NO_DOMAIN, &a) == -1)
		return -1;
	return address_fold_key(&a, key, cap) == -1 ? -1 : 0;
}

/* <postmaster> without a domain is the host's. */
static int
start_key(const struct resolver *r, const char *address, char *key, size_t cap)
{
	if (key_of(address, key, cap) == -1)
		return -1;
	if (strchr(key, '@') == NULL &&
	    (strlcat(key, "@", cap) >= cap || strlcat(key, r->hostname, cap) >= cap))
		return -1;
	return 0;
}

/* A bounce to a sender that was rewritten here: where it goes. 0 or -1. */
static int
rewritten(const struct resolver *r, const char *address, char *original, size_t cap)
{
	const char *at = strrchr(address, '@');

	if (r->secret == NULL || !srs_is(address) || at == NULL ||
	    strcasecmp(at + 1, r->hostname) != 0)
		return -1;
	return srs_reverse(r->secret, time(NULL), address, original, cap);
}

enum resolve_status
resolve_class(const struct resolver *r, const char *address)
{
	char original[ADDRESS_MAX + 1];

	struct step *s = malloc(sizeof(*s));
	char key[ADDRESS_MAX + 1];
	enum resolve_status st = RESOLVE_UNKNOWN;

	if (rewritten(r, address, original, sizeof(original)) == 0) {
		free(s);
		return RESOLVE_OK;
	}
	if (s == NULL)
		return RESOLVE_TEMP;
	if (start_key(r, address, key, sizeof(key)) == 0)
		st = look_up(r, key, s);
	free(s);
	return st;
}

void
resolve_targets_free(struct target *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(t[i].rules);
	free(t);
}

static enum resolve_status
walk_add(struct walk *w, const char *key)
{
	for (size_t i = 0; i < w->n_seen; i++)
		if (strcmp(w->seen[i], key) == 0)
			return RESOLVE_OK; /* once is enough, and cuts loops */
	if (w->n_seen == ROUNDS_MAX)
		return RESOLVE_TOO_MANY;
	if (w->n_seen == w->seen_cap) {
		size_t cap = w->seen_cap == 0 ? 4 : w->seen_cap * 2;
		void *p = reallocarray(w->seen, cap, sizeof(*w->seen));

		if (p == NULL)
			return RESOLVE_TEMP;
		w->seen = p;
		w->seen_cap = cap;
	}
	strlcpy(w->seen[w->n_seen++], key, sizeof(w->seen[0]));
	return RESOLVE_OK;
}

static enum resolve_status
walk_target(
    struct walk *w, enum target_kind kind, const char *address, const struct user *u)
{
	char rules[RULES_SCRIPT_MAX + 1];
	struct target *t;

	if (w->n == RESOLVE_TARGETS_MAX)
		return RESOLVE_TOO_MANY;
	if (w->n == w->cap) {
		size_t cap = w->cap == 0 ? 4 : w->cap * 2;

		if ((t = reallocarray(w->targets, cap, sizeof(*t))) == NULL)
			return RESOLVE_TEMP;
		w->targets = t;
		w->cap = cap;
	}
	t = &w->targets[w->n++];
	memset(t, 0, sizeof(*t));
	t->kind = kind;
	strlcpy(t->address, address, sizeof(t->address));
	if (u != NULL) {
		strlcpy(t->mailbox, u->mailbox, sizeof(t->mailbox));
		t->uid = u->uid;
		switch (rules_script(u, rules)) {
		case -1: /* nothing that could not be carried out is ever set */
			return RESOLVE_TEMP;
		case 0:
			break;
		default:
			if ((t->rules = strdup(rules)) == NULL)
				return RESOLVE_TEMP;
		}
	}
	return RESOLVE_OK;
}

static enum resolve_status
walk_list(struct walk *w, const struct step *s)
{
	enum resolve_status st = walk_target(w, TARGET_LIST, s->list, NULL);
	char post[LISTPOST_TEXT_MAX + 1];
	struct target *t;

	if (st != RESOLVE_OK)
		return st;
	t = &w->targets[w->n - 1];
	strlcpy(t->mailbox, s->part, sizeof(t->mailbox));
	if (lists_post(w->r->directory, w->r->secret, time(NULL), s->list, post,
		sizeof(post)) == -1 ||
	    (t->rules = strdup(post)) == NULL)
		return RESOLVE_TEMP;
	return RESOLVE_OK;
}

static enum resolve_status
walk_command(struct walk *w, const char *name, const char *at, const char *owner)
{
	enum resolve_status st = walk_target(w, TARGET_COMMAND, at, NULL);
	struct target *t = w->targets + w->n - 1;

	if (st == RESOLVE_OK) {
		strlcpy(t->command, name, sizeof(t->command));
		strlcpy(t->mailbox, owner, sizeof(t->mailbox));
	}
	return st;
}

/* Commands of the owner are targets, addresses are gone on with. */
static enum resolve_status
walk_add_list(struct walk *w, const char *at, const char *owner, char *list)
{
	enum resolve_status st = RESOLVE_OK;
	char key[ADDRESS_MAX + 1], *word;

	while (st == RESOLVE_OK && (word = strsep(&list, " ")) != NULL)
		if (*word == '|')
			st = walk_command(w, word + 1, at, owner);
		else if (*word != '\0' && start_key(w->r, word, key, sizeof(key)) == 0)
			st = walk_add(w, key);
	return st;
}

/*
 * A user: his mailbox, where his settings and his script say what becomes of a message
 * (rules.h); and his commands. The mailbox is left out when nothing is to be done there.
 */
static enum resolve_status
walk_user(struct walk *w, const char *key, const struct user *u)
{
	enum resolve_status st = RESOLVE_OK;
	char list[sizeof(u->forward)], *rest = list, *word;

	if (u->forward_keep || !rules_only_commands(u))
		st = walk_target(w, TARGET_MAILBOX, key, u);
	strlcpy(list, u->forward, sizeof(list));
	while (st == RESOLVE_OK && (word = strsep(&rest, ", ")) != NULL)
		if (*word == '|')
			st = walk_command(w, word + 1, key, u->address);
	return st;
}

static enum resolve_status
walk_step(struct walk *w, const char *key, struct step *s)
{
	enum resolve_status st = look_up(w->r, key, s);

	if (st == RESOLVE_REMOTE) {
		struct address a;
		char printed[ADDRESS_MAX + 1];

		if (address_parse(key, strlen(key), &a) == -1 ||
		    address_format(&a, printed, sizeof(printed)) == -1)
			strlcpy(printed, key, sizeof(printed));
		return walk_target(w, TARGET_FORWARD, printed, NULL);
	}
	if (st != RESOLVE_OK)
		return st;
	if (s->is_list)
		return walk_list(w, s);
	if (!s->is_user)
		return walk_add_list(w, key, s->owner, s->targets);
	return walk_user(w, key, &s->user);
}

enum resolve_status
resolve_targets(
    const struct resolver *r, const char *address, struct target **targets, size_t *n)
{
	struct walk w = { .r = r };
	struct step *s = malloc(sizeof(*s));
	enum resolve_status st = RESOLVE_UNKNOWN, first = RESOLVE_OK;
	char key[ADDRESS_MAX + 1];

	*targets = NULL;
	*n = 0;
	if (s == NULL)
		return RESOLVE_TEMP;
	if (rewritten(r, address, key, sizeof(key)) == 0) {
		st = walk_target(&w, TARGET_FORWARD, key, NULL);
		goto done;
	}
	if (start_key(r, address, key, sizeof(key)) == -1)
		goto done;
	st = walk_add(&w, key);
	for (; w.next < w.n_seen && st == RESOLVE_OK; w.next++) {
		strlcpy(key, w.seen[w.next], sizeof(key)); /* the list may move */
		st = walk_step(&w, key, s);
		/* A dead member does not stop the others. */
		if (st == RESOLVE_UNKNOWN || st == RESOLVE_DISABLED) {
			if (first == RESOLVE_OK)
				first = st;
			st = RESOLVE_OK;
		}
	}
	if (st == RESOLVE_OK && w.n == 0)
		st = first != RESOLVE_OK ? first : RESOLVE_LOOP;
	if (st == RESOLVE_OK && w.n == 1 && w.targets[0].kind == TARGET_FORWARD &&
	    w.n_seen == 1)
		st = RESOLVE_REMOTE;
done:
	free(s);
	free(w.seen);
	if (st == RESOLVE_OK) {
		*targets = w.targets;
		*n = w.n;
	} else
		resolve_targets_free(w.targets, w.n);
	return st;
}

enum resolve_status
resolve_command(const struct resolver *r, const char *owner, const char *command,
    struct user *u, int *is_user)
{
	struct step *s = malloc(sizeof(*s));
	enum resolve_status st = s == NULL ? RESOLVE_TEMP : look_up_exact(r, owner, s);
	size_t len = strlen(command);
	int found = 0;

	*is_user = 0;
	if (st == RESOLVE_OK) {
		*is_user = s->is_user;
		*u = s->user;
		for (const char *p = s->is_user ? s->user.forward : s->targets;
		     *p != '\0' && !found;) {
			size_t n = strcspn(p, ", ");

			found = n == len + 1 && *p == '|' &&
				strncmp(p + 1, command, len) == 0;
			p += n + (p[n] != '\0');
		}
	}
	free(s);
	if (st == RESOLVE_OK && found)
		return RESOLVE_OK;
	return st == RESOLVE_TEMP ? RESOLVE_TEMP : RESOLVE_UNKNOWN;
}

#define ALIAS_STEPS_MAX 16

static int
send_as_has(const char *list, const char *key)
{
	const char *at = strrchr(key, '@');

	while (at != NULL && *list != '\0') {
		size_t len = strcspn(list, ",");

		if ((strlen(key) == len && strncmp(list, key, len) == 0) ||
		    (strlen(at) == len && strncmp(list, at, len) == 0))
			return 1;
		list += len + (list[len] == ',');
	}
	return 0;
}

/* Whose address is it? Follows aliases with one member; more of them are a group. */
static enum resolve_status
leads_to_whom(const struct resolver *r, struct step *s, char *key, size_t cap)
{
	for (int i = 0; i < ALIAS_STEPS_MAX; i++) {
		enum resolve_status st = look_up(r, key, s);

		if (st == RESOLVE_TEMP)
			return st;
		if (st != RESOLVE_OK)
			return RESOLVE_UNKNOWN;
		if (s->is_user)
			return RESOLVE_OK;
		if (s->is_list)
			return RESOLVE_UNKNOWN;
		if (strchr(s->targets, ' ') != NULL ||
		    start_key(r, s->targets, key, cap) == -1)
			return RESOLVE_UNKNOWN;
	}
	return RESOLVE_UNKNOWN; /* in a circle */
}

static enum resolve_status
leads_to(
    const struct resolver *r, struct step *s, char *key, size_t cap, const char *user)
{
	enum resolve_status st = leads_to_whom(r, s, key, cap);

	return st == RESOLVE_OK && strcmp(s->user.address, user) != 0 ? RESOLVE_UNKNOWN
								      : st;
}

enum resolve_status
resolve_user(const struct resolver *r, const char *address, char *user, size_t cap)
{
	struct step *s = malloc(sizeof(*s));
	enum resolve_status st = RESOLVE_UNKNOWN;
	char key[ADDRESS_MAX + 1];

	if (s == NULL)
		return RESOLVE_TEMP;
	if (start_key(r, address, key, sizeof(key)) == 0)
		st = leads_to_whom(r, s, key, sizeof(key));
	if (st == RESOLVE_OK)
		strlcpy(user, s->user.address, cap);
	free(s);
	return st;
}

enum resolve_status
resolve_may_send_as(
    const struct resolver *r, const char *user, const char *send_as, const char *sender)
{
	struct step *s = malloc(sizeof(*s));
	enum resolve_status st = RESOLVE_UNKNOWN;
	char key[ADDRESS_MAX + 1];

	if (s == NULL)
		return RESOLVE_TEMP;
	if (start_key(r, sender, key, sizeof(key)) == 0)
		st = send_as_has(send_as, key) ? RESOLVE_OK
					       : leads_to(r, s, key, sizeof(key), user);
	free(s);
	return st;
}

int
login_key(const char *login, const char *default_domain, char *key, size_t cap)
{
	if (key_of(login, key, cap) == -1)
		return -1;
	if (strchr(key, '@') != NULL)
		return 0;
	return default_domain[0] != '\0' && strlcat(key, "@", cap) < cap &&
		       strlcat(key, default_domain, cap) < cap
		   ? 0
		   : -1;
}
