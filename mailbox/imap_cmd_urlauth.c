/* SPDX-License-Identifier: ISC */
/*
 * GENURLAUTH, RESETKEY and URLFETCH (RFC 4467). URLs about other users' mailboxes are
 * answered by their processes (url_asks.h); meanwhile the command waits.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/imap/imap_urlauth.h"
#include "mailbox/imap.h"
#include "mailbox/imap_rights.h"
#include "mailbox/imap_url.h"
#include "mailbox/url_asks.h"
#include "mailbox/urlauth.h"

#define URLS_MAX 200
#define SLICE 65536

/* ---- GENURLAUTH ---- */

/* NULL, or what is wrong. */
static const char *
generate(struct imap *s, const struct imap_str *url, struct evbuffer *out)
{
	char token[URLAUTH_TOKEN_SIZE], *full;
	size_t len = url->len + strlen(":INTERNAL:") + sizeof(token);
	struct imap_urlauth u;
	struct imap_url part;
	struct folder *f;
	enum store_error e;

	if (imap_urlauth_parse(url->s, url->len, &u) == -1 || u.mechanism != NULL ||
	    len > IMAP_URLAUTH_MAX)
		return "That is no URL that can be authorised";
	if (imap_url_parse(u.part, u.part_len, &part) == -1 || !part.has_mailbox)
		return "The URL names no message";
	if (s->owner == NULL || !imap_urlauth_is(u.owner, s->owner, s->owner))
		return "The URL is about somebody else's mailbox";
	if (folder_open(s->store, part.mailbox, &f) != STORE_OK)
		return "The URL names no mailbox that exists";
	e = urlauth_token(s->store, f, url->s, url->len, token);
	folder_close(f);
	if (e != STORE_OK || (full = malloc(len)) == NULL)
		return "";
	memcpy(full, url->s, url->len);
	len = url->len;
	len += strlcpy(full + len, ":INTERNAL:", sizeof(":INTERNAL:"));
	memcpy(full + len, token, sizeof(token) - 1);
	evbuffer_add(out, " ", 1);
	imap_print_string(out, full, len + sizeof(token) - 1);
	free(full);
	return NULL;
}

void
imap_cmd_genurlauth(struct imap *s, struct imap_args *a)
{
	struct evbuffer *out = evbuffer_new();
	struct imap_str url, mechanism;
	const char *bad = NULL;
	int n = 0;

	while (out != NULL && bad == NULL && (n == 0 || imap_peek(a) != -1)) {
		if (++n > URLS_MAX) {
			imap_fail(a, "Too many URLs");
			break;
		}
		if (imap_sp(a) == -1 || imap_astring(a, &url) == -1 || imap_sp(a) == -1 ||
		    imap_atom(a, &mechanism) == -1)
			break;
		bad = imap_str_is(&mechanism, "INTERNAL")
			  ? generate(s, &url, out)
			  : "The only mechanism is INTERNAL";
	}
	if (out == NULL)
		imap_no(s, "[UNAVAILABLE] Out of memory");
	else if (a->error != NULL)
		; /* told by the engine */
	else if (bad != NULL && bad[0] == '\0')
		imap_no(s, "[SERVERBUG] The keys cannot be read or written");
	else if (bad != NULL)
		imap_bad(s, bad);
	else {
		evbuffer_add_printf(s->out, "* GENURLAUTH");
		evbuffer_add_buffer(s->out, out);
		evbuffer_add(s->out, "\r\n", 2);
		imap_ok(s, "GENURLAUTH completed");
	}
	if (out != NULL)
		evbuffer_free(out);
}

/* ---- RESETKEY ---- */

void
imap_cmd_resetkey(struct imap *s, struct imap_args *a)
{
	char name[STORE_NAME_MAX + 1];
	struct imap_str mechanism;
	const char *no = NULL;
	bool internal = true;
	struct folder *f;
	enum store_error e;

	if (imap_peek(a) == -1) {
		if ((e = urlauth_reset(s->store, NULL)) != STORE_OK)
			imap_no_store(s, e);
		else
			imap_ok(s, "All keys removed");
		return;
	}
	if (imap_sp(a) == -1 || imap_mailbox(s, a, name, &no) == -1)
		return;
	for (int n = 0; imap_peek(a) != -1; n++) {
		if (imap_sp(a) == -1 || imap_atom(a, &mechanism) == -1)
			return;
		internal = (n > 0 && internal) || imap_str_is(&mechanism, "INTERNAL");
	}
	if (no != NULL)
		imap_no(s, "%s", no);
	else if (!internal)
		imap_no(s, "[CANNOT] The only mechanism is INTERNAL");
	else if ((e = folder_open(s->store, name, &f)) != STORE_OK)
		imap_no_store(s, e);
	else {
		e = urlauth_reset(s->store, f);
		if (e == STORE_OK)
			folder_urls_reset(f);
		/* The tagged reply says it to this one. */
		if (s->folder == f)
			s->url_resets = folder_url_resets(f);
		folder_close(f);
		if (e == STORE_OK)
			imap_ok(s, "[URLMECH INTERNAL] RESETKEY completed");
		else
			imap_no_store(s, e);
	}
}

/* ---- URLFETCH, RFC 5524 extends it ---- */

struct wanted {
	char *url;
	unsigned int items; /* of enum imap_url_item; 0: the octets, the plain way */
};

struct fetch {
	struct imap_task task;
	struct imap *s;
	struct wanted *v;
	size_t n, at;
	enum {
		NEXT,
		ASKED,    /* another mailbox's process */
		ANSWERED, /* opened is there */
		SENDING
	} state;
	struct urlauth_part part; /* of ours, */
	struct url_opened opened; /* or another's */
	uint64_t id;
	uint64_t size, sent;
};

static void
clear_part(struct fetch *t)
{
	if (t->opened.fd != -1)
		close(t->opened.fd);
	free(t->opened.structure);
	t->opened = (struct url_opened){ .fd = -1 };
	urlauth_part_clear(&t->part);
}

static void
fetch_free(struct imap_task *task)
{
	struct fetch *t = (struct fetch *)task;

	if (t->id != 0)
		url_ask_forget(t->id);
	clear_part(t);
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].url);
	free(t->v);
	free(t);
}

static void
on_url(const struct url_opened *u, void *arg)
{
	struct fetch *t = arg;

	t->id = 0;
	t->opened = *u;
	t->state = ANSWERED;
	if (t->s->wake != NULL)
		t->s->wake(t->s->wake_arg);
}

static void
ended(struct fetch *t, const char *text)
{
	evbuffer_add_printf(t->s->out, "%s\r\n", text);
	clear_part(t);
	t->at++;
	t->state = NEXT;
}

static void
say_url(struct fetch *t)
{
	evbuffer_add_printf(t->s->out, "* URLFETCH ");
	imap_print_string(t->s->out, t->v[t->at].url, strlen(t->v[t->at].url));
}

static void
say_nothing(struct fetch *t)
{
	say_url(t);
	ended(t, " NIL");
}

/* Until where the octets begin. */
static void
say(struct fetch *t, bool nil, bool nul)
{
	unsigned int items = t->v[t->at].items;

	say_url(t);
	if ((items & IMAP_URL_STRUCTURE) != 0) {
		evbuffer_add_printf(t->s->out, " (BODYPARTSTRUCTURE ");
		if (t->part.structure != NULL)
			evbuffer_add_buffer(t->s->out, t->part.structure);
		else
			evbuffer_add(
			    t->s->out, t->opened.structure, t->opened.structure_len);
		evbuffer_add(t->s->out, ")", 1);
	}
	if (items == IMAP_URL_STRUCTURE) {
		ended(t, "");
		return;
	}
	if (items != 0)
		evbuffer_add_printf(t->s->out, " (%s",
		    (items & IMAP_URL_BINARY) != 0 ? "BINARY" : "BODY");
	if (nil) {
		ended(t, " NIL)");
		return;
	}
	evbuffer_add_printf(t->s->out, " %s{%llu}\r\n",
	    nul && (items & IMAP_URL_BINARY) != 0 ? "~" : "",
	    (unsigned long long)t->size);
	t->sent = 0;
	t->state = SENDING;
}

static void
begin(struct fetch *t)
{
	const char *url = t->v[t->at].url,
		   *owner = t->s->owner != NULL ? t->s->owner : "";
	unsigned int items = t->v[t->at].items;
	struct urlauth_asker who = { owner, false };
	const struct imap_octets *o = &t->part.octets;
	struct imap_urlauth u;

	if (imap_urlauth_parse(url, strlen(url), &u) == 0 && u.mechanism != NULL &&
	    !imap_urlauth_is(u.owner, owner, owner)) {
		if ((t->id = url_ask(url, items, on_url, t)) == 0)
			say_nothing(t);
		else
			t->state = ASKED;
		return;
	}
	if (urlauth_open(t->s->store, owner, &who, url, strlen(url), items, time(NULL),
		&t->part) != URLAUTH_OK) {
		say_nothing(t);
		return;
	}
	t->size = o->len;
	say(t, o->nil, !o->nil && o->len > 0 && memchr(o->data, '\0', o->len) != NULL);
}

static void
answered(struct fetch *t)
{
	const struct url_opened *o = &t->opened;
	unsigned int items = t->v[t->at].items;

	if (o->fd == -1 || (o->nil && (items & IMAP_URL_BINARY) == 0) ||
	    (o->structure == NULL) == ((items & IMAP_URL_STRUCTURE) != 0)) {
		say_nothing(t);
		return;
	}
	t->size = o->size;
	say(t, o->nil, o->nul);
}

/* A slice. What cannot be read any more is filled up: the literal has its length. */
static void
send_slice(struct fetch *t)
{
	uint64_t left = t->size - t->sent;
	size_t n = left < SLICE ? (size_t)left : SLICE;
	char buf[SLICE];
	ssize_t got;

	if (t->opened.fd == -1)
		evbuffer_add(t->s->out, t->part.octets.data + t->sent, n);
	else if (n > 0) {
		got = pread(t->opened.fd, buf, n, (off_t)(t->opened.offset + t->sent));
		got = got < 0 ? 0 : got;
		memset(buf + got, ' ', n - (size_t)got);
		evbuffer_add(t->s->out, buf, n);
	}
	t->sent += n;
	if (t->sent == t->size)
		ended(t, t->v[t->at].items == 0 ? "" : ")");
}

static int
fetch_step(struct imap *s, struct imap_task *task, size_t unsent)
{
	struct fetch *t = (struct fetch *)task;

	while (evbuffer_get_length(s->out) + unsent < IMAP_HIGH_WATER) {
		switch (t->state) {
		case NEXT:
			if (t->at == t->n) {
				imap_ok(s, "URLFETCH completed");
				return 0;
			}
			begin(t);
			break;
		case ASKED:
			s->waiting = true;
			return 1;
		case ANSWERED:
			answered(t);
			break;
		case SENDING:
			send_slice(t);
			break;
		}
	}
	return 1;
}

/* " BODY", " BINARY" and " BODYPARTSTRUCTURE" behind a URL in parentheses. */
static int
parse_items(struct imap_args *a, unsigned int *items)
{
	static const struct {
		const char *name;
		enum imap_url_item item, not_with;
	} known[] = {
		{ "BODY", IMAP_URL_BODY, IMAP_URL_BINARY },
		{ "BINARY", IMAP_URL_BINARY, IMAP_URL_BODY },
		{ "BODYPARTSTRUCTURE", IMAP_URL_STRUCTURE, 0 },
	};
	struct imap_str v;
	size_t i;

	while (!imap_try_char(a, ')')) {
		if (imap_sp(a) == -1 || imap_atom(a, &v) == -1)
			return -1;
		for (i = 0; i < 3 && !imap_str_is(&v, known[i].name); i++)
			;
		if (i == 3)
			return imap_fail(a, "Unknown parameter");
		if ((*items & (known[i].item | known[i].not_with)) != 0)
			return imap_fail(a, "A parameter twice, or BODY and BINARY");
		*items |= known[i].item;
	}
	return 0;
}

void
imap_cmd_urlfetch(struct imap *s, struct imap_args *a)
{
	struct fetch *t = calloc(1, sizeof(*t));
	struct imap_str url;

	if (t == NULL || (t->v = calloc(URLS_MAX, sizeof(*t->v))) == NULL) {
		free(t);
		imap_no(s, "[UNAVAILABLE] Out of memory");
		return;
	}
	t->task.step = fetch_step;
	t->task.free = fetch_free;
	t->s = s;
	t->opened.fd = -1;
	while (t->n == 0 || imap_peek(a) != -1) {
		struct wanted *w = &t->v[t->n];
		bool extended;

		if (t->n == URLS_MAX)
			imap_fail(a, "Too many URLs");
		else if (imap_sp(a) == 0) {
			extended = imap_try_char(a, '(');
			if (imap_astring(a, &url) == 0 &&
			    memchr(url.s, '\0', url.len) == NULL &&
			    (w->url = strndup(url.s, url.len)) != NULL) {
				t->n++;
				if (!extended || parse_items(a, &w->items) == 0)
					continue;
			}
		}
		if (a->error == NULL)
			imap_no(s, "[UNAVAILABLE] Out of memory");
		fetch_free(&t->task);
		return;
	}
	imap_set_task(s, &t->task);
}
