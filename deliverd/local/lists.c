/* SPDX-License-Identifier: ISC */
/* Mailing lists; see lists.h. */
#include "deliverd/local/lists.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "common/proto/address.h"
#include "deliverd/local/prefix.h"

#define TAKE_TIMEOUT_MS 120000
#define ROLL_TIMEOUT_MS 60000

struct question {
	uint64_t channel;
	uint64_t id;
	handover_cb cb; /* NULL: the asker is gone */
	void *arg;
};

static void
cancel(struct question *q)
{
	struct channel *ch = channel_find(q->channel);

	/* As targets_cancel(): a channel that is dying still has its waiters. */
	q->cb = NULL;
	if (ch == NULL)
		return;
	channel_forget(ch, q->id);
	free(q);
}

size_t
post_prefix(const struct listpost *post, const char *member, const char *sender,
    const char *address, const uint8_t *rest, size_t rest_len, uint8_t *buf)
{
	static uint8_t all[PREFIX_MAX + LISTPOST_FIELDS_MAX];
	size_t n;

	if (post == NULL || rest_len > PREFIX_MAX)
		return prefix_build(buf, PREFIX_MAX, sender, address, rest, rest_len);
	n = listpost_fields(post, member, (char *)all, LISTPOST_FIELDS_MAX);
	if (rest_len > 0)
		memcpy(all + n, rest, rest_len);
	return prefix_build(buf, PREFIX_MAX, sender, address, all, n + rest_len);
}

int
post_is_for_all(const struct listpost *post, const char *address)
{
	struct address a;
	char key[ADDRESS_MAX + 1];

	return address_parse(address, strlen(address), &a) == 0 &&
	       address_fold_key(&a, key, sizeof(key)) != -1 &&
	       strcmp(key, post->list) == 0;
}

/* ---- listd ---- */

struct handover {
	struct question q; /* the first */
	struct outlets *outlets;
	char list[ADDRESS_MAX + 1];
	char post[LISTPOST_TEXT_MAX + 1];
	int may_post;
	int bad;
};

static void
on_outlet(struct handover *h, struct msg *m)
{
	struct msg_outlet o = m->p.outlet;
	int fd = msg_take_fd(m);

	if (o.kind == OUTLET_POST && h->may_post) {
		/* It is for the members of this list and nobody else. */
		strlcpy(o.address, h->list, sizeof(o.address));
		h->may_post = 0;
		outlets_add_post(h->outlets, &o, fd, h->post);
	} else if (o.kind == OUTLET_NOTICE && outlets_allowed(h->outlets, &o, "")) {
		outlets_add(h->outlets, &o, fd);
	} else {
		log_warnx("listd sends for %s what it may not", h->list);
		close(fd);
		h->bad = 1;
	}
}

static void
on_taken(struct msg *m, void *arg)
{
	struct handover *h = arg;
	const struct msg_list_taken *t = m != NULL ? &m->p.list_taken : NULL;
	struct outcome o;

	if (m != NULL && m->type == MSG_LISTD_LDELIVER_OUTLET) {
		if (h->q.cb != NULL)
			on_outlet(h, m);
		return;
	}
	if (h->q.cb == NULL) {
		free(h);
		return;
	}
	if (m == NULL || m->type != MSG_LISTD_LDELIVER_TAKEN || h->bad)
		outcome_set(
		    &o, JOB_DEFERRED, "4.3.0", "the mailing lists cannot be served now");
	else
		outcome_from_list(&o, t);
	h->q.cb(&o, h->q.arg);
	free(h);
}

struct handover *
handover_start(struct channel *listd, const struct msg_list_take *t, int fd,
    const char *post, struct outlets *outlets, handover_cb cb, void *arg)
{
	struct handover *h = calloc(1, sizeof(*h));
	struct listpost lp;

	if (h == NULL || listpost_parse(post, &lp) == -1 ||
	    listpost_plain(t->list, "", h->list, sizeof(h->list)) == -1) {
		free(h);
		close(fd);
		return NULL;
	}
	h->q = (struct question){ channel_serial(listd), 0, cb, arg };
	h->outlets = outlets;
	strlcpy(h->post, post, sizeof(h->post));
	h->may_post = strcmp(t->part, "post") == 0 || strncmp(t->part, "approve", 7) == 0;
	h->q.id = channel_ask(
	    listd, MSG_LDELIVER_LISTD_TAKE, t, fd, TAKE_TIMEOUT_MS, on_taken, h);
	if (h->q.id == 0) {
		free(h);
		return NULL;
	}
	return h;
}

void
handover_cancel(struct handover *h)
{
	if (h != NULL)
		cancel(&h->q);
}

/* ---- authd ---- */

struct roll {
	struct question q; /* the first */
	int (*member)(const char *, void *);
	uint32_t n;
	int bad;
};

static void
on_members(struct roll *r, const struct msg_list_members *m)
{
	const char *p = (const char *)m->addresses, *end = p + m->addresses_len;

	while (p < end && !r->bad) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		char address[ADDRESS_MAX + 1];

		if (nl == NULL || nl == p || (size_t)(nl - p) >= sizeof(address)) {
			r->bad = 1;
			break;
		}
		memcpy(address, p, (size_t)(nl - p));
		address[nl - p] = '\0';
		if (strlen(address) != (size_t)(nl - p) ||
		    r->member(address, r->q.arg) == -1)
			r->bad = 1;
		r->n++;
		p = nl + 1;
	}
}

static void
on_roll(struct msg *m, void *arg)
{
	struct roll *r = arg;
	struct outcome o;

	if (m != NULL && m->type == MSG_AUTHD_LDELIVER_MEMBERS) {
		if (r->q.cb != NULL)
			on_members(r, &m->p.list_members);
		return;
	}
	if (r->q.cb == NULL) {
		free(r);
		return;
	}
	if (m == NULL || m->type != MSG_AUTHD_LDELIVER_MEMBERS_ALL || r->bad)
		outcome_set(&o, JOB_DEFERRED, "4.3.0",
		    "the members of the list are not known completely now");
	else if (m->p.resolved.status == MSG_UNKNOWN)
		outcome_set(&o, JOB_FAILED, "5.1.1", "there is no such list any more");
	else if (m->p.resolved.status != MSG_OK || m->p.resolved.count != r->n)
		outcome_set(&o, JOB_DEFERRED, "4.3.0",
		    "the members of the list are not known completely now");
	else
		outcome_set(&o, JOB_DELIVERED, "2.0.0", "sent to %u member%s", r->n,
		    r->n == 1 ? "" : "s");
	r->q.cb(&o, r->q.arg);
	free(r);
}

struct roll *
roll_start(struct channel *authd, const char *list, int (*member)(const char *, void *),
    handover_cb done, void *arg)
{
	struct roll *r = calloc(1, sizeof(*r));
	struct msg_address a = { 0 };

	if (r == NULL)
		return NULL;
	r->q = (struct question){ channel_serial(authd), 0, done, arg };
	r->member = member;
	strlcpy(a.address, list, sizeof(a.address));
	r->q.id = channel_ask(
	    authd, MSG_LDELIVER_AUTHD_MEMBERS, &a, -1, ROLL_TIMEOUT_MS, on_roll, r);
	if (r->q.id == 0) {
		free(r);
		return NULL;
	}
	return r;
}

void
roll_cancel(struct roll *r)
{
	if (r != NULL)
		cancel(&r->q);
}
