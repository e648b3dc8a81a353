/* SPDX-License-Identifier: ISC */
/* Links between mailbox processes; see shares.h. */
#include "mailbox/shares.h"

#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/conn.h"
#include "common/log.h"
#include "mailbox/imap_share.h"

#define INPUT_MAX 65536
#define ASK_MS 30000
#define AGAIN_MS 100

struct member {
	LIST_ENTRY(member) entry;
	struct imap *imap;
	struct store *store;
	uint64_t owners_id; /* question to mboxd */
	int wants_told;
};

/* Of a link. */
struct way {
	struct imap_link *link;
	uint64_t id; /* question to mboxd */
	struct conn *conn;
};

static struct {
	struct event_base *base;
	struct channel *mboxd;
	char prefix[IMAP_SHARE_PREFIX_MAX + 1];
	LIST_HEAD(, member) members;
	uint64_t telling;    /* question to mboxd; 0: none */
	uint64_t told;       /* generation of the store that authd knows */
	uint64_t being_told; /* and the one that is on its way */
	struct event *again; /* somebody waits, and mboxd said: later */
} shares = { .members = LIST_HEAD_INITIALIZER(shares.members) };

void
shares_init(struct event_base *base, struct channel *mboxd, const char *prefix)
{
	shares.base = base;
	shares.mboxd = mboxd;
	if (prefix == NULL || prefix[0] == '\0')
		return;
	/* It stands in answers and patterns as it is. */
	for (const char *p = prefix; *p != '\0'; p++)
		if (*p < ' ' || *p > '~' || strchr("%*\"\\&", *p) != NULL ||
		    (*p == '/' && (p == prefix || p[1] == '/' || p[1] == '\0'))) {
			log_warnx(
			    "other-users cannot be \"%s\": nothing is shared", prefix);
			return;
		}
	if (strcasecmp(prefix, "INBOX") != 0)
		(void)strlcpy(shares.prefix, prefix, sizeof(shares.prefix));
}

void
shares_mboxd_gone(void)
{
	shares.mboxd = NULL;
}

int
shares_prefix_of(const char *owner, char *out, size_t cap)
{
	struct imap_share sh = { .n_links = 0 };

	if (shares.prefix[0] == '\0')
		return -1;
	(void)strlcpy(sh.prefix, shares.prefix, sizeof(sh.prefix));
	return imap_share_print_owner(&sh, owner, out, cap);
}

/* ---- who shares with us ---- */

static void
on_owners(struct msg *m, void *arg)
{
	struct member *x = arg;
	const char *owners[IMAP_SHARE_OWNERS_MAX];
	size_t n = 0, len = 0;
	char *text = NULL, *p;

	x->owners_id = 0;
	if (m != NULL && m->type == MSG_MBOXD_MAILBOX_SHARES_ARE &&
	    m->p.share_owners.status == MSG_OK) {
		len = m->p.share_owners.owners_len;
		if ((text = calloc(1, len + 1)) != NULL && len > 0)
			memcpy(text, m->p.share_owners.owners, len);
	}
	for (p = text; p != NULL && *p != '\0' && n < IMAP_SHARE_OWNERS_MAX;) {
		size_t k = strcspn(p, "\n");
		bool more = p[k] != '\0';

		p[k] = '\0';
		if (k > 0 && k <= ADDRESS_MAX)
			owners[n++] = p;
		p += k + more;
	}
	imap_share_owners(x->imap, text == NULL ? NULL : owners, n);
	free(text);
}

static int
ask_owners(void *arg)
{
	struct member *x = arg;
	struct msg_none none;

	if (shares.mboxd == NULL || x->owners_id != 0)
		return -1;
	x->owners_id = channel_ask(
	    shares.mboxd, MSG_MAILBOX_MBOXD_SHARES, &none, -1, ASK_MS, on_owners, x);
	return x->owners_id == 0 ? -1 : 0;
}

/* ---- links ---- */

static void
take_input(struct way *w)
{
	if (w->conn != NULL)
		(void)evbuffer_add_buffer(w->link->in, conn_input(w->conn));
}

static void
flush(void *arg, struct imap_link *l)
{
	struct way *w = l->conn;

	if (w != NULL && w->conn != NULL && evbuffer_get_length(l->out) > 0 &&
	    conn_unsent(w->conn) < IMAP_SHARE_HIGH_WATER)
		(void)conn_write_buffer(w->conn, l->out);
}

static void
on_conn(struct conn *c, enum conn_event ev, void *arg)
{
	struct way *w = arg;

	switch (ev) {
	case CONN_INPUT:
		imap_share_ready(w->link);
		break;
	case CONN_LOW_WATER:
		flush(NULL, w->link);
		imap_share_ready(w->link);
		break;
	case CONN_EOF:
	case CONN_ERROR:
		take_input(w);
		conn_free(w->conn);
		w->conn = NULL;
		imap_share_lost(w->link);
		break;
	default:
		break;
	}
}

static void
on_share(struct msg *m, void *arg)
{
	struct way *w = arg;
	uint8_t status = m == NULL || m->type != MSG_MBOXD_MAILBOX_SHARE_IS
			     ? MSG_TEMP
			     : m->p.status.status;
	int fd = status == MSG_OK ? msg_take_fd(m) : -1;

	w->id = 0;
	if (fd != -1)
		w->conn = conn_new(shares.base, fd, INPUT_MAX, on_conn, w);
	if (w->conn != NULL) {
		imap_share_opened(w->link, false);
		flush(NULL, w->link);
	} else if (status == MSG_UNKNOWN || status == MSG_DENIED)
		imap_share_opened(w->link, true);
	else
		imap_share_lost(w->link);
}

static int
open_link(void *arg, struct imap_link *l)
{
	struct msg_share_ask q = { .mailbox = "" };
	struct way *w;

	if (shares.mboxd == NULL || (w = calloc(1, sizeof(*w))) == NULL)
		return -1;
	w->link = l;
	(void)strlcpy(q.owner, l->owner, sizeof(q.owner));
	w->id = channel_ask(
	    shares.mboxd, MSG_MAILBOX_MBOXD_SHARE, &q, -1, ASK_MS, on_share, w);
	if (w->id == 0) {
		free(w);
		return -1;
	}
	l->conn = w;
	return 0;
}

static void
close_link(void *arg, struct imap_link *l)
{
	struct way *w = l->conn;

	if (w == NULL)
		return;
	if (w->id != 0)
		channel_forget(shares.mboxd, w->id);
	conn_free(w->conn);
	free(w);
	l->conn = NULL;
}

static int
more(void *arg, struct imap_link *l)
{
	struct way *w = l->conn;
	size_t before = evbuffer_get_length(l->in);

	if (w != NULL)
		take_input(w);
	return evbuffer_get_length(l->in) > before;
}

/* ---- with whom we share ---- */

static void
on_told(struct msg *m, void *arg)
{
	static const struct timeval soon = { 0, AGAIN_MS * 1000 };
	struct member *x, *next;

	shares.telling = 0;
	if (m != NULL && m->type == MSG_MBOXD_MAILBOX_GRANTED &&
	    m->p.status.status == MSG_OK)
		shares.told = shares.being_told;
	for (x = LIST_FIRST(&shares.members); x != NULL; x = next) {
		next = LIST_NEXT(x, entry);
		if (x->wants_told && store_acl_generation(x->store) == shares.told) {
			x->wants_told = 0;
			imap_share_told(x->imap);
		} else if (x->wants_told && shares.again != NULL)
			(void)event_add(shares.again, &soon);
	}
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	if (!LIST_EMPTY(&shares.members))
		shares_tell(LIST_FIRST(&shares.members)->store);
}

void
shares_tell(struct store *store)
{
	static char text[IMAP_SHARE_IDENTIFIERS_MAX];
	struct msg_share_grants g = { .mailbox = "" };
	uint64_t generation = store_acl_generation(store);

	if (generation == shares.told || shares.telling != 0 || shares.mboxd == NULL)
		return;
	/* What is too much is no secret: those that fit are told. */
	if (shares.prefix[0] != '\0' &&
	    store_acl_identifiers(store, text, sizeof(text), &g.identifiers_len) == -1)
		log_warnx("this mailbox is shared with more than can be told");
	g.identifiers = (const uint8_t *)text;
	shares.being_told = generation;
	shares.telling = channel_ask(
	    shares.mboxd, MSG_MAILBOX_MBOXD_GRANTS, &g, -1, ASK_MS, on_told, NULL);
}

static int
tell(void *arg)
{
	struct member *x = arg;

	if (shares.mboxd == NULL)
		return -1;
	if (shares.again == NULL)
		shares.again = event_new(shares.base, -1, 0, on_again, NULL);
	x->wants_told = 1;
	shares_tell(x->store);
	return 0;
}

/* ---- sessions ---- */

static void
forget(void *arg)
{
	struct member *x = arg;

	if (x->owners_id != 0)
		channel_forget(shares.mboxd, x->owners_id);
	LIST_REMOVE(x, entry);
	free(x);
}

static const struct imap_share_ops ops = {
	.ask_owners = ask_owners,
	.open = open_link,
	.close = close_link,
	.flush = flush,
	.more = more,
	.tell = tell,
	.forget = forget,
};

int
shares_attach(struct imap *s, struct store *store, int guest)
{
	struct member *x = calloc(1, sizeof(*x));

	if (x == NULL || imap_set_share(s, &ops, x, guest ? "" : shares.prefix) == -1) {
		free(x);
		return -1;
	}
	x->imap = s;
	x->store = store;
	LIST_INSERT_HEAD(&shares.members, x, entry);
	return 0;
}
