/* SPDX-License-Identifier: ISC */
/* Who a session is, and what it may do with folders; see imap_rights.h. */
#include "mailbox/imap_rights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "mailbox/maildir.h"

#define IDENTIFIERS_MAX 100

void
imap_guest_free(struct imap_guest *g)
{
	if (g == NULL)
		return;
	for (size_t i = 0; i < g->n; i++)
		free(g->identifiers[i]);
	free(g->identifiers);
	free(g);
}

int
imap_set_guest(struct imap *s, const char *prefix, const char *identifiers)
{
	struct imap_guest *g = calloc(1, sizeof(*g));

	if (g == NULL ||
	    strlcpy(g->prefix, prefix, sizeof(g->prefix)) >= sizeof(g->prefix) ||
	    (g->identifiers = calloc(IDENTIFIERS_MAX, sizeof(char *))) == NULL) {
		imap_guest_free(g);
		return -1;
	}
	while (*identifiers != '\0' && g->n < IDENTIFIERS_MAX) {
		size_t len = strcspn(identifiers, "\n");

		if (len > 0 &&
		    (g->identifiers[g->n] = strndup(identifiers, len)) == NULL) {
			imap_guest_free(g);
			return -1;
		}
		g->n += len > 0;
		identifiers += len + (identifiers[len] != '\0');
	}
	imap_guest_free(s->guest);
	s->guest = g;
	return 0;
}

void
imap_set_owner(struct imap *s, const char *address)
{
	s->owner = address;
}

int
imap_guest_strip(const struct imap_guest *g, char *name)
{
	size_t len = strlen(g->prefix);

	if (strncmp(name, g->prefix, len) != 0 || name[len] != '/' ||
	    name[len + 1] == '\0') {
		name[0] = '\0';
		return -1;
	}
	memmove(name, name + len + 1, strlen(name + len + 1) + 1);
	return 0;
}

void
imap_guest_name(
    const struct imap_guest *g, const char *name, char out[IMAP_GUEST_NAME_MAX + 1])
{
	(void)snprintf(out, IMAP_GUEST_NAME_MAX + 1, "%s/%s", g->prefix, name);
}

unsigned int
imap_rights(const struct imap *s, const char *name)
{
	const struct acl *a;

	if (s->guest == NULL)
		return ACL_ALL;
	a = store_acl(s->store, name);
	return a == NULL ? 0 : acl_rights(a, s->guest->identifiers, s->guest->n);
}

unsigned int
imap_rights_here(const struct imap *s)
{
	if (s->guest == NULL)
		return ACL_ALL;
	return s->folder == NULL ? 0 : imap_rights(s, folder_name(s->folder));
}

bool
imap_guest_lost(const struct imap *s)
{
	return s->guest != NULL && s->folder != NULL &&
	       (imap_rights_here(s) & ACL_READ) == 0;
}

enum store_error
imap_may(const struct imap *s, const char *name, unsigned int need)
{
	unsigned int have = imap_rights(s, name);

	if ((have & need) == need)
		return STORE_OK;
	return have & ACL_KNOWN ? STORE_DENIED : STORE_NOT_FOUND;
}

enum store_error
imap_may_create(struct imap *s, const char *name)
{
	char parent[STORE_NAME_MAX + 1];
	struct folder_info *list;
	enum store_error e = STORE_DENIED;
	char *slash;
	size_t n;

	if (s->guest == NULL)
		return STORE_OK;
	if (store_list(s->store, &list, &n) != STORE_OK)
		return STORE_IO;
	if (maildir_folder_canonical(name, parent, sizeof(parent)) == -1) {
		free(list);
		return STORE_BAD_NAME;
	}
	while (e == STORE_DENIED && (slash = strrchr(parent, '/')) != NULL) {
		*slash = '\0';
		for (size_t i = 0; i < n; i++)
			if (strcmp(list[i].name, parent) == 0 &&
			    (list[i].flags & FOLDER_NOSELECT) == 0) {
				e = imap_may(s, parent, ACL_CREATE);
				*parent = '\0'; /* the nearest one decides */
				break;
			}
	}
	free(list);
	return e == STORE_NOT_FOUND ? STORE_DENIED : e;
}

enum store_error
imap_open(struct imap *s, const char *name, unsigned int need, struct folder **f)
{
	enum store_error e = imap_may(s, name, need);

	*f = NULL;
	return e != STORE_OK ? e : folder_open(s->store, name, f);
}

void
imap_rights_flags(unsigned int rights, uint8_t *flags, uint64_t *keywords)
{
	if ((rights & ACL_SEEN) == 0)
		*flags &= (uint8_t)~FLAG_SEEN;
	if ((rights & ACL_DELETED) == 0)
		*flags &= (uint8_t)~FLAG_DELETED;
	if ((rights & ACL_WRITE) == 0) {
		*flags &= FLAG_SEEN | FLAG_DELETED;
		*keywords = 0;
	}
}
