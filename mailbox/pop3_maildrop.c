/* SPDX-License-Identifier: ISC */
/* The messages of a POP3 session; see pop3_maildrop.h. */
#include "mailbox/pop3_maildrop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/log.h"

static bool
item_matches(const char *item, size_t len, const char *name)
{
	if (len == 1 && item[0] == '*')
		return true;
	if (len > 2 && item[len - 1] == '*' && item[len - 2] == '/')
		return strncmp(item, name, len - 1) == 0;
	if (len == 5 && strncasecmp(item, "INBOX", 5) == 0)
		return strcmp(name, "INBOX") == 0;
	return strlen(name) == len && strncmp(item, name, len) == 0;
}

bool
maildrop_shows(const char *folders, const char *name)
{
	bool shown = false, named = false;

	while (*folders != '\0') {
		size_t len = strcspn(folders, ",");
		const char *item = folders;
		bool is_out;

		folders += len + (folders[len] == ',');
		while (len > 0 && *item == ' ') {
			item++;
			len--;
		}
		while (len > 0 && item[len - 1] == ' ')
			len--;
		if (len == 0)
			continue;
		is_out = *item == '!';
		if (!is_out)
			named = true;
		if (!item_matches(item + is_out, len - is_out, name))
			continue;
		if (is_out)
			return false;
		shown = true;
	}
	/* What is only left out is left out of INBOX. */
	return shown || (!named && strcmp(name, "INBOX") == 0);
}

static int
add_folder(struct maildrop *d, struct store *s, const char *name, enum store_error *error)
{
	struct maildrop_folder *to = &d->folders[d->n_folders];
	struct maildrop_entry *v;
	size_t n;

	if ((*error = folder_open(s, name, &to->f)) != STORE_OK)
		return -1;
	d->n_folders++;
	to->inbox = strcmp(name, "INBOX") == 0;
	folder_refresh(to->f);
	if (uidl_load(to->f, &to->uidl) == -1)
		log_warnx("%s: the kept identifiers of POP3 cannot be read", name);
	n = folder_count(to->f);
	if (n > UINT32_MAX - d->n ||
	    (v = reallocarray(d->v, d->n + n + 1, sizeof(*v))) == NULL)
		return -1;
	d->v = v;
	for (size_t i = 0; i < n; i++) {
		const struct message *m = folder_message(to->f, i);

		d->v[d->n + i] = (struct maildrop_entry){ .uid = m->uid,
			.size = m->size,
			.folder = (uint16_t)(d->n_folders - 1) };
		d->octets += m->size;
	}
	d->n += n;
	d->live = d->n;
	return 0;
}

/* ---- identifiers ---- */

size_t
maildrop_uidl(const struct maildrop *d, const struct maildrop_entry *e,
    char out[MAILDROP_UIDL_SIZE])
{
	const struct maildrop_folder *f = &d->folders[e->folder];
	const char *kept = e->own_uidl ? NULL : uidl_find(&f->uidl, e->uid);

	if (kept != NULL)
		return strlcpy(out, kept, MAILDROP_UIDL_SIZE);
	/* Folders may have the same UIDVALIDITY, each from elsewhere. */
	return (size_t)snprintf(out, MAILDROP_UIDL_SIZE,
	    f->inbox ? "%08x%08x" : "%08x%08x.%.16s", folder_uidvalidity(f->f), e->uid,
	    folder_id(f->f));
}

struct kept {
	const char *uidl;
	uint32_t at;
};

static int
kept_order(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;
	int r = strcmp(x->uidl, y->uidl);

	return r != 0 ? r : x->at < y->at ? -1 : 1;
}

/* Two messages never have one identifier (RFC 1939, 7): of those that came with the same
 * one, the first keeps it. */
static int
settle_kept(struct maildrop *d)
{
	struct kept *v;
	size_t n = 0, room = 0;

	for (size_t i = 0; i < d->n_folders; i++)
		room += d->folders[i].uidl.n;
	if (room == 0)
		return 0;
	if ((v = reallocarray(NULL, d->n + 1, sizeof(*v))) == NULL)
		return -1;
	for (size_t i = 0; i < d->n; i++) {
		const char *uidl =
		    uidl_find(&d->folders[d->v[i].folder].uidl, d->v[i].uid);

		if (uidl != NULL)
			v[n++] = (struct kept){ uidl, (uint32_t)i };
	}
	qsort(v, n, sizeof(*v), kept_order);
	for (size_t i = 1; i < n; i++)
		if (strcmp(v[i - 1].uidl, v[i].uidl) == 0)
			d->v[v[i].at].own_uidl = true;
	free(v);
	return 0;
}

/* ---- the life of one ---- */

int
maildrop_open(
    struct maildrop *d, struct store *s, const char *folders, enum store_error *error)
{
	struct folder_info *list = NULL;
	size_t n = 0;

	memset(d, 0, sizeof(*d));
	*error = STORE_OK;
	if ((d->folders = calloc(MAILDROP_FOLDERS_MAX, sizeof(*d->folders))) == NULL)
		return -1;
	if (folders[0] == '\0') {
		if (add_folder(d, s, "INBOX", error) == -1)
			goto fail;
		return settle_kept(d) == -1 ? (maildrop_close(d), -1) : 0;
	}
	if ((*error = store_list(s, &list, &n)) != STORE_OK)
		goto fail;
	for (size_t i = 0; i < n; i++) {
		if ((list[i].flags & FOLDER_NOSELECT) ||
		    !maildrop_shows(folders, list[i].name))
			continue;
		if (d->n_folders == MAILDROP_FOLDERS_MAX) {
			log_warnx("POP3 shows %d folders at the most, not %s",
			    MAILDROP_FOLDERS_MAX, list[i].name);
			break;
		}
		/* One that has gone meanwhile is no reason to show nothing. */
		if (add_folder(d, s, list[i].name, error) == -1 &&
		    *error != STORE_NOT_FOUND)
			goto fail;
		*error = STORE_OK;
	}
	free(list);
	list = NULL;
	if (settle_kept(d) == 0)
		return 0;
fail:
	free(list);
	maildrop_close(d);
	return -1;
}

void
maildrop_close(struct maildrop *d)
{
	for (size_t i = 0; i < d->n_folders; i++) {
		folder_close(d->folders[i].f);
		uidl_clear(&d->folders[i].uidl);
	}
	free(d->folders);
	free(d->v);
	memset(d, 0, sizeof(*d));
}

struct folder *
maildrop_folder(const struct maildrop *d, const struct maildrop_entry *e)
{
	return d->folders[e->folder].f;
}

void
maildrop_delete(struct maildrop *d, struct maildrop_entry *e)
{
	e->deleted = true;
	d->live--;
	d->octets -= e->size;
}

void
maildrop_undelete_all(struct maildrop *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].deleted) {
			d->v[i].deleted = false;
			d->live++;
			d->octets += d->v[i].size;
		}
}

enum store_error
maildrop_expunge(struct maildrop *d)
{
	uint32_t *uids = reallocarray(NULL, d->n + 1, sizeof(*uids));
	enum store_error error = STORE_OK, e;
	size_t i = 0, removed;

	if (uids == NULL)
		return STORE_LIMIT;
	while (i < d->n) {
		uint16_t folder = d->v[i].folder;
		size_t n = 0;

		for (; i < d->n && d->v[i].folder == folder; i++)
			if (d->v[i].deleted)
				uids[n++] = d->v[i].uid;
		if (n > 0 && (e = folder_expunge(d->folders[folder].f, uids, n, 1,
				  &removed)) != STORE_OK)
			error = e;
	}
	free(uids);
	return error;
}
