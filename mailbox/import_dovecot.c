/* SPDX-License-Identifier: ISC */
/* Dovecot's files beside a Maildir's messages; see import_dovecot.h. */
#include "mailbox/import_dovecot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "mailbox/maildir.h"

#define SUBSCRIPTIONS_MAX 10000

int
dovecot_import_file(struct dovecot_import *d, uint64_t size)
{
	if (size > DOVECOT_UIDLIST_MAX)
		return 0;
	free(d->text);
	d->text_len = 0;
	d->text_cap = (size_t)size;
	return (d->text = malloc(d->text_cap + 1)) == NULL ? -1 : 1;
}

void
dovecot_import_data(struct dovecot_import *d, const uint8_t *p, size_t len)
{
	if (len > d->text_cap - d->text_len)
		len = d->text_cap - d->text_len;
	memcpy(d->text + d->text_len, p, len);
	d->text_len += len;
}

enum store_error
dovecot_import_list(struct dovecot_import *d, struct folder *f)
{
	char *text = d->text;
	enum store_error error;

	d->text = NULL;
	d->numbered = false;
	/* Without a list that can be read its messages are like any others. */
	if (dovecot_uidlist_parse(&d->list, text, d->text_len) == -1)
		return STORE_OK;
	error = folder_adopt(f, d->list.uidvalidity);
	d->numbered = error == STORE_OK;
	return error == STORE_EXISTS ? STORE_OK : error;
}

static void
subscribe(struct store *s, const char *base, const char *name)
{
	char dir[MAILDIR_NAME_MAX + 1], folder[STORE_NAME_MAX + 1];
	char whole[2 * STORE_NAME_MAX + 3];

	if (strcmp(name, "INBOX") == 0)
		strlcpy(folder, "INBOX", sizeof(folder));
	else if ((size_t)snprintf(dir, sizeof(dir), ".%s",
		     strncmp(name, "INBOX.", 6) == 0 ? name + 6 : name) >= sizeof(dir) ||
		 maildir_folder_name(dir, folder, sizeof(folder)) == -1)
		return;
	snprintf(
	    whole, sizeof(whole), "%s%s%s", base, base[0] != '\0' ? "/" : "", folder);
	if (strlen(whole) <= STORE_NAME_MAX)
		(void)store_subscribe(s, whole, 1);
}

void
dovecot_import_subscriptions(struct dovecot_import *d, struct store *s, const char *base)
{
	char *save = d->text, *line, *name;
	int second = 0, n = 0;

	d->text[d->text_len] = '\0';
	while ((line = strsep(&save, "\n")) != NULL && n < SUBSCRIPTIONS_MAX) {
		if (n == 0 && strncmp(line, "V\t2", 3) == 0) {
			second = 1;
			continue;
		}
		if ((name = dovecot_subscription(line, second)) != NULL) {
			subscribe(s, base, name);
			n++;
		}
	}
}

enum dovecot_message
dovecot_import_message(const struct dovecot_import *d, const struct folder *f,
    const struct dovecot_entry *e, uint64_t size, int64_t internal)
{
	const struct message *m;
	int exact;
	size_t i;

	if (!d->numbered || e == NULL)
		return DOVECOT_NEW;
	if (e->uid >= folder_uidnext(f))
		return DOVECOT_UID;
	i = folder_find(f, e->uid, &exact);
	m = folder_message(f, i);
	/* One that has gone since was removed here. */
	if (!exact || (m->size == size && m->internal == internal))
		return DOVECOT_KNOWN;
	return DOVECOT_NEW;
}

void
dovecot_import_imported(
    struct dovecot_import *d, const struct dovecot_entry *e, uint32_t uid)
{
	char made[DOVECOT_UIDL_SIZE];
	const char *uidl = e->uidl;

	if (uidl == NULL || !uidl_valid(uidl, strlen(uidl))) {
		dovecot_uidl(d->list.uidvalidity, e->uid, made);
		uidl = made;
	}
	/* Without memory it gets one of ours. */
	(void)uidl_add(&d->uidl, uid, uidl, strlen(uidl));
}

/* What an earlier import has kept stays; messages that are gone are left out. */
static int
merge(struct folder *f, const struct uidl *old, const struct uidl *new, struct uidl *out)
{
	size_t i = 0, j = 0;

	while (i < old->n || j < new->n) {
		int take_old =
			j >= new->n || (i < old->n && old->v[i].uid <= new->v[j].uid),
		    exact;
		const struct uidl *from = take_old ? old : new;
		const struct uidl_entry *e = &from->v[take_old ? i : j];
		const char *text = from->text + e->at;

		if (take_old && j < new->n &&new->v[j].uid == e->uid)
			j++;
		if (take_old)
			i++;
		else
			j++;
		(void)folder_find(f, e->uid, &exact);
		if (exact && uidl_add(out, e->uid, text, strlen(text)) == -1)
			return -1;
	}
	return 0;
}

enum store_error
dovecot_import_leave(struct dovecot_import *d, struct folder *f)
{
	struct uidl old = { 0 }, all = { 0 };
	enum store_error error = STORE_OK;

	if (d->numbered)
		error = folder_raise_uidnext(f, d->list.uidnext);
	if (error == STORE_OK && d->uidl.n > 0) {
		(void)uidl_load(f, &old);
		error = merge(f, &old, &d->uidl, &all) == -1 ? STORE_LIMIT
							     : uidl_save(f, &all);
	}
	uidl_clear(&old);
	uidl_clear(&all);
	uidl_clear(&d->uidl);
	dovecot_uidlist_clear(&d->list);
	d->numbered = false;
	return error;
}

void
dovecot_import_clear(struct dovecot_import *d)
{
	dovecot_uidlist_clear(&d->list);
	uidl_clear(&d->uidl);
	free(d->text);
	d->text = NULL;
}
