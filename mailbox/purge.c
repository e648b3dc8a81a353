/* SPDX-License-Identifier: ISC */
/*
 * purge: the messages of a mailbox that match are found in steps and then expunged as
 * one batch a folder; their files go by and by, as those of every expunge.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/proto/addrlist.h"
#include "common/proto/header.h"
#include "mailbox/admin.h"

#define STEP_MESSAGES 20000
#define STEP_FILES 200 /* of which the header is read */

struct purge {
	struct store *store;
	struct msg_mbox_admin q;
	struct folder_info *list;
	size_t n_list, at;
	struct folder *folder;
	uint32_t next; /* UID to look at */
	int kw, not_kw;
	uint32_t *uids;
	size_t n, cap;
	int listed;
};

static void *
purge_new(struct store *store, const struct msg_mbox_admin *q, int fd)
{
	struct purge *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->store = store;
	p->q = *q;
	return p;
}

static void
purge_free(void *work)
{
	struct purge *p = work;

	folder_close(p->folder);
	free(p->list);
	free(p->uids);
	free(p);
}

/* As fifectl's queue commands understand addresses: a domain, an address, a glob. */
static int
address_matches(const char *pattern, const struct addrlist_item *item)
{
	char address[1100];

	(void)snprintf(address, sizeof(address), "%s%s%s", item->local,
	    item->has_host ? "@" : "", item->has_host ? item->host : "");
	if (strpbrk(pattern, "*?") != NULL)
		return task_glob(pattern, address);
	if (pattern[0] == '@')
		pattern++;
	else if (strchr(pattern, '@') != NULL)
		return strcasecmp(pattern, address) == 0;
	return item->has_host && strcasecmp(pattern, item->host) == 0;
}

static int
is_from(struct purge *p, uint32_t uid)
{
	struct header_field field;
	struct addrlist_item item;
	struct addrlist l;
	struct content c;
	int found = 0;

	if (folder_content(p->folder, uid, &c) != STORE_OK)
		return 0;
	for (size_t i = 0;
	     !found && header_get((const char *)c.data, c.len, "From", i, &field) == 0;
	     i++) {
		addrlist_init(&l, field.value, field.value_len);
		while (!found && addrlist_next(&l, &item) == 1)
			found = item.kind == ADDRLIST_MAILBOX &&
				address_matches(p->q.from, &item);
	}
	content_release(&c);
	return found;
}

/* All but the sender. */
static int
matches(const struct purge *p, const struct message *m)
{
	const struct msg_mbox_admin *q = &p->q;

	return (q->before == 0 || m->internal < q->before) &&
	       (q->larger == 0 || m->size > q->larger) &&
	       (m->flags & q->flags) == q->flags && (m->flags & q->not_flags) == 0 &&
	       (q->keyword[0] == '\0' ||
		   folder_keywords_has(p->folder, m->keywords, p->kw)) &&
	       !folder_keywords_has(p->folder, m->keywords, p->not_kw);
}

static int
note(struct purge *p, uint32_t uid)
{
	if (p->n == p->cap) {
		size_t cap = p->cap + p->cap / 2 + 1024;
		uint32_t *u = reallocarray(p->uids, cap, sizeof(*u));

		if (u == NULL)
			return -1;
		p->uids = u;
		p->cap = cap;
	}
	p->uids[p->n++] = uid;
	return 0;
}

static enum store_error
open_next(struct purge *p)
{
	const struct msg_mbox_admin *q = &p->q;
	enum store_error error = folder_open(p->store, p->list[p->at].name, &p->folder);

	if (error != STORE_OK)
		return error;
	p->next = 0;
	p->n = 0;
	p->kw = folder_keyword_find(p->folder, q->keyword, strlen(q->keyword), 0);
	p->not_kw =
	    folder_keyword_find(p->folder, q->not_keyword, strlen(q->not_keyword), 0);
	return STORE_OK;
}

/* Sessions may have changed flags, or taken messages out, while the rest was looked at.
 */
static enum store_error
finish(struct purge *p, struct msg_mbox_admin_done *r)
{
	enum store_error error = STORE_OK;
	uint64_t octets = 0;
	size_t k = 0;

	for (size_t i = 0; i < p->n; i++) {
		int exact;
		size_t at = folder_find(p->folder, p->uids[i], &exact);
		const struct message *m = exact ? folder_message(p->folder, at) : NULL;

		if (m == NULL || !matches(p, m))
			continue;
		octets += m->size;
		p->uids[k++] = p->uids[i];
	}
	if (k > 0 && (p->q.options & MBOX_ADMIN_DRY_RUN) == 0)
		error = folder_expunge(p->folder, p->uids, k, 1, NULL);
	if (error == STORE_OK) {
		r->messages += k;
		r->octets += octets;
		r->folders += k > 0;
	}
	folder_close(p->folder);
	p->folder = NULL;
	p->at++;
	return error;
}

static enum task_state
purge_step(void *work, struct msg_mbox_admin_done *r)
{
	struct purge *p = work;
	const char *name = p->q.folder;
	size_t files = 0, i, n;
	enum store_error error;

	if (!p->listed) {
		p->listed = 1;
		error = task_folders(p->store, p->q.folder, &p->list, &p->n_list);
		if (error != STORE_OK)
			return task_failed(r, error, name[0] != '\0' ? name : "folders");
	}
	if (p->folder == NULL) {
		if (p->at == p->n_list) {
			error = store_sync(p->store);
			return error == STORE_OK ? TASK_DONE
						 : task_failed(r, error, "expunging");
		}
		error = open_next(p);
		/* A session has deleted the folder meanwhile. */
		if (error == STORE_NOT_FOUND) {
			p->at++;
			return TASK_MORE;
		}
		if (error != STORE_OK)
			return task_failed(r, error, p->list[p->at].name);
	}
	i = folder_find(p->folder, p->next, NULL);
	n = folder_count(p->folder);
	for (size_t seen = 0; i < n && seen < STEP_MESSAGES; seen++) {
		/* A copy: what is read may change the folder. */
		struct message m = *folder_message(p->folder, i);

		p->next = m.uid + 1;
		i++;
		if (!matches(p, &m))
			continue;
		if (p->q.from[0] != '\0') {
			int yes = is_from(p, m.uid);

			i = folder_find(p->folder, p->next, NULL);
			n = folder_count(p->folder);
			if (!yes) {
				if (++files == STEP_FILES)
					break;
				continue;
			}
			files++;
		}
		if (note(p, m.uid) == -1)
			return task_failed(r, STORE_IO, p->list[p->at].name);
		if (files >= STEP_FILES)
			break;
	}
	if (i < n)
		return TASK_MORE;
	if ((error = finish(p, r)) != STORE_OK && error != STORE_NOT_FOUND)
		return task_failed(r, error, p->list[p->at - 1].name);
	return TASK_MORE;
}

const struct task purge_task = { purge_new, purge_step, purge_free };
